"""Progress of long commands: one line per phase with its duration, and a live note where there is a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False)

# Receives one short note on what a long step is doing.
Reporter = Callable[[str], None]


def silent(note: str) -> None:
    """A Reporter that shows nothing."""


class Phases:
    """Names the phases of a long command and measures each.

    ``seconds`` maps a phase to its duration in seconds, in order.
    On a terminal the notes of a phase replace each other; elsewhere, as in CI, each note is a line.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[Reporter]:
        """Measure one phase and give its Reporter."""
        start = time.monotonic()
        if sys.stderr.isatty():
            with console.status(f"[bold]{name}[/]") as status:
                yield lambda note: status.update(f"[bold]{name}[/] {note}")
        else:
            last = ""

            def print_changed(note: str) -> None:
                nonlocal last
                if note != last:
                    console.print(f"  {name}: {note}", markup=False, soft_wrap=True)
                last = note

            yield print_changed
        self.seconds[name] = time.monotonic() - start
        console.print(f"[green]✓[/] {name:<16} {self.seconds[name]:7.1f} s")

    def run(self, steps: dict[str, Callable[[Reporter], object]]) -> None:
        """Run each step as a phase, in order."""
        for name, step in steps.items():
            with self.phase(name) as progress:
                step(progress)

    @property
    def total(self) -> float:
        """Seconds of all phases together."""
        return sum(self.seconds.values())
