"""Compare what two versions of the chart install with the same values, object by object.

Each change has one consequence. A change that several scenarios share is one change.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scout_chat.chart.kubernetes import schema_of
from scout_chat.chart.render import Object, RenderError, render, render_all
from scout_chat.core.errors import UserError
from scout_chat.core.pins import pins
from scout_chat.review.consequences import CONSEQUENCES, RUNS_PODS, of_change, of_environment, of_object
from scout_chat.review.normalize import ENVIRONMENT, normalize, shown
from scout_chat.review.report import Change, Refusal, Report
from scout_chat.review.sides import Side, nearest, side, with_values, working_tree
from scout_chat.review.tree import differences


@dataclass(frozen=True)
class Noise:
    """A difference that has no effect on the cluster, and is left out of the report.

    ``objects`` matches ``chart/Kind/name``, ``path`` the whole path, and ``varies`` the part of the value that may differ.
    A key that only one side has is never noise. Nor is a label of a pod template: its change restarts the pods.
    """

    objects: str
    path: str
    varies: str
    reason: str


NOISE = (
    Noise(r".*", r"metadata\.(labels|annotations)\[helm\.sh/chart\]", r"-v?\d.*", "is the chart's version, which the release states too"),
    Noise(r".*", r"metadata\.(labels|annotations)\[app\.kubernetes\.io/version\]", r".*", "is a version; the image says which one runs"),
    Noise(r"scout-chat/Secret/.*-webui-secrets", r"data\b.*", r".*", "is random in every render; on a cluster the chart keeps the existing values"),
)


def run(source: str, names: list[str], files: list[Path], release: str = "", namespace: str = "") -> Report:
    """Compare ``source``, a git revision or a packaged chart, with the working tree.

    Renders the scenarios ``names`` (all by default), or the user's own values files ``files``.
    Raises UserError if the source, a scenario, a file or the chart archives are missing.
    """
    if names and files:
        raise UserError("--scenario and -f cannot be combined", "A scenario has its own values files (tests/scenarios.yaml): omit one of the two options.")
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
    """Return the named scenarios, or all scenarios of both sides. Raises UserError for a name that neither side has."""
    known = [*new.scenarios, *(name for name in old.scenarios if name not in new.scenarios)]
    for name in names:
        if name not in known:
            raise UserError(f"there is no scenario {name}", f"{nearest(name, known)}Scenarios: {', '.join(known)}")
    return [name for name in known if not names or name in names]


def compare(old: Side, new: Side, names: list[str] | None = None, release: str = "", namespace: str = "") -> Report:
    """Render both sides of the named scenarios (all by default) and compare them. A refusal is part of the report."""
    selected = select(old, new, names or [])
    scenarios = tuple(name for name in selected if name in old.scenarios and name in new.scenarios)
    old_renders, new_renders = (_rendered(version, scenarios, release, namespace) for version in (old, new))
    changes: dict[Change, list[str]] = {}
    refusals = []
    for name in scenarios:
        before, after = old_renders[name], new_renders[name]
        if isinstance(before, str):
            refusals.append(Refusal(name, "both sides" if isinstance(after, str) else "old", before))
        elif isinstance(after, str):
            refusals.append(Refusal(name, "new", after))
            changes.setdefault(Change("refused", "chart", "", "renders", f"refuses: {after}"), []).append(name)
        else:
            for change in changes_between(before, after, namespace or new.scenarios[name].namespace):
                changes.setdefault(change, []).append(name)
    order = {consequence: index for index, consequence in enumerate(CONSEQUENCES)}
    return Report(
        old=old.label,
        new=new.label,
        scenarios=scenarios,
        changes={change: tuple(where) for change, where in sorted(changes.items(), key=lambda item: order[item[0].consequence])},
        added=tuple(name for name in selected if name not in old.scenarios),
        removed=tuple(name for name in selected if name not in new.scenarios),
        refusals=tuple(refusals),
    )


def _rendered(version: Side, names: tuple[str, ...], release: str, namespace: str) -> dict[str, list[Object] | str]:
    """Return each scenario's objects, or the message with which the chart refuses it."""
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
    """Yield the changes from one render to another, each with its consequence. ``namespace`` is the release's."""
    before, after = _by_identity(old, namespace), _by_identity(new, namespace)
    for identity in [*after, *(identity for identity in before if identity not in after)]:
        item = after.get(identity) or before[identity]
        _, kind, where, name = identity
        label = "/".join(part for part in (kind, where if where != namespace else "", name) if part)
        if identity in before and identity in after:
            yield from _changed(before[identity], after[identity], label, new)
        else:
            created = identity in after
            others = before if created else after
            twin = next((other[1] for other in others if other[2:] == identity[2:] and other[1] != kind and other[1] in RUNS_PODS), "")
            consequence, note = of_object(item, created, twin)
            yield Change(consequence, label, "", None if created else "removed", "created" if created else None, note)


def _by_identity(objects: list[Object], namespace: str) -> dict[tuple[str, str, str, str], Object]:
    """Return the objects by group, kind, namespace and name, as Helm matches them.

    The hash in the environment's name is left out, so that a changed environment is one change.
    """
    found = {}
    for item in objects:
        group = item.body.get("apiVersion", "").rpartition("/")[0]
        # A name such as `y` or 1 is not a string if the template does not quote it.
        where = str(item.body["metadata"].get("namespace") or namespace)
        found[group, item.kind, where, ENVIRONMENT.sub(r"\1*", str(item.name))] = item
    return found


def _changed(old: Object, new: Object, label: str, objects: list[Object]) -> Iterator[Change]:
    data_changed = False
    schema = schema_of(new.body, pins().kubernetes[0])
    for path, before, after in differences(normalize(old.body), normalize(new.body), schema=schema):
        if _is_noise(new, path, before, after):
            continue
        data_changed = data_changed or path.startswith("data")
        consequence, note = of_change(old, new, path, before, after, objects)
        yield Change(consequence, label, shown(path) or "", shown(before, after), shown(after, before), note)
    # Another hash is reported on its own only if no changed variable explains it.
    if old.name != new.name and not data_changed:
        consequence, note = of_environment(new, objects)
        yield Change(consequence, label, "metadata.name", shown(old.name), shown(new.name), note)


def _is_noise(item: Object, path: str, old: object, new: object) -> bool:
    if old is None or new is None:
        return False
    return any(
        re.fullmatch(noise.objects, f"{item.chart}/{item.kind}/{item.name}")
        and re.fullmatch(noise.path, path)
        and re.sub(noise.varies, "", str(old), count=1) == re.sub(noise.varies, "", str(new), count=1)
        for noise in NOISE
    )
