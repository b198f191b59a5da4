"""Check values files: render them with the real chart, and judge what it renders."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scout_chat.chart.render import Object, RenderError, render
from scout_chat.check import files, needs, preset
from scout_chat.check.engine import Engine, engines
from scout_chat.check.judge import findings, judge
from scout_chat.check.report import Finding, JudgedEngine, Report
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.lookup import find_gpu
from scout_chat.review.normalize import shown
from scout_chat.review.sides import with_values, working_tree

# In the choice of GPUs: every engine that is not named.
OTHERS = ""


def check(paths: Sequence[Path], gpus: Sequence[str] = (), release: str = "chat", namespace: str = "chat") -> Report:
    """Return what an install with these values files would do. ``gpus``: NAME for every engine, or ENGINE=NAME.

    Raises UserError if nothing can be judged: a file that is no values file, a GPU or an engine that does not exist, no chart archives.
    """
    if not paths:
        raise UserError("check needs a values file", "For example: scout-chat check -f values/gpt-oss.yaml -f mine.yaml")
    contents = [files.read(path) for path in paths]
    chosen = _chosen(gpus)
    names = tuple(map(str, paths))
    values = files.merged(contents)
    mode = str(files.value_at(values, "global", "llm", "mode"))
    comparison = preset.compare(paths, contents)
    try:
        objects = _rendered(paths, release, namespace)
    except RenderError as error:
        refusal = Finding("the chart refuses the values", shown(str(error)) or "")
        return Report(names, mode, (refusal,), comparison=comparison)
    found = engines(objects)
    _check_choice(chosen, found)
    volumes = needs.volumes(objects)
    judged: list[JudgedEngine] = []
    all_findings = list(_without_administrator(values))
    for engine in found:
        gpu = chosen.get(engine.name, chosen.get(OTHERS)) if engine.devices else None
        prefix = "engine" if len(found) == 1 else f"engines.{engine.name}"
        judged.append(judge(engine, gpu, prefix))
        all_findings += findings(judged[-1], prefix, volumes)
    return Report(
        names,
        mode,
        tuple(sorted(all_findings, key=lambda finding: not finding.fails)),
        tuple(judged),
        needs.images(objects),
        tuple(volumes),
        tuple(needs.requirements(objects)),
        comparison,
    )


def _without_administrator(values: KubeObject) -> Iterator[Finding]:
    """Yield a warning if people sign in with roles of an identity provider, and none of these makes an administrator."""
    auth = values["global"]["chat"]["auth"]
    roles = auth["oidc"]["roles"]
    if auth["oidc"]["issuer"] and roles["allowed"] and not roles["admin"] and not auth["breakGlass"]:
        message = "roles.admin is empty, so nobody would be an administrator: each holder of roles.allowed becomes an ordinary user"
        yield Finding("global.chat.auth.oidc", message, "Set global.chat.auth.oidc.roles.admin to the role of your administrators.", fails=False)


def _rendered(paths: Sequence[Path], release: str, namespace: str) -> list[Object]:
    """Return the objects. The files may hold secrets, so the render is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        side = with_values(working_tree(), list(paths), Path(folder))
        (case,) = side.scenarios.values()
        return render(replace(case, release=release, namespace=namespace), side.chart, side.cached)


def _chosen(gpus: Sequence[str]) -> dict[str, Gpu]:
    """Return the GPU of each engine that the options name."""
    chosen: dict[str, Gpu] = {}
    for option in gpus:
        engine, _, gpu = option.rpartition("=")
        if engine in chosen:
            what = f"of {engine} " if engine else ""
            raise UserError(f"--gpu {option}: the GPU {what}is given twice", "Two engines on two GPUs: --gpu ENGINE=NAME --gpu ENGINE=NAME")
        chosen[engine] = find_gpu(gpu)
    return chosen


def _check_choice(chosen: dict[str, Gpu], found: Sequence[Engine]) -> None:
    """Raise UserError if an option names no engine that requests a GPU."""
    with_gpu = [engine.name for engine in found if engine.devices]
    if chosen and not with_gpu:
        raise UserError("--gpu has no effect: no engine of these values requests a GPU", "Omit --gpu.")
    for name in chosen:
        if name != OTHERS and name not in with_gpu:
            raise UserError(f"--gpu {name}={chosen[name].name}: no engine of that name requests a GPU", f"Engines: {', '.join(with_gpu)}")
