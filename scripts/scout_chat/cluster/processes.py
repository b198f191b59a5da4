"""Processes that outlive the command which starts them, identified by pid and start time."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scout_chat.core.errors import UserError


class Processes:
    """The processes of one node. Pid files are in ``folder``/pids, output in ``folder``/log."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env

    def start(self, name: str, *command: str | Path) -> None:
        """Start the process in a session of its own, unless it already runs."""
        if self.alive(name):
            return
        log = self.folder / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "pids").mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.env,
                start_new_session=True,
            )
        self._file(name).write_text(f"{process.pid} {start_time(process.pid)}")

    def alive(self, name: str) -> bool:
        """Return whether the process runs."""
        return self.pid(name) is not None

    def pid(self, name: str) -> int | None:
        """Return the pid if this very process still runs. The start time tells it from another process with the same pid."""
        try:
            pid, started = self._file(name).read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def names(self) -> list[str]:
        """Return the names of all processes that were started."""
        return sorted(file.stem for file in self.folder.glob("pids/*.pid"))

    def wait(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until ``ready`` is true. Raises UserError with the process's last lines if it dies or ``seconds`` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive(name):
                raise UserError(f"{name} died while starting:\n{self.tail(name)}", self._hint(name))
            if time.monotonic() > deadline:
                raise UserError(f"{name} was not ready after {seconds:.0f} s:\n{self.tail(name)}", self._hint(name))
            time.sleep(0.2)

    def stop_all(self) -> None:
        """Stop all processes: SIGTERM, then after five seconds SIGKILL."""
        pids = [pid for pid in map(self.pid, self.names()) if pid]
        stop(pids)

    def tail(self, name: str, lines: int = 8) -> str:
        """Return the last lines of the process's output."""
        try:
            text = (self.folder / "log" / f"{name}.log").read_text(errors="replace")
        except FileNotFoundError:
            return "(no output)"
        return "\n".join(text.splitlines()[-lines:])

    def _file(self, name: str) -> Path:
        return self.folder / "pids" / f"{name}.pid"

    def _hint(self, name: str) -> str:
        return f"The whole log: {self.folder / 'log' / name}.log. `scout-chat cluster up` again starts what is missing; `cluster down` cleans."


def start_time(pid: int) -> str:
    """Return the process's start time in clock ticks after boot; empty if the process is gone or a zombie."""
    try:
        # The second field is the name in parentheses, which may contain spaces: count the fields after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # While other threads live, a dead first thread is no zombie process: they still hold its ports.
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" and threads <= 1 else fields[19]


def stop(pids: list[int], grace: float = 5) -> None:
    """End the processes: SIGTERM, then after ``grace`` seconds SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while any(start_time(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
