"""Rendered objects for static tests: from the real charts, or from the recorded renders where the archives are not available."""

import atexit
import json
import tempfile
from functools import cache, reduce
from pathlib import Path

from scout_chat.chart import archives, recorded, upstream
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PRESETS

HAVE_CHARTS = archives.at_hand()


@cache
def rendered(case: Case) -> tuple[Object, ...]:
    """Return the objects of the case. Each process renders or reads them once; do not change them."""
    return tuple(render(case, chart(case.name)))


def given(case: Case) -> KubeObject:
    """Return the values that the case's files and ``extra`` set, merged, without defaults and ``--set``."""
    documents = [*((PRESETS / f"{name}.yaml").read_text() for name in case.values), case.extra or "{}"]
    return reduce(upstream.merge, map(kubeyaml.load, documents), {})


def values_case(*files: str, **values: object) -> Case:
    """Return a case of these values files, with these values over them."""
    return Case("values", files, json.dumps(values) if values else "")


def chart(name: str = "local") -> Path:
    """Return the chart's folder: the real chart, or the recorded render of the scenario."""
    return CHART if HAVE_CHARTS else _recorded(name)


@cache
def _recorded(name: str) -> Path:
    return recorded.chart(scenario(name), Path(_folder()) / name)


@cache
def _folder() -> str:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder.name
