"""The chart where its subcharts' archives cannot be had: own templates live, subcharts' objects as the snapshots recorded them."""

import shutil
from pathlib import Path

from . import kubeyaml, schema
from .errors import UserError
from .paths import CHART
from .pins import pins
from .render import Case
from .scenarios import scenario, scenarios
from .snapshot import ENV_HASH, recorded, untokened

NOTICE = "The chart archives cannot be had here: the subcharts' objects come from the reviewed snapshots (recorded renders)."


def chart(case: Case, folder: Path) -> Path:
    """A copy of the chart in ``folder`` that installs the case without its dependencies.

    The copy has no ``dependencies``; the recorded objects are its templates, with the environment's hash computed live, so a
    changed chat setting still rolls the pods. The subcharts' defaults, which the checks of values look at, come from schema/upstream.
    Release and namespace are those of the record. Raises UserError for a case that has no record.
    """
    if case.name not in scenarios() or (case.release, case.namespace) != (scenario(case.name).release, scenario(case.name).namespace):
        raise UserError(
            f"there is no recorded render of {case.name} as release {case.release} in namespace {case.namespace}",
            "Supply the chart archives (scout-chat charts says how), or install one of: " + ", ".join(scenarios()),
        )
    target = folder / "scout-chat"
    shutil.copytree(CHART, target, ignore=shutil.ignore_patterns("*.tgz", "charts", "Chart.lock"))
    metadata = kubeyaml.load((target / "Chart.yaml").read_text())
    del metadata["dependencies"]
    (target / "Chart.yaml").write_text(kubeyaml.dump(metadata))
    values = kubeyaml.load((target / "values.yaml").read_text())
    (target / "values.yaml").write_text(kubeyaml.dump(values | {name: schema.values_of(name) for name in pins().charts}))
    (target / "templates" / "recorded").mkdir()
    (target / "crds").mkdir(exist_ok=True)
    for path, content in recorded(case.name).items():
        if path.name.startswith("CustomResourceDefinition-"):
            (target / "crds" / path.name).write_text(content)
        elif path.parts[1] != "scout-chat":
            (target / "templates" / "recorded" / f"{path.parts[1]}-{path.name}").write_text(_template(untokened(content)))
    return target


def _template(content: str) -> str:
    """The object as a template that renders to itself."""
    escaped = content.replace("{{", '{{ "{{" }}')
    name = '{{ include "scout-chat.webuiEnvName" . }}'
    return escaped.replace(f"{scenario('local').release}-webui-env-{ENV_HASH}", name)
