"""The registry of scenarios: the combinations of values that the suite renders. The file is ``tests/scenarios.yaml``."""

import json
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scout_chat.chart.render import Case
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import SCENARIOS
from scout_chat.core.pins import pins


class _Scenario(BaseModel):
    """An entry of the registry; the file explains the fields."""

    model_config = ConfigDict(extra="forbid")
    proves: str
    values: list[str]
    extra: KubeObject = {}
    release: str = "chat"
    namespace: str = "chat"
    kubernetes: str = ""
    apiVersions: list[str] = []

    def case(self, name: str) -> Case:
        return Case(
            name,
            tuple(self.values),
            json.dumps(self.extra, sort_keys=True) if self.extra else "",
            release=self.release,
            namespace=self.namespace,
            kubernetes=self.kubernetes or pins().kubernetes[0],
            api_versions=tuple(self.apiVersions),
        )


def read(file: Path) -> dict[str, Case]:
    """Return the scenarios of a registry by name, in the file's order. Raises pydantic's ValidationError for a malformed entry."""
    return {name: _Scenario.model_validate(body).case(name) for name, body in kubeyaml.load(file.read_text()).items()}


@cache
def scenarios() -> dict[str, Case]:
    """Return every scenario of this checkout by name."""
    return read(SCENARIOS)


def scenario(name: str) -> Case:
    """Return one scenario. Raises UserError, with the known names, if the registry does not have it."""
    if name not in scenarios():
        raise UserError(f"there is no scenario {name}", f"tests/scenarios.yaml has: {', '.join(scenarios())}")
    return scenarios()[name]
