"""Input for chart-testing: a chart repository on a loopback address, and a Git repository with the chart at two revisions."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.core.tools import tool

FOLDER = CHART.relative_to(ROOT)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served_archives(folder: Path) -> Iterator[str]:
    """Serve a chart repository with this machine's upstream archives, and yield its address. Helm writes the index.

    Other versions in the user cache are served too, because the previous chart may depend on them.
    """
    for archive in archives.resolve(download=False):
        for path in archive.path.parent.glob(f"{archive.name}-*.tgz"):
            shutil.copy(path, folder)
    helm("repo", "index", str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def helm(*arguments: str) -> None:
    """Run Helm. Fails with its error message."""
    result = subprocess.run([tool("helm"), *arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"helm {' '.join(arguments)}: {result.stderr}"


def git(folder: Path, *arguments: str) -> str:
    """Run git in the folder and return its output. Fails with its error message."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    result = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"git {' '.join(arguments)}: {result.stderr}"
    return result.stdout.strip()


class GitRepository:
    """The repository in which chart-testing compares the checked-out commit with origin/main."""

    def __init__(self, root: Path) -> None:
        self.root, self.chart = root, root / FOLDER
        git(root, "init", "--quiet", "--initial-branch=main")
        (root / ".gitignore").write_text("*.tgz\n")

    def commit(self, message: str) -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", f"--message={message}")

    def publish(self) -> None:
        """Make the commit origin/main, and remove the chart from the working tree for the next commit."""
        git(self.root, "update-ref", "refs/remotes/origin/main", "HEAD")
        shutil.rmtree(self.chart)

    def copy_revision(self, revision: str) -> None:
        """Copy the chart of this checkout at ``revision``."""
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", revision, str(FOLDER)], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", str(self.root)], input=archive.stdout, check=True)

    def copy_working_tree(self) -> None:
        """Copy the chart of this checkout's working tree, without the archives."""
        shutil.copytree(CHART, self.chart, ignore=shutil.ignore_patterns("*.tgz", "__pycache__"))

    def depend_on(self, url: str) -> None:
        """Replace the upstream charts' repositories by ``url``."""
        for name in ("Chart.yaml", "Chart.lock"):
            file = self.chart / name
            text = file.read_text()
            for pin in pins().charts.values():
                assert pin.repository in text, f"{name} does not name {pin.repository}"
                text = text.replace(pin.repository, url)
            file.write_text(text)
        # The lock has a digest of the addresses.
        helm("dependency", "update", str(self.chart))

    def set_version(self, version: str) -> None:
        """Change the chart's version."""
        file = self.chart / "Chart.yaml"
        before = f"\nversion: {kubeyaml.load(file.read_text())['version']}\n"
        assert file.read_text().count(before) == 1
        file.write_text(file.read_text().replace(before, f"\nversion: {version}\n"))

    def move_to_defaults(self, paths: tuple[str, ...]) -> list[str]:
        """Move values from the ``ci`` files to values.yaml, so that the chart installs the same without them. Returns the paths that it moved."""
        moved = []
        defaults = kubeyaml.load((self.chart / "values.yaml").read_text())
        for file in self.chart.glob("ci/*-values.yaml"):
            values = kubeyaml.load(file.read_text())
            if here := [path for path in paths if _move(values, defaults, path.split("."))]:
                file.write_text(kubeyaml.dump(values))
                (self.chart / "values.yaml").write_text(kubeyaml.dump(defaults))
                moved += here
        return moved


def _move(values: KubeObject, defaults: KubeObject, path: list[str]) -> bool:
    """Move one value; return whether it existed."""
    *parents, last = path
    for key in parents:
        if key not in values:
            return False
        values, defaults = values[key], defaults.setdefault(key, {})
    if last not in values:
        return False
    defaults[last] = values.pop(last)
    return True


def previous_revision() -> str:
    """Return the newest commit of this branch whose chart differs from the working tree's; empty if the history has none."""
    if not (ROOT / ".git").exists():
        return ""
    for commit in git(ROOT, "rev-list", "--first-parent", "HEAD").split():
        if git(ROOT, "diff", "--name-only", commit, "--", str(FOLDER), f":!{FOLDER}/README.md"):
            return commit
    return ""
