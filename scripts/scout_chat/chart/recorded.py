"""The chart where its subcharts' archives cannot be had: own templates live, subcharts' objects as the snapshots recorded them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scout_chat.chart import archives, upstream
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.chart.snapshots import ENV_HASH, recorded, untokened
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART
from scout_chat.core.pins import pins

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
    (target / "values.yaml").write_text(kubeyaml.dump(values | {name: upstream.values_of(name) for name in pins().charts}))
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


@contextmanager
def chart_for(case: Case) -> Iterator[Path]:
    """The chart's folder: the real one if its archives are at hand, else the recorded render of the case."""
    if archives.at_hand():
        yield CHART
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield chart(case, Path(folder))
