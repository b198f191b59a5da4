"""The parts whose version `scout-chat bump` changes: where each is pinned, and what its new version changes by itself."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import semver

from scout_chat.chart import archives, upstream
from scout_chat.core import kubeyaml, package_index
from scout_chat.core.command import run
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PACKAGE, ROOT, cache, sha256
from scout_chat.core.pins import pins
from scout_chat.core.progress import Reporter
from scout_chat.core.yaml_edit import set_scalars
from scout_chat.images.runtime import PLATFORM
from scout_chat.images.store import RECIPES
from scout_chat.maintain.open_webui_variables import variables_that_are_not_read
from scout_chat.planning import catalog
from scout_chat.vllm import source

PINS = ROOT / "schema" / "pins.yaml"
KINDS = "vllm, open-webui, chart:NAME, tool:NAME, or a repository of the catalog (OWNER/NAME)"


@dataclass(frozen=True)
class Part:
    """A part with its present version.

    ``prepare`` gets what the new version needs and returns the function that writes the pins. So a version that cannot be had changes
    no file. It raises UserError. The function returns the lines of the report that no comparison of renders shows.
    """

    name: str
    version: str
    prepare: Callable[[str, Reporter], Callable[[], list[str]]]


def find(name: str) -> Part:
    """Return the part. Raises UserError for a name that no part has."""
    kind, _, rest = name.partition(":")
    if name == "vllm":
        return Part(name, pins().engine.gpu.release, _vllm)
    if name == "open-webui":
        return Part(name, _app_version(), _open_webui)
    if kind == "chart" and rest in pins().charts:
        return Part(name, pins().charts[rest].version, partial(_chart, rest))
    if kind == "tool" and rest in pins().tools:
        return Part(name, pins().tools[rest].version, partial(_tool, rest))
    for model in catalog.models().values():
        for index, checkpoint in enumerate(model.checkpoints):
            if checkpoint.id == name:
                file = catalog.MODELS / f"{model.name}.yaml"
                return Part(name, checkpoint.revision, partial(_model, file, index))
    known = {"chart": [*pins().charts], "tool": [*pins().tools]}.get(kind, [])
    raise UserError(f"there is no part {name}", f"NAME is one of {', '.join(known)}." if known else f"Parts: {KINDS}.")


def _number(version: str) -> str:
    """Return the version without a v. Raises UserError for text that is not a version."""
    number = version.removeprefix("v")
    if not semver.Version.is_valid(number):
        raise UserError(f"{version} is not a version", "For example: 0.33.0")
    return number


def _vllm(version: str, progress: Reporter) -> Callable[[], list[str]]:
    release, old = f"v{_number(version)}", pins().engine.gpu.release
    progress(f"looking for vLLM {release}")
    digest = "" if release == pins().engine.cpu.release else source.find(release).sha256

    def write() -> list[str]:
        set_scalars(PINS, {("engine", "gpu", "release"): release, ("engine", "gpu", "source"): digest})
        progress(f"asking vLLM {release} what it accepts")
        scout_chat("vllm", "record")
        return scout_chat("vllm", "diff", old, release).splitlines()

    return write


def _chart(name: str, version: str, progress: Reporter) -> Callable[[], list[str]]:
    version, pin = _number(version), pins().charts[name]
    progress(f"looking for {name}-{version}.tgz")
    archive, before = _archive(name, version, pin.repository), upstream.recorded(name)

    def write() -> list[str]:
        set_scalars(PINS, {("charts", name, "version"): version, ("charts", name, "sha256"): sha256(archive)})
        _set_dependency(name, version)
        (CHART / "charts" / f"{name}-{pin.version}.tgz").unlink(missing_ok=True)
        progress("reading the chart's values")
        scout_chat("generate")
        return _values_that_came_or_went(before, kubeyaml.load((upstream.FOLDER / f"{name}.yaml").read_text()))

    return write


def _archive(name: str, version: str, repository: str) -> Path:
    """Return the chart's archive in the user cache, where the next process finds it. Raises UserError if it cannot be had."""
    target = cache("charts", f"{name}-{version}.tgz")
    found, message = archives.others(name, version, repository)
    if not found:
        raise UserError(
            f"{target.name} is not on this machine, and {repository} does not give it: {message}",
            f"Put it into {target.parent}, or name the folder that holds it: export SCOUT_CHAT_CHARTS=/path/to/folder.",
        )
    if found[0] != target:
        shutil.copyfile(found[0], target)
    return target


def _set_dependency(name: str, version: str) -> None:
    """Write the version into Chart.yaml and Chart.lock, with the digest that Helm checks (HashReq in Helm's internal/resolver)."""
    chart = CHART / "Chart.yaml"
    names = [entry["name"] for entry in kubeyaml.load(chart.read_text())["dependencies"]]
    set_scalars(chart, {("dependencies", names.index(name), "version"): version})
    wanted = kubeyaml.load(chart.read_text())["dependencies"]
    order = ("name", "version", "repository", "condition", "alias")
    wanted = [{key: entry[key] for key in order if key in entry} for entry in wanted]
    locked = [{key: entry[key] for key in order[:3]} for entry in wanted]
    digest = hashlib.sha256(json.dumps([wanted, locked], separators=(",", ":")).encode()).hexdigest()
    lock = CHART / "Chart.lock"
    index = [entry["name"] for entry in kubeyaml.load(lock.read_text())["dependencies"]].index(name)
    now = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    set_scalars(lock, {("dependencies", index, "version"): version, ("digest",): f"sha256:{digest}", ("generated",): now})


def _values_that_came_or_went(before: KubeObject, after: KubeObject) -> list[str]:
    old, new = (set(_paths(record["values"])) | set(record["reads"]) for record in (before, after))
    lines = [f"value removed: {path}" for path in sorted(old - new)] + [f"value added: {path}" for path in sorted(new - old)]
    for name in after["items"]:
        gone, come = (set(one["items"].get(name, [])) - set(other["items"].get(name, [])) for one, other in ((before, after), (after, before)))
        lines += [f"{name}[] key removed: {key}" for key in sorted(gone)] + [f"{name}[] key added: {key}" for key in sorted(come)]
    return lines


def _paths(values: KubeObject, above: str = "") -> list[str]:
    """Return the path of each default."""
    found = []
    for key, value in values.items():
        found += _paths(value, f"{above}{key}.") if isinstance(value, dict) and value else [f"{above}{key}"]
    return found


def _app_version() -> str:
    version: str = kubeyaml.load((CHART / "Chart.yaml").read_text())["appVersion"]
    return version


def _open_webui(version: str, progress: Reporter) -> Callable[[], list[str]]:
    number, old = _number(version), _app_version()
    progress(f"looking for Open WebUI {number}")
    wheel = package_index.find("open-webui", f"open_webui-{number}-py3-none-any.whl")
    unread = variables_that_are_not_read(wheel, progress)

    def write() -> list[str]:
        set_scalars(CHART / "Chart.yaml", {("appVersion",): number})
        set_scalars(CHART / "values.yaml", {("open-webui", "image", "tag"): number})
        progress("locking the Python packages")
        _lock("open-webui", f"open-webui=={old}", f"open-webui=={number}")
        return [f"variable that Open WebUI {number} does not read, but the chart sets: {name}" for name in unread]

    return write


def _lock(recipe: str, old: str, new: str) -> None:
    """Change a requirement of a recipe and lock it again, for the base image's Python."""
    folder = RECIPES / recipe
    wanted = folder / "requirements.in"
    wanted.write_text(wanted.read_text().replace(old, new))
    options = ["--override", str(folder / "overrides.txt"), "--generate-hashes", "--no-header", "--no-annotate", *PLATFORM]
    run(sys.executable, "-m", "uv", "pip", "compile", "-q", *options, str(wanted), "-o", str(folder / "requirements.txt"))


def _tool(name: str, version: str, progress: Reporter) -> Callable[[], list[str]]:
    number, pin = _number(version), pins().tools[name]
    first = next(other for other, shared in pins().tools.items() if shared.module == pin.module)
    if first != name:
        raise UserError(f"tool:{name} always has the version of tool:{first}: both come from one Go module", f"Bump tool:{first}.")
    folder = PACKAGE / "core" / "gomod" / pin.module
    progress(f"asking for {pin.package} v{number}")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "module"
        shutil.copytree(folder, copy)
        try:
            run("go", "-C", str(copy), "get", "-tool", f"{pin.package}@v{number}")
            run("go", "-C", str(copy), "mod", "tidy")
        except UserError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"Go cannot resolve {pin.package} v{number}: {reason}", f"See {folder.relative_to(ROOT)}/go.mod.") from None
        files = {file: (copy / file).read_text() for file in ("go.mod", "go.sum")}

    def write() -> list[str]:
        set_scalars(PINS, {("tools", name, "version"): number})
        for file, text in files.items():
            (folder / file).write_text(text)
        release = pin.release.format(name=name, version=number, arch="amd64")
        return [f"official release: {release}"] if release else []

    return write


def _model(file: Path, index: int, revision: str, progress: Reporter) -> Callable[[], list[str]]:
    if revision != "main" and not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(f"{revision} is not a commit of the Hugging Face Hub", "Give its 40 hexadecimal digits, or main.")

    def write() -> list[str]:
        set_scalars(file, {("checkpoints", index, "revision"): revision})
        return []

    return write


def scout_chat(*arguments: str) -> str:
    """Run a command of this program in its own process, which reads the changed pins. Returns its output. Raises UserError with its message."""
    result = subprocess.run([sys.executable, "-m", "scout_chat", *arguments], capture_output=True, text=True, cwd=ROOT)
    if result.returncode:
        raise UserError(f"scout-chat {' '.join(arguments)} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
