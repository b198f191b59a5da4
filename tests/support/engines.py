"""Arguments of engines, for both tiers: the table of lists, and the cases that make engines."""

from functools import cache

from pydantic import BaseModel, ConfigDict
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS, ROOT


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Refused(_Strict):
    arguments: list[str]
    message: str


class Table(_Strict):
    accepted: dict[str, list[str]]
    refused: dict[str, Refused]


TABLE = Table.model_validate(kubeyaml.load((ROOT / "tests/engine-arguments.yaml").read_text()))


@cache
def cases() -> dict[str, Case]:
    """Every scenario, and every values file that no scenario takes, as somebody tries it."""
    known = {name for case in scenarios().values() for name in case.values}
    files = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml"))
    alone = [name for name in files if name not in known and not name.startswith("overlays/")]
    return dict(scenarios()) | {name: Case(name, (name, "overlays/demo")) for name in alone}
