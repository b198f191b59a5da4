"""Waivers: findings of a rule that the project accepts. ``tests/waivers.yaml`` lists them, each with a reason and an expiry date."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache

from pydantic import BaseModel, ConfigDict
from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT

FILE = ROOT / "tests" / "waivers.yaml"


@dataclass(frozen=True)
class Finding:
    """A rule's sentence about an object (Kind/name) of a scenario."""

    rule: str
    scenario: str
    object: str
    what: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.object}: {self.what}"


class Waiver(BaseModel):
    """A rule, and globs that match the accepted findings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rule: str
    object: str
    what: tuple[str, ...] = ("*",)
    scenario: str = "*"
    reason: str
    expires: date | None

    def covers(self, finding: Finding) -> bool:
        if finding.rule != self.rule or not any(fnmatchcase(finding.what, glob) for glob in self.what):
            return False
        return fnmatchcase(finding.object, self.object) and fnmatchcase(finding.scenario, self.scenario)

    def __str__(self) -> str:
        return f"{self.rule}, {self.object}, {' or '.join(self.what)}, scenario {self.scenario} ({self.reason})"


@cache
def waivers() -> tuple[Waiver, ...]:
    """Return all waivers. An external object waives every finding that names it, and does not expire."""
    content = kubeyaml.load(FILE.read_text())
    external = [
        Waiver(rule="selectors" if name.startswith("Pod/") else "references", object="*", what=(f"{name} is not in *",), reason=reason, expires=None)
        for name, reason in content["external"].items()
    ]
    return (*external, *(Waiver.model_validate(entry) for entry in content["waivers"]))


def unwaived(findings: Iterable[Finding], accepted: Iterable[Waiver]) -> list[Finding]:
    """Return the findings that no waiver covers."""
    by_rule: dict[str, list[Waiver]] = {}
    for waiver in accepted:
        by_rule.setdefault(waiver.rule, []).append(waiver)
    return [finding for finding in findings if not any(waiver.covers(finding) for waiver in by_rule.get(finding.rule, []))]


def unused(findings: Iterable[Finding], accepted: Iterable[Waiver]) -> list[Waiver]:
    """Return the waivers that cover no finding."""
    return [waiver for waiver in accepted if not any(waiver.covers(finding) for finding in findings)]


def expired(accepted: Iterable[Waiver], today: date) -> list[Waiver]:
    """Return the waivers whose expiry date is before today."""
    return [waiver for waiver in accepted if waiver.expires and waiver.expires < today]
