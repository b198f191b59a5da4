"""Recorded renders: an installable chart for machines that cannot get the subcharts' archives.

This chart's own templates are rendered live; the subcharts' objects come from the reviewed snapshots.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from scout_chat.chart import archives, upstream
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.chart.snapshots import ENV_HASH, recorded, untokened
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART
from scout_chat.core.pins import pins

NOTICE = "The chart archives are not available: the subcharts' objects come from the reviewed snapshots (recorded renders)."


def chart(case: Case, folder: Path) -> Path:
    """Write a copy of the chart to ``folder`` that installs the case without its dependencies, and return it.

    The recorded objects are templates of the copy. The hash of the chat's environment is computed live, so a changed setting still
    restarts the pods. The subcharts' defaults, which the templates check, come from schema/upstream.
    Raises UserError for a case without a record, or for another release name or namespace than the recorded one.
    """
    if case.name not in scenarios() or (case.release, case.namespace) != (scenario(case.name).release, scenario(case.name).namespace):
        raise UserError(
            f"there is no recorded render of {case.name} as release {case.release} in namespace {case.namespace}",
            "Supply the chart archives (scout-chat charts says how), or install one of: " + ", ".join(scenarios()),
        )
    target = folder / "scout-chat"
    shutil.copytree(CHART, target, ignore=shutil.ignore_patterns("*.tgz", "charts", "Chart.lock"))
    for name, content in _without_dependencies().items():
        (target / name).write_text(content)
    (target / "templates" / "recorded").mkdir()
    (target / "crds").mkdir(exist_ok=True)
    for path, content in recorded(case.name).items():
        if path.name.startswith("CustomResourceDefinition-"):
            (target / "crds" / path.name).write_text(content)
        elif path.parts[1] != "scout-chat":
            (target / "templates" / "recorded" / f"{path.parts[1]}-{path.name}").write_text(_template(untokened(content)))
    return target


@cache
def _without_dependencies() -> dict[str, str]:
    """Return the files of the chart that name its dependencies, by file name, as a chart has them whose dependencies are part of it."""
    metadata = kubeyaml.load((CHART / "Chart.yaml").read_text())
    del metadata["dependencies"]
    values = kubeyaml.load((CHART / "values.yaml").read_text())
    values |= {name: upstream.values_of(name) for name in pins().charts}
    return {"Chart.yaml": kubeyaml.dump(metadata), "values.yaml": kubeyaml.dump(values)}


def _template(content: str) -> str:
    """Return a template that renders to the object."""
    escaped = content.replace("{{", '{{ "{{" }}')
    name = '{{ include "scout-chat.webuiEnvName" . }}'
    return escaped.replace(f"{scenario('local').release}-webui-env-{ENV_HASH}", name)


@contextmanager
def chart_for(case: Case) -> Iterator[Path]:
    """Give the chart's folder: the real one if its archives are at hand, else the recorded render of the case."""
    if archives.at_hand():
        yield CHART
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield chart(case, Path(folder))
