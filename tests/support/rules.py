"""Rules: properties of every object of every scenario. Each file of tests/static/objects defines one or two.

A rule reads the manifests of a case and yields each object that breaks it, with a sentence. ``assert_holds`` runs a rule over a
scenario. ``assert_found`` plants defects in copies of real objects and expects the rule to find them.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from scout_chat.chart.render import Case, Object
from scout_chat.chart.scenarios import scenario
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.pins import pins

from tests.support.object_index import Manifests
from tests.support.renders import rendered
from tests.support.waivers import Finding, unwaived, waivers

# An object, and what is wrong with it.
Found = tuple[Object, str]


@dataclass(frozen=True)
class Rule:
    """A rule under the name that tests/waivers.yaml uses.

    ``by_minor``: it reads Kubernetes' schemas, so it runs for every supported minor. ``needs_charts``: it needs the real archives.
    """

    name: str
    check: Callable[[Manifests], Iterator[Found]]
    by_minor: bool = False
    needs_charts: bool = False

    @property
    def minors(self) -> list[str]:
        return pins().kubernetes if self.by_minor else pins().kubernetes[:1]


@cache
def manifests(case: Case) -> Manifests:
    """Return the case's manifests, indexed once per process."""
    return Manifests(case, rendered(case))


def judge(rule: Rule, swept: Manifests) -> list[Finding]:
    """Return what the rule finds, waived or not."""
    return [Finding(rule.name, swept.case.name, f"{item.kind}/{item.name}", what) for item, what in rule.check(swept)]


@cache
def findings(rule: Rule, case: Case) -> tuple[Finding, ...]:
    """Return what the rule finds in the case, waived or not; computed once per process."""
    return tuple(judge(rule, manifests(case)))


def over_minors(rule: Rule, case: Case) -> list[Finding]:
    """Return what the rule finds, for each Kubernetes minor that it depends on."""
    return [finding for minor in rule.minors for finding in findings(rule, replace(case, kubernetes=minor))]


def assert_none(found: Iterable[Finding]) -> None:
    """Assert that a waiver covers every finding."""
    lines = sorted({str(finding) for finding in unwaived(found, waivers())})
    assert not lines, "\n".join(["fix these, or accept them with a reason in tests/waivers.yaml:", *lines])


def assert_holds(rule: Rule, case: Case) -> None:
    """Assert that every object of the case keeps the rule, except where a waiver covers it."""
    assert_none(over_minors(rule, case))


# Defects are planted in this scenario unless the defect names another.
HOSPITAL = "gpt-oss-hospital"
# Globs of objects of this scenario, and the places where defects are planted.
WEBUI, ENGINE, ROUTER = "Deployment/chat-open-webui", "Deployment/*-deployment-vllm", "Deployment/*-deployment-router"
SERVICE, ENVIRONMENT, TEST, POLICY = "Service/chat-open-webui", "ConfigMap/*-webui-env-*", "Pod/*-test-chat", "NetworkPolicy/chat-chat"
BINDING, ROLE, INGRESS = "RoleBinding/*-deployment-access-binding", "Role/*-reader", "Ingress/*"
POD = "spec template spec"
MAIN = f"{POD} containers 0"
# As a defect's object: a whole object is added. As its value: the value is removed.
NEW, DROP = "+", object()

# (object, path, value, what the rule says).
#   object  a glob of Kind/name, with @scenario for another scenario than HOSPITAL; or NEW
#   path    keys with spaces between; an item of a list by number or by name; a last key of + appends
#   value   what is set there, or the object that is added
#   says    part of the rule's sentence; None if this is no defect, and the rule must stay silent
Defect = tuple[str, str, object, str | None]


def new(api: str, kind: str, **body: object) -> KubeObject:
    """Return an object to add."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "planted"}} | body


def service_monitor(endpoint: KubeObject, **labels: str) -> KubeObject:
    """Return a ServiceMonitor to add; by default it selects the Service of Open WebUI."""
    labels = labels or {"app.kubernetes.io/component": "open-webui"}
    return new("monitoring.coreos.com/v1", "ServiceMonitor", spec={"selector": {"matchLabels": labels}, "endpoints": [endpoint]})


def autoscaler(deployment: str) -> KubeObject:
    """Return a HorizontalPodAutoscaler to add."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    return new("autoscaling/v2", "HorizontalPodAutoscaler", spec={"scaleTargetRef": target, "maxReplicas": 2})


def plant(objects: tuple[Object, ...], glob: str, path: str, value: Any) -> tuple[Object, ...]:
    """Return the objects with the defect in a copy of the object that the glob names."""
    if glob == NEW:
        return (*objects, Object("scout-chat", value))
    (target,) = [item for item in objects if fnmatchcase(f"{item.kind}/{item.name}", glob)]
    body: Any = deepcopy(target.body)
    node = body
    *way, last = path.split()
    for key in way:
        node = _item(node, key) if isinstance(node, list) else node.setdefault(key, {})
    if value is DROP:
        del node[last]
    elif last == "+":
        node.append(value)
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return tuple(Object(item.chart, body) if item is target else item for item in objects)


def _item(items: list[KubeObject], key: str) -> KubeObject:
    return items[int(key)] if key.isdigit() else next(item for item in items if item["name"] == key)


def found_anew(rule: Rule, defect: Defect) -> list[str]:
    """Return what the rule says with the defect and did not say without it."""
    glob, path, value, _ = defect
    glob, _, name = glob.partition("@")
    case = scenario(name or HOSPITAL)
    planted = Manifests(case, plant(manifests(case).objects, glob, path, value))
    before = findings(rule, case)
    return [finding.what for finding in judge(rule, planted) if finding not in before]


def assert_found(rule: Rule, defects: list[Defect]) -> None:
    """Assert that the rule finds each planted defect, and stays silent where the change is no defect."""
    assert any(says for *_, says in defects)
    missed = []
    for defect in defects:
        glob, path, value, says = defect
        found = found_anew(rule, defect)
        if not any(says in what for what in found) if says else found:
            missed.append(f"{glob} {path} = {value}: {f'nothing says {says!r}' if says else 'this is no defect'}, but found {found}")
    assert not missed, "\n".join(missed)
