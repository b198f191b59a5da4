"""Proves: Helm knows every helm.sh annotation that the chart uses, and what a hook's pod needs exists before the hook runs.

It does not run a hook; ``helm test`` in the cluster tests does.
"""

import re
from collections.abc import Iterator

from scout_chat.chart.objects import HOOK, annotations, references
from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import DROP, TEST, WEBUI, Defect, Found, Rule, assert_found, assert_holds

WEIGHT = f"{HOOK}-weight"
_EVENTS = [f"{when}-{event}" for event in ("install", "upgrade", "rollback", "delete") for when in ("pre", "post")]
# What Helm 4 and Helm 3 know.
KNOWN = {
    HOOK: [*_EVENTS, "test"],
    f"{HOOK}-delete-policy": ["before-hook-creation", "hook-succeeded", "hook-failed"],
    "helm.sh/resource-policy": ["keep"],
}


def hooks(manifests: Manifests) -> Iterator[Found]:
    """Check Helm's annotations, and that what a hook uses is an installed object or a hook of lower weight."""
    for item in manifests.objects:
        notes = annotations(item)
        for key, known in KNOWN.items():
            for value in re.split(r",\s*", notes[key]) if key in notes else ():
                if value not in known:
                    yield item, f"metadata.annotations: {key} is {value!r}; Helm knows {', '.join(known)}"
        if not re.fullmatch(r"-?\d+", notes.get(WEIGHT, "0")):
            yield item, f"metadata.annotations: {WEIGHT} is {notes[WEIGHT]!r}, which is no number"
        for key in notes.keys() & {WEIGHT, f"{HOOK}-delete-policy"} if HOOK not in notes else ():
            yield item, f"metadata.annotations: {key} without {HOOK}"
    named = {(item.kind, item.name): item for item in manifests.objects}
    for item, where, kind, name, _, _ in references(manifests.nodes, manifests.pods):
        user, used = annotations(item), annotations(named[kind, name]) if (kind, name) in named else {}
        if HOOK in used and HOOK not in user:
            yield item, f"{kind}/{name} is a hook, which is deleted, and this is none ({where})"
        elif HOOK in used and not set(re.split(r",\s*", user[HOOK])) <= set(re.split(r",\s*", used[HOOK])):
            yield item, f"{kind}/{name} exists for {used[HOOK]} only, and this runs for {user[HOOK]} ({where})"
        elif HOOK in used and _weight(used) >= _weight(user):
            yield item, f"{kind}/{name} has weight {_weight(used)} and this {_weight(user)}: it must be lower ({where})"


def _weight(notes: dict[str, str]) -> int:
    value = notes.get(WEIGHT, "0")
    return int(value) if re.fullmatch(r"-?\d+", value) else 0


HOOKS = Rule("hooks", hooks)

DEFECTS: list[Defect] = [
    (TEST, "metadata annotations helm.sh/hook", "tests", "helm.sh/hook is 'tests'; Helm knows pre-install"),
    (TEST, "metadata annotations helm.sh/hook-delete-policy", "hook-success", "'hook-success'; Helm knows before-hook-creation"),
    ("PersistentVolumeClaim/*-storage-claim", "metadata annotations helm.sh/resource-policy", "Keep", "helm.sh/resource-policy is 'Keep'"),
    (TEST, "metadata annotations helm.sh/hook-weight", "first", "helm.sh/hook-weight is 'first', which is no number"),
    (WEBUI, "metadata annotations", {"helm.sh/hook-weight": "1"}, "helm.sh/hook-weight without helm.sh/hook"),
    ("ConfigMap/*-test-chat", "metadata annotations helm.sh/hook-weight", DROP, "ConfigMap/chat-test-chat has weight 0 and this 0: it must be lower"),
    ("ConfigMap/*-test-chat", "metadata annotations helm.sh/hook", "post-install", "exists for post-install only, and this runs for test"),
    (TEST, "metadata annotations", {}, "ConfigMap/chat-test-chat is a hook, which is deleted, and this is none (volume test)"),
]


def test_what_a_hook_needs_is_there_before_it(case: Case) -> None:
    assert_holds(HOOKS, case)


def test_planted_defects_are_found() -> None:
    assert_found(HOOKS, DEFECTS)
