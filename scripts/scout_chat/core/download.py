"""Download files over HTTP, and resume what an interruption left."""

from pathlib import Path
from typing import TYPE_CHECKING

from scout_chat.core.progress import Reporter

if TYPE_CHECKING:  # imported where it is used: it doubles the start-up time of every command
    import httpx


def download(client: "httpx.Client", url: str, target: Path, name: str, progress: Reporter) -> None:
    """Download ``url`` to ``target``. Resumes an interrupted download if the server supports it.

    ``name`` is what the progress bar says. Raises httpx.HTTPError if the server cannot be reached or refuses.
    """
    done = target.stat().st_size if target.exists() else 0
    with client.stream("GET", url, headers={"Range": f"bytes={done}-"} if done else {}) as response:
        if response.status_code == 416:  # the file is complete
            return
        response.raise_for_status()
        resumed = response.status_code == 206
        size = int(response.headers.get("content-length", 0)) + (done if resumed else 0)
        with target.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes(1 << 20):
                file.write(chunk)
                progress(_bar(name, file.tell(), size))


def _bar(name: str, done: int, size: int) -> str:
    """Return ``helm ━━━━━━━━━━          50 % of 18 MiB``, in steps of five percent."""
    step = done * 20 // size if size else 0
    return f"{name} {'━' * step:<20} {step * 5} % of {size >> 20} MiB"
