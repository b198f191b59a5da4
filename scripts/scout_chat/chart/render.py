"""Render the chart with the real Helm: values files and options in, Kubernetes objects out.

Each render is cached by the content of everything that it depends on. After a change, a test run renders only what the change affects.
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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PRESETS, cache, sha256
from scout_chat.core.pins import pins
from scout_chat.core.tools import tool

# Cached renders of a version of the chart are removed after so many days without use.
KEPT_DAYS = 7


@dataclass(frozen=True)
class Case:
    """The inputs of one render: values, cluster and Helm.

    ``values`` are names under values/ (``overlays/vllm-router``). ``extra`` is the text of another values file, YAML or JSON, which
    follows them; ``sets`` and ``json`` are arguments of ``--set`` and ``--set-json``, which Helm applies last. ``kubernetes`` is a minor
    (``1.36``); ``api_versions`` are what the cluster serves besides Kubernetes' own APIs (``monitoring.coreos.com/v1``). ``helm`` is
    ``helm`` (4) or ``helm3``. With ``schema`` false Helm skips values.schema.json, as a user may, and only the templates check values.
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
        """Return the values files in Helm's order."""
        files = [PRESETS / f"{name}.yaml" for name in self.values]
        if self.extra:
            path = cache("values", f"{hashlib.sha256(self.extra.encode()).hexdigest()[:20]}.yaml")
            if not path.exists():
                _write(path, self.extra)
            files.append(path)
        return files

    def options(self) -> list[str]:
        """Return the options that pass the values to any helm command."""
        files = [part for file in self.files() for part in ("-f", str(file))]
        sets = [part for value in self.sets for part in ("--set", value)]
        return files + sets + [part for value in self.json for part in ("--set-json", value)]


@dataclass(frozen=True)
class Object:
    """A rendered object, and the chart that rendered it: ``scout-chat``, ``vllm-stack`` or ``open-webui``."""

    chart: str
    body: KubeObject

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


class RenderError(UserError):
    """Helm refused the values. The message is the chart's own, without the text that Helm puts around it."""


def render(case: Case, chart: Path = CHART, cached: bool = True) -> list[Object]:
    """Return the objects of the case, with CRDs and hooks, in Helm's order.

    Raises RenderError with the chart's message if a value is refused. Helm's warning about values that cannot be merged is an error
    too, because Helm then drops a key.
    """
    if not cached:
        return _render(case, chart)
    path = _cached(case, chart)
    if not path.exists():
        accepted = _accepted(case, chart)
        try:
            # The schema sees values only: what it accepted for one release name or cluster it accepts for each.
            objects = _render(replace(case, schema=case.schema and not accepted.exists()), _unpacked(chart))
            if case.schema:
                accepted.touch()
            answer: dict[str, Any] = {"objects": [asdict(item) for item in objects]}
        except RenderError as error:
            answer = {"refused": str(error)}
        _write(path, json.dumps(answer))
    else:
        answer = json.loads(path.read_bytes())
    if "refused" in answer:
        raise RenderError(answer["refused"])
    return [Object(**item) for item in answer["objects"]]


def render_all(cases: Iterable[Case], chart: Path = CHART) -> None:
    """Render every case that is not cached, several at a time. A refusal is cached too."""

    def one(case: Case) -> None:
        with contextlib.suppress(RenderError):
            render(case, chart)

    # Cases that differ only in their names share one render.
    missing = {path: case for case in cases if not (path := _cached(case, chart)).exists()}
    # One process more than cores: each waits a sixth of its time.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        list(pool.map(one, missing.values()))


def _render(case: Case, chart: Path) -> list[Object]:
    command = [tool(case.helm), "template", case.release, str(chart), "--namespace", case.namespace, "--include-crds"]
    command += ["--kube-version", case.kubernetes, *(part for version in case.api_versions for part in ("--api-versions", version))]
    command += [] if case.schema else ["--skip-schema-validation"]
    # Without garbage collection a render takes a sixth less time, and 6 MB more memory.
    result = subprocess.run([*command, *case.options()], capture_output=True, text=True, env=os.environ | {"GOGC": "off"})
    if result.returncode < 0:  # killed, so there is no result to cache
        raise UserError(f"helm was killed by signal {-result.returncode} while it rendered {case.name}", "Is there enough memory? Run the command again.")
    if result.returncode:
        raise RenderError(refusal(result.stderr))
    if "warning: " in result.stderr:  # Helm 3 says "coalesce.go:237: warning: ", Helm 4 "level=INFO msg=\"warning: "
        raise RenderError(f"Helm dropped a value: {result.stderr.strip()}")
    return parse(result.stdout)


def refusal(stderr: str) -> str:
    """Extract the chart's message from Helm's ``Error: execution error at (file:1:2): message`` and the advice around it."""
    message = stderr.rpartition("Error: ")[2].strip().removesuffix("Use --debug flag to render out invalid YAML").strip()
    message = re.sub(r"^(INSTALLATION FAILED: |UPGRADE FAILED: )?(execution error at \([^)]*\): )?", "", message)
    return re.sub(r"^values don't meet the specifications of the schema\(s\) in the following chart\(s\):\nscout-chat:\n", "", message)


def parse(manifest: str) -> list[Object]:
    """Return the objects of a rendered manifest. Helm's ``# Source:`` lines say which chart each comes from."""
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
    """Return the copy of the chart that Helm loads faster; it lies beside the cached renders."""
    folder = _folder(digest(chart)) / "scout-chat"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            archives.unpack(chart, part)
            part.replace(folder)
    return folder


def _cached(case: Case, chart: Path) -> Path:
    """Return where the render of the case is, or will be."""
    return _folder(digest(chart)) / f"{_key(case)}.json"


def _accepted(case: Case, chart: Path) -> Path:
    """Return the marker that values.schema.json accepted the values of the case."""
    values_only = Case("", values=case.values, extra=case.extra, sets=case.sets, json=case.json, helm=case.helm)
    return _folder(digest(chart)) / f"{_key(values_only)}.accepted"


def _key(case: Case) -> str:
    inputs = asdict(case) | {"name": "", "values": [sha256(file) for file in case.files()], "helm": _version(case.helm)}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:20]


@functools.cache
def _version(name: str) -> str:
    return f"{name} {pins().tools[name].version}"


@functools.cache
def _folder(chart_digest: str) -> Path:
    """Return the folder with the renders of this version of the chart. Removes old folders."""
    folder = cache("renders", chart_digest, "x").parent
    folder.touch()
    for other in folder.parent.iterdir():
        if other.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return folder


@functools.cache
def digest(chart: Path) -> str:
    """Return one digest over every file of the chart and over the code that reads its renders.

    Computed once per process: nobody edits a chart while a process renders it.
    """
    files = [*sorted(path for path in chart.rglob("*") if path.is_file()), Path(__file__), Path(kubeyaml.__file__)]
    parts = [f"{path.relative_to(chart) if path.is_relative_to(chart) else path.name} {sha256(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _write(path: Path, content: str) -> None:
    """Write the file so that a reader in another process sees either nothing or the whole file."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    part.write_text(content)
    part.replace(path)
