"""The documents of the repository: their fenced blocks, and the commands in these."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from scout_chat.core.paths import CHART, ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", CHART / "README.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A comment before a block says why the suite neither runs, renders nor parses it.
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a document. ``place``: the document and the line."""

    place: str
    language: str
    text: str


@dataclass(frozen=True)
class Shell:
    """One simple command of a block, without its pipes: the program and its arguments."""

    place: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0].removeprefix(".venv/bin/")


@cache
def blocks() -> list[Block]:
    """Return every fenced block of every document."""
    found = []
    for path in DOCUMENTS:
        content = path.read_text()
        for match in FENCE.finditer(content):
            indent = match["indent"]
            lines = [line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)]
            line = content.count("\n", 0, match.start()) + 1
            found.append(Block(f"{path.relative_to(ROOT)}:{line}", match["language"], "".join(lines)))
    return found


def commands(block: Block) -> list[Shell]:
    """Return the commands of a block in ``sh``, or after the prompts of a block in ``console``."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    return [Shell(block.place, words) for line in text.splitlines() for words in _simple(line)]


def _simple(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line, those in ``$(...)`` first. Assignments and redirections are left out."""
    for inner in re.findall(r"\$\(([^()]*)\)", line):
        yield from _simple(inner)
    lexer = shlex.shlex(re.sub(r"\$\([^()]*\)", "SUBSTITUTED", line), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for word in [*lexer, ";"]:
        if word not in OPERATORS:
            words += [] if redirected or (not words and re.match(r"[A-Z_]+=", word)) else [word]
            redirected = False
        elif word in (">", ">>", "<"):
            redirected = True
        elif words:
            yield tuple(words)
            words = []
