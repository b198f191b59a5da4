"""Change the version of one pinned part and report the effect. A failure leaves the checkout as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scout_chat.core.command import run as run_program
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.core.progress import Reporter
from scout_chat.maintain import pinned_parts
from scout_chat.maintain.pinned_parts import scout_chat

# Files that keep old versions on purpose, and those that the report shows in other ways.
NOT_SEARCHED = (":!tests/snapshots", ":!schema/vllm", ":!CHANGELOG.md", ":!changelog.d", ":!*requirements.txt", ":!*go.sum", ":!requirements.lock")


@dataclass(frozen=True)
class Bump:
    """The effect of a new version.

    ``lines``: what the part's new version adds and removes. ``files``: the files that changed, as git names them. ``review``: what an
    upgrade changes on a cluster, as `scout-chat diff` prints it. ``remaining``: lines that still name the old version.
    """

    part: str
    old: str
    new: str
    lines: list[str]
    files: list[str]
    review: str
    remaining: list[str]


def run(name: str, version: str, progress: Reporter) -> Bump:
    """Change the pin, write every generated file and snapshot, and compare with the last commit.

    Raises UserError for an unknown part or version, for a version that cannot be had, and for a checkout with changes that are not
    committed. The files are then as before.
    """
    part = pinned_parts.find(name)
    if version.removeprefix("v") == part.version.removeprefix("v"):
        raise UserError(f"{name} is {part.version} already")
    if dirty := _status():
        some = ", ".join(dirty[:3]) + (" and more" if len(dirty) > 3 else "")
        raise UserError(f"not everything is committed: {some}", "Commit or stash it: the effect is shown against the last commit.")
    write = part.prepare(version, progress)
    with _restored_after_failure():
        lines = write()
        progress("writing the generated files")
        scout_chat("generate")
        progress("rendering the snapshots")
        scout_chat("snapshot")
        files = _status()
        progress("comparing with the last commit")
        review = scout_chat("diff").strip()
    return Bump(name, part.version, version, lines, files, review, _mentions(part.version))


def report(bump: Bump) -> str:
    """Return the effect as text: the part's own changes, the files, the consequences on a cluster, and what is left to do."""
    parts = [f"{bump.part}: {bump.old} → {bump.new}"]
    parts += ["\n".join(bump.lines)] if bump.lines else []
    parts += [f"Changed files ({len(bump.files)}):\n" + "\n".join(f"  {line}" for line in _grouped(bump.files))]
    parts += [bump.review]
    if bump.remaining:
        parts += [f"Lines that still name {bump.old} ({len(bump.remaining)}); which of them should?\n" + "\n".join(f"  {line}" for line in bump.remaining)]
    return "\n\n".join([*parts, "Next: read git diff, run make test, add a fragment to changelog.d, and commit."])


def _grouped(files: list[str]) -> list[str]:
    """Return the files, with the snapshots as one line."""
    snapshots = [file for file in files if file.startswith("tests/snapshots/")]
    return [file for file in files if file not in snapshots] + ([f"tests/snapshots ({len(snapshots)})"] if snapshots else [])


def _status() -> list[str]:
    """Return the files that differ from the last commit, also new ones."""
    return [line[3:] for line in _git("status", "--porcelain", "--untracked-files=all").splitlines()]


@contextmanager
def _restored_after_failure() -> Iterator[None]:
    """Restore the files of the last commit, and remove new ones, if the block fails or is interrupted. There was nothing else before."""
    try:
        yield
    except BaseException:
        _git("restore", "--staged", "--worktree", ".")
        for file in _status():
            (ROOT / file).unlink()
        raise


def _mentions(version: str) -> list[str]:
    """Return the lines of the repository that name the version, as ``file:line: text``."""
    found = run_program("git", "-C", str(ROOT), "grep", "-nwF", version.removeprefix("v"), "--", *NOT_SEARCHED, check=False)
    return [line if len(line) <= 150 else f"{line[:147]}..." for line in found.splitlines()]


def _git(*arguments: str) -> str:
    return run_program("git", "-C", str(ROOT), *arguments)
