"""Find and download files of the Python package index that uv and pip use."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pip._internal.models.index import PyPI

from scout_chat.core.download import download
from scout_chat.core.errors import UserError
from scout_chat.core.paths import sha256
from scout_chat.core.progress import Reporter


@dataclass(frozen=True)
class IndexFile:
    """A file of a project on the index."""

    name: str
    url: str
    sha256: str


def find(project: str, name: str) -> IndexFile:
    """Return the file of a project, such as ``vllm-0.33.0.tar.gz``. Raises UserError if the index cannot be reached or does not have it."""
    import httpx

    try:
        answer = httpx.get(f"{_index()}/{project}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}, follow_redirects=True, timeout=60)
        files: list[dict[str, Any]] = answer.raise_for_status().json()["files"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise UserError(
            f"the Python package index does not list the files of {project}: {error}", "Check the connection, or set UV_DEFAULT_INDEX to a mirror."
        ) from None
    for file in files:
        if file["filename"] == name:
            return IndexFile(name, file["url"], file["hashes"]["sha256"])
    alike = [file for file in files if file["filename"].endswith(Path(name).suffix)]
    newest = [file["filename"] for file in sorted(alike, key=lambda file: file.get("upload-time", ""))][-3:]
    raise UserError(f"the Python package index has no {name}", f"The newest there are {', '.join(newest)}." if newest else "Is the version right?")


def fetch(file: IndexFile, target: Path, progress: Reporter) -> None:
    """Download the file to ``target``. Raises UserError if it cannot be had, or is not the one that the index lists; nothing is left then."""
    import httpx

    try:
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            download(client, file.url, target, file.name, progress)
    except httpx.HTTPError as error:
        raise UserError(f"{file.name} cannot be downloaded: {error}", "Run the command again.") from None
    if sha256(target) != file.sha256:
        target.unlink()
        raise UserError(f"{file.name} is not the file that the package index lists: its sha256 differs", "Do not use it. Is the index a mirror?")


def _index() -> str:
    configured = next((os.environ[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL") if os.environ.get(name)), "")
    return (configured or PyPI.simple_url).rstrip("/")
