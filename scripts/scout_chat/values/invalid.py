"""The corpus of bad values under tests/bad: each file is one mistake, and the message that a user must see."""

import json
from dataclasses import replace
from functools import cache
from itertools import takewhile

from pydantic import BaseModel, ConfigDict

from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT

FOLDER = ROOT / "tests" / "bad"


class BadValue(BaseModel):
    """One mistake.

    ``over`` is the scenario that it is made in (empty: the chart's own defaults), ``set`` the values by their paths, ``release`` a
    release's name. ``refused`` is what values.schema.json says, with the value's path; without it the schema cannot know. ``words``
    is what the templates say, which no option skips; without them the schema alone knows. ``defect`` names what it would have caught:
    a defect of the old role, or D1 to D20 of the vllm-stack chart. ``alone``: a rule between values, so no other mistake is made with it.
    ``why`` is the comment that the file begins with.
    """

    model_config = ConfigDict(extra="forbid")
    over: str
    set: dict[str, object] = {}
    release: str = "chat"
    refused: str = ""
    words: str = ""
    defect: str = ""
    alone: bool = False
    why: str = ""

    def case(self, helm: str = "helm", schema: bool = True) -> Case:
        base = scenario(self.over) if self.over else Case("defaults")
        return replace(base, json=self.settings(), release=self.release, helm=helm, schema=schema)

    def settings(self) -> tuple[str, ...]:
        return tuple(f"{path}={json.dumps(value)}" for path, value in self.set.items())


@cache
def corpus() -> dict[str, BadValue]:
    """Every mistake by its file's name."""
    return {file.stem: _read(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}


def _read(text: str) -> BadValue:
    comment = [line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines())]
    return BadValue.model_validate(kubeyaml.load(text) | {"why": " ".join(comment)})
