"""What long commands show: one line per phase with its seconds, and a bar for downloads."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False)
# Takes one short note on what a long step is doing.
Reporter = Callable[[str], None]


def silent(note: str) -> None:
    """A Reporter that shows nothing."""


class Phases:
    """Names the phases of a long command and remembers how long each took.

    ``seconds`` maps phase to seconds, in order. On a terminal the line is live; elsewhere (CI) each note is a line.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[Reporter]:
        start = time.monotonic()
        if sys.stderr.isatty():
            with console.status(f"[bold]{name}[/]") as status:
                yield lambda note: status.update(f"[bold]{name}[/] {note}")
        else:
            last = ""

            def progress(note: str) -> None:
                nonlocal last
                if note != last:
                    console.print(f"  {name}: {note}", markup=False, soft_wrap=True)
                last = note

            yield progress
        self.seconds[name] = time.monotonic() - start
        console.print(f"[green]✓[/] {name:<16} {self.seconds[name]:7.1f} s")

    def run(self, steps: dict[str, Callable[[Reporter], object]]) -> None:
        """Each step as a phase, in order."""
        for name, step in steps.items():
            with self.phase(name) as progress:
                step(progress)

    @property
    def total(self) -> float:
        return sum(self.seconds.values())
