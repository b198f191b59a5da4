"""Find files on the Python package index that uv and pip use."""

import os
from dataclasses import dataclass
from typing import Any

from scout_chat.core.errors import UserError


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
    ending = name[-7:]
    alike = [file for file in files if file["filename"].endswith(ending)]
    newest = [file["filename"] for file in sorted(alike, key=lambda file: file.get("upload-time", ""))][-3:]
    raise UserError(f"the Python package index has no {name}", f"The newest there are {', '.join(newest)}." if newest else "Is the version right?")


def _index() -> str:
    configured = next((os.environ[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL") if os.environ.get(name)), "")
    return (configured or "https://pypi.org/simple").rstrip("/")
