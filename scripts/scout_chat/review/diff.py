"""What an upgrade changes on the cluster: two versions of the chart rendered with the same values, compared object by object.

Every change has one consequence. A change that several scenarios have is one.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scout_chat.chart.render import Object, RenderError, render, render_all
from scout_chat.core.errors import UserError
from scout_chat.review.consequences import CONSEQUENCES, RUNS_PODS, of_change, of_environment, of_object
from scout_chat.review.report import Change, Refusal, Report
from scout_chat.review.sides import Side, nearest, side, with_values, working_tree
from scout_chat.review.tree import ENVIRONMENT, differences, plain, shown


@dataclass(frozen=True)
class Noise:
    """A difference that nothing on the cluster acts on: ``varies`` is the part of the value that may differ.

    ``objects`` matches ``chart/Kind/name``, ``path`` the whole path. A key that only one side has is never noise, and neither
    is a label of a pod template: a change of it restarts the pods.
    """

    objects: str
    path: str
    varies: str
    reason: str


NOISE = (
    Noise(r".*", r"metadata\.(labels|annotations)\[helm\.sh/chart\]", r"-v?\d.*", "names the chart's version, which the release tells as well"),
    Noise(r".*", r"metadata\.(labels|annotations)\[app\.kubernetes\.io/version\]", r".*", "says a version; the image says which one runs"),
    Noise(r"scout-chat/Secret/.*-webui-secrets", r"data\b.*", r".*", "random in every render; on a cluster the chart keeps the values that are there"),
)


def run(source: str, names: list[str], files: list[Path], release: str = "", namespace: str = "") -> Report:
    """The working tree against ``source`` (a git revision, or a packaged chart), over scenarios or the user's own values files.

    Raises UserError for a source, a scenario or a file that there is not, and where the chart archives are missing.
    """
    if names and files:
        raise UserError("--scenario and -f do not go together", "A scenario has its own values files (tests/scenarios.yaml).")
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder, name) for name in ("source", "old", "new")}
        for place in places.values():
            place.mkdir()
        new = working_tree()
        old = side(source, places["source"])
        if files:
            old, new = with_values(old, files, places["old"]), with_values(new, files, places["new"])
        return compare(old, new, names, release, namespace)


def select(old: Side, new: Side, names: list[str]) -> list[str]:
    """The scenarios to compare: those named, or every one of both sides. Raises UserError for one that neither side has."""
    known = [*new.scenarios, *(name for name in old.scenarios if name not in new.scenarios)]
    for name in names:
        if name not in known:
            raise UserError(f"there is no scenario {name}", f"{nearest(name, known)}Scenarios: {', '.join(known)}")
    return [name for name in known if not names or name in names]


def compare(old: Side, new: Side, names: list[str] | None = None, release: str = "", namespace: str = "") -> Report:
    """Renders both sides of every scenario (or of those named) and compares them. A refusal is part of the report."""
    selected = select(old, new, names or [])
    report = Report(old.label, new.label)
    report.removed = tuple(name for name in selected if name not in new.scenarios)
    report.added = tuple(name for name in selected if name not in old.scenarios)
    report.scenarios = tuple(name for name in selected if name in old.scenarios and name in new.scenarios)
    changes: dict[Change, list[str]] = {}
    rendered = [_rendered(version, report.scenarios, release, namespace) for version in (old, new)]
    for name in report.scenarios:
        before, after = (answers[name] for answers in rendered)
        if isinstance(before, str) or isinstance(after, str):
            where = "both sides" if isinstance(before, str) and isinstance(after, str) else "old" if isinstance(before, str) else "new"
            report.refusals += (Refusal(name, where, before if isinstance(before, str) else after),)
            if where == "new":
                changes.setdefault(Change("refused", "chart", "", "renders", f"refuses: {after}"), []).append(name)
            continue
        for change in changes_between(before, after, namespace or new.scenarios[name].namespace):
            changes.setdefault(change, []).append(name)
    order = {name: index for index, name in enumerate(CONSEQUENCES)}
    report.changes = {change: tuple(where) for change, where in sorted(changes.items(), key=lambda item: order[item[0].consequence])}
    return report


def _rendered(version: Side, names: tuple[str, ...], release: str, namespace: str) -> dict[str, list[Object] | str]:
    """Each scenario's objects, or the refusal's message."""
    cases = {name: version.scenarios[name] for name in names}
    cases = {name: replace(case, release=release or case.release, namespace=namespace or case.namespace) for name, case in cases.items()}
    if version.cached:
        render_all(cases.values(), version.chart)
    answers: dict[str, list[Object] | str] = {}
    for name, case in cases.items():
        try:
            answers[name] = render(case, version.chart, version.cached)
        except RenderError as error:
            answers[name] = shown(str(error)) or ""
    return answers


def changes_between(old: list[Object], new: list[Object], namespace: str = "chat") -> Iterator[Change]:
    """The changes from one render to another, each with its consequence; ``namespace`` is the release's."""
    before, after = _by_identity(old, namespace), _by_identity(new, namespace)
    for identity in [*after, *(identity for identity in before if identity not in after)]:
        item = after.get(identity) or before[identity]
        label = "/".join(part for part in (item.kind, identity[2] if identity[2] != namespace else "", identity[3]) if part)
        if identity in before and identity in after:
            yield from _changed(before[identity], after[identity], label, new)
        else:
            created = identity in after
            twin = next((kind for _, kind, *rest in (before if created else after) if rest == [*identity[2:]] and kind != item.kind and kind in RUNS_PODS), "")
            consequence, note = of_object(item, created, twin)
            yield Change(consequence, label, "", None if created else "removed", "created" if created else None, note)


def _by_identity(objects: list[Object], namespace: str) -> dict[tuple[str, str, str, str], Object]:
    """By (group, kind, namespace, name), as Helm matches them; the hash in the environment's name is no part of it."""
    found = {}
    for item in objects:
        group = item.body.get("apiVersion", "").rpartition("/")[0]
        # A name such as `y` or 1 is no string where a template does not quote it.
        where = str(item.body["metadata"].get("namespace") or namespace)
        found[group, item.kind, where, ENVIRONMENT.sub(r"\1*", str(item.name))] = item
    return found


def _changed(old: Object, new: Object, label: str, objects: list[Object]) -> Iterator[Change]:
    moved = old.name != new.name
    found = False
    for path, before, after in differences(plain(old.body), plain(new.body)):
        if _is_noise(new, path, before, after):
            continue
        found = found or path.startswith("data")
        consequence, note = of_change(old, new, path, before, after, objects)
        yield Change(consequence, label, shown(path) or "", shown(before, after), shown(after, before), note)
    if moved and not found:
        consequence, note = of_environment(new, objects)
        yield Change(consequence, label, "metadata.name", shown(old.name), shown(new.name), note)


def _is_noise(item: Object, path: str, old: object, new: object) -> bool:
    return (
        old is not None
        and new is not None
        and any(
            re.fullmatch(noise.objects, f"{item.chart}/{item.kind}/{item.name}")
            and re.fullmatch(noise.path, path)
            and re.sub(noise.varies, "", str(old), count=1) == re.sub(noise.varies, "", str(new), count=1)
            for noise in NOISE
        )
    )
