"""Sweeps: rules that hold for every object of every scenario. A rule takes a render and yields (object, what is wrong with it)."""

from functools import cache

from scout_chat.chart.render import Case
from scout_chat.core.pins import pins

from tests.static.conftest import rendered
from tests.static.sweeps import names, objects, pods, references, selectors
from tests.static.sweeps.index import Render
from tests.static.sweeps.waivers import Finding

RULES = {
    "schema": objects.schema,
    "archived-schema": objects.archived_schema,
    "merge-keys": objects.merge_keys,
    "selectors": selectors.selectors,
    "references": references.references,
    "probes": pods.probes,
    "resources": pods.resources,
    "baseline": pods.baseline,
    "restricted": pods.restricted,
    "images": pods.images,
    "secrets": objects.secrets,
    "names": names.names,
    "replicas": objects.replicas,
    "namespace": objects.namespace,
    "labels": objects.labels,
    "tokens": pods.tokens,
    "hooks": references.hooks,
}
# These read Kubernetes' schemas, which differ from minor to minor.
BY_MINOR = ("schema", "archived-schema", "merge-keys")
NEEDS_CHARTS = ("archived-schema",)


def minors(rule: str) -> list[str]:
    return pins().kubernetes if rule in BY_MINOR else pins().kubernetes[:1]


@cache
def index(case: Case) -> Render:
    return Render(case, rendered(case))


def judge(rule: str, swept: Render) -> list[Finding]:
    return [Finding(rule, swept.case.name, f"{item.kind}/{item.name}", what) for item, what in RULES[rule](swept)]


@cache
def findings(rule: str, case: Case) -> tuple[Finding, ...]:
    """What the rule says of the case, waived or not; once a process."""
    return tuple(judge(rule, index(case)))
