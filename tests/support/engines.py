"""Arguments of engines for both tiers: the lists in tests/engine-arguments.yaml, and the cases that have engines."""

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
    accepted: dict[str, list[str]] = {}
    refused: dict[str, Refused] = {}


@cache
def table(release: str) -> Table:
    """Return the lists for a release: those for every release, and its own."""
    content = kubeyaml.load((ROOT / "tests/engine-arguments.yaml").read_text())
    every, own = (Table.model_validate(content.get(key, {})) for key in ("every", release))
    refused = {name: entry.model_copy(update={"message": entry.message.replace("{release}", release)}) for name, entry in (every.refused | own.refused).items()}
    return Table(accepted=every.accepted | own.accepted, refused=refused)


@cache
def cases() -> dict[str, Case]:
    """Return every scenario, and a case for every values file that no scenario uses."""
    known = {name for case in scenarios().values() for name in case.values}
    files = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml"))
    alone = [name for name in files if name not in known and not name.startswith(("overlays/", "examples/"))]
    return dict(scenarios()) | {name: Case(name, (name,)) for name in alone}
