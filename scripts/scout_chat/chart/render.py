"""Renders the chart with the real Helm: values files and options in, Kubernetes objects out.

A render is done once and kept in the user cache by the content of everything that it depends on, so a test run after a change
renders only what the change can have touched.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PRESETS, cache, sha256
from scout_chat.core.pins import pins
from scout_chat.core.tools import tool

# Renders of a version of the chart that nobody asked for so long are thrown away.
KEPT_DAYS = 7


@dataclass(frozen=True)
class Case:
    """One render: which values, for which cluster, by which Helm.

    ``values`` are names under values/ (``overlays/vllm-router``), ``extra`` is a values file's text laid over them (YAML or JSON),
    ``sets`` and ``json`` are Helm's ``--set`` and ``--set-json`` arguments, which come last. ``kubernetes`` is a minor (``1.36``);
    ``api_versions`` are what the cluster serves besides Kubernetes' own (``monitoring.coreos.com/v1``); ``helm`` is ``helm`` (4) or
    ``helm3``. With ``schema`` false Helm skips values.schema.json, as a user may, and the templates have the last word.
    """

    name: str
    values: tuple[str, ...] = ()
    extra: str = ""
    sets: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    release: str = "chat"
    namespace: str = "chat"
    kubernetes: str = field(default_factory=lambda: pins().kubernetes[0])
    api_versions: tuple[str, ...] = ()
    helm: str = "helm"
    schema: bool = True

    def files(self) -> list[Path]:
        """The values files, in Helm's order."""
        files = [PRESETS / f"{name}.yaml" for name in self.values]
        if self.extra:
            path = cache("values", f"{hashlib.sha256(self.extra.encode()).hexdigest()[:20]}.yaml")
            if not path.exists():
                _write(path, self.extra)
            files.append(path)
        return files

    def options(self) -> list[str]:
        """The values options, for any helm command."""
        files = [part for file in self.files() for part in ("-f", str(file))]
        sets = [part for value in self.sets for part in ("--set", value)]
        return files + sets + [part for value in self.json for part in ("--set-json", value)]


@dataclass(frozen=True)
class Object:
    """A rendered object and the chart that rendered it (``scout-chat``, ``vllm-stack``, ``open-webui``)."""

    chart: str
    body: dict

    @property
    def kind(self) -> str:
        return self.body["kind"]

    @property
    def name(self) -> str:
        return self.body["metadata"]["name"]


class RenderError(UserError):
    """Helm refused. The message is Helm's, without its wrapping."""


def render(case: Case, chart: Path = CHART, cached: bool = True) -> list[Object]:
    """The objects of the case, CRDs and hooks included, in Helm's order. They are shared: copy before you change one.

    Raises RenderError with the chart's own message if a value is refused. A warning of Helm's about values that do not fit
    together is an error as well: it means that a key was dropped.
    """
    if not cached:
        return _render(case, chart)
    path = _cached(case, chart)
    if not path.exists():
        try:
            answer = {"objects": [asdict(item) for item in _render(case, _unpacked(chart))]}
        except RenderError as error:
            answer = {"refused": str(error)}
        _write(path, json.dumps(answer))
    else:
        answer = json.loads(path.read_bytes())
    if "refused" in answer:
        raise RenderError(answer["refused"])
    return [Object(**item) for item in answer["objects"]]


def render_all(cases: Iterable[Case], chart: Path = CHART) -> None:
    """Renders what the cache lacks, as many Helm processes at a time as there are cores. A refusal is an answer as well."""

    def one(case: Case) -> None:
        with contextlib.suppress(RenderError):
            render(case, chart)

    # Cases that differ in their names alone are one render.
    missing = {path: case for case in cases if not (path := _cached(case, chart)).exists()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, missing.values()))


def _render(case: Case, chart: Path) -> list[Object]:
    command = [tool(case.helm), "template", case.release, str(chart), "--namespace", case.namespace, "--include-crds"]
    command += ["--kube-version", case.kubernetes, *(part for version in case.api_versions for part in ("--api-versions", version))]
    command += [] if case.schema else ["--skip-schema-validation"]
    # Without garbage collection a render takes a sixth less time and 6 MB more memory.
    result = subprocess.run([*command, *case.options()], capture_output=True, text=True, env=os.environ | {"GOGC": "off"})
    if result.returncode < 0:  # no answer of Helm's, and none to keep
        raise UserError(f"helm was ended by signal {-result.returncode} while it rendered {case.name}", "Is there enough memory? Run the command again.")
    if result.returncode:
        raise RenderError(refusal(result.stderr))
    if "warning: " in result.stderr:  # Helm 3 says "coalesce.go:237: warning: ", Helm 4 "level=INFO msg=\"warning: "
        raise RenderError(f"Helm dropped a value: {result.stderr.strip()}")
    return parse(result.stdout)


def refusal(stderr: str) -> str:
    """What the chart said, out of ``Error: execution error at (file:1:2): message`` and the advice around it."""
    message = stderr.rpartition("Error: ")[2].strip().removesuffix("Use --debug flag to render out invalid YAML").strip()
    message = re.sub(r"^(INSTALLATION FAILED: |UPGRADE FAILED: )?(execution error at \([^)]*\): )?", "", message)
    return re.sub(r"^values don't meet the specifications of the schema\(s\) in the following chart\(s\):\nscout-chat:\n", "", message)


def parse(manifest: str) -> list[Object]:
    """Objects of a rendered manifest; the chart is read from Helm's ``# Source:`` line."""
    objects = []
    for document in re.split(r"^---\n", manifest, flags=re.MULTILINE):
        source = re.search(r"^# Source: (\S+)", document)
        try:
            body = kubeyaml.load(document)
        except kubeyaml.DuplicateKey as error:
            raise RenderError(f"{source[1] if source else 'the manifest'}: {error}") from None
        if body:
            path = source[1].split("/") if source else ["scout-chat"]
            objects.append(Object(path[2] if len(path) > 2 and path[1] == "charts" else path[0], body))
    return objects


def _unpacked(chart: Path) -> Path:
    """The chart's copy that loads fast, beside its renders."""
    folder = _folder(digest(chart)) / "scout-chat"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            archives.unpack(chart, part)
            part.replace(folder)
    return folder


def _cached(case: Case, chart: Path) -> Path:
    inputs = asdict(case) | {"name": "", "values": [sha256(file) for file in case.files()], "helm": _version(case.helm)}
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:20]
    return _folder(digest(chart)) / f"{key}.json"


@functools.cache
def _version(name: str) -> str:
    return f"{name} {pins().tools[name].version}"


@functools.cache
def _folder(chart_digest: str) -> Path:
    """Where the renders of this version of the chart are."""
    folder = cache("renders", chart_digest, "x").parent
    folder.touch()
    for other in folder.parent.iterdir():
        if other.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return folder


@functools.cache
def digest(chart: Path) -> str:
    """One digest over every file of the chart's folder and the code that reads what it renders.

    It is taken once a process: a chart is not edited while the process that renders it runs.
    """
    files = [*sorted(path for path in chart.rglob("*") if path.is_file()), Path(__file__), Path(kubeyaml.__file__)]
    parts = [f"{path.relative_to(chart) if path.is_relative_to(chart) else path.name} {sha256(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _write(path: Path, content: str) -> None:
    """A reader in another process sees nothing or the whole file."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    part.write_text(content)
    part.replace(path)
