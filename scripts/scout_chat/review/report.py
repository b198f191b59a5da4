"""The result of a comparison: changes with their consequences, and what could not be compared."""

from dataclasses import dataclass, field

from scout_chat.review.consequences import CONSEQUENCES


@dataclass(frozen=True)
class Change:
    """One change of an object ``Kind/name``. ``old`` or ``new`` is None where that side has nothing.

    An empty path means the whole object, which is created or removed. Values of Secrets are hidden.
    """

    consequence: str
    object: str
    path: str
    old: str | None
    new: str | None
    note: str = ""


@dataclass(frozen=True)
class Refusal:
    """The chart's message for a scenario that it refuses. ``side``: ``old``, ``new`` or ``both sides``."""

    scenario: str
    side: str
    message: str


@dataclass(frozen=True)
class ObjectChanges:
    """The changes of one object that have one consequence, in the scenarios that share them."""

    object: str
    scenarios: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def note(self) -> str:
        """The note that all the changes share; empty if they differ."""
        notes = {change.note for change in self.changes}
        return notes.pop() if len(notes) == 1 else ""


@dataclass
class Report:
    """The changes from ``old`` to ``new``, which are the labels of the two sides.

    ``changes`` maps each change to the scenarios that have it, most severe first. ``added`` and ``removed`` are scenarios
    that only the new or only the old side has; they are not compared.
    """

    old: str
    new: str
    scenarios: tuple[str, ...] = ()
    changes: dict[Change, tuple[str, ...]] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def groups(self) -> dict[str, list[ObjectChanges]]:
        """Return the changes by consequence, most severe first, and in each by object."""
        groups: dict[str, dict[tuple[str, tuple[str, ...]], list[Change]]] = {}
        for change, scenarios in self.changes.items():
            groups.setdefault(change.consequence, {}).setdefault((change.object, scenarios), []).append(change)
        return {
            consequence: [ObjectChanges(name, scenarios, tuple(changes)) for (name, scenarios), changes in objects.items()]
            for consequence, objects in groups.items()
        }

    def at_least(self, consequence: str) -> bool:
        """Return whether a change is that severe or more severe."""
        severities = list(CONSEQUENCES)
        return any(severities.index(change.consequence) <= severities.index(consequence) for change in self.changes)
