"""Read the invalid values in tests/invalid-values: each file is one mistake, with the message that a user must see."""

import json
from dataclasses import replace
from functools import cache
from itertools import takewhile

from pydantic import BaseModel, ConfigDict

from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT

FOLDER = ROOT / "tests" / "invalid-values"


class InvalidValue(BaseModel):
    """One mistake in the values.

    ``scenario`` is the scenario whose values it changes; empty for the chart's defaults. ``set`` maps paths to values, ``release`` is the
    release's name. ``schemaMessage`` is the schema's message, with the value's path; empty if the schema cannot detect the mistake.
    ``templateMessage`` is the templates' message, which no Helm option skips; empty if only the schema detects the mistake. ``defect``
    names the defect that the check prevents: one of the old role, or D1 to D20 of the vllm-stack chart. ``alone``: the mistake breaks a
    rule between values, so it is not combined with others. ``why`` is the comment at the top of the file.
    """

    model_config = ConfigDict(extra="forbid")
    scenario: str
    set: dict[str, object] = {}
    release: str = "chat"
    schemaMessage: str = ""
    templateMessage: str = ""
    defect: str = ""
    alone: bool = False
    why: str = ""

    def case(self, helm: str = "helm", schema: bool = True) -> Case:
        """Return the inputs of the render that must be refused."""
        base = scenario(self.scenario) if self.scenario else Case("defaults")
        return replace(base, json=self.settings(), release=self.release, helm=helm, schema=schema)

    def settings(self) -> tuple[str, ...]:
        """Return the values as arguments of ``--set-json``."""
        return tuple(f"{path}={json.dumps(value)}" for path, value in self.set.items())


@cache
def invalid_values() -> dict[str, InvalidValue]:
    """Return every mistake by the name of its file."""
    return {file.stem: _read(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}


def _read(text: str) -> InvalidValue:
    comment = [line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines())]
    return InvalidValue.model_validate(kubeyaml.load(text) | {"why": " ".join(comment)})
