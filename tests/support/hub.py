"""A Hugging Face Hub for the tests: the parts of huggingface.co that a download uses, on a free port of this machine.

Large files are redirected to another host name, as the real one redirects to its CDN. ``log`` records the requests for files and the
bytes sent. The hub can be slow, gated or down, and it can send wrong bytes.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Bytes from which a file is one of Git LFS. The real hub goes by .gitattributes.
LARGE = 10_000


@dataclass
class Asked:
    """A request for a file's content: the first byte asked for, the bytes sent, and whether it had a token."""

    name: str
    start: int
    sent: int = 0
    token: bool = False


@dataclass
class Hub:
    """``repositories``: files by name, by repository. ``rate``: bytes a second, 0 for no limit. ``broken`` and ``cut``: how many more times a
    file comes with a wrong byte, or ends in the middle."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    gated: bool = False
    token: str = "hf_good"
    cdn: str = "localhost"
    rate: float = 0
    down: bool = False
    broken: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    log: list[Asked] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def names(self) -> set[str]:
        """Return the files that were asked for."""
        return {asked.name for asked in self.log}

    def sent(self, name: str = "") -> int:
        """Return the bytes sent of a file, or of all."""
        return sum(asked.sent for asked in self.log if name in ("", asked.name))

    def forget(self) -> None:
        """Empty the records of requests."""
        self.log.clear()
        self.requests.clear()

    @contextmanager
    def running(self, address: str = "127.0.0.1") -> Iterator["Hub"]:
        """Serve on the address until the context ends."""
        server = ThreadingHTTPServer((address, 0), type("Handler", (_Handler,), {"hub": self}))
        server.daemon_threads = True
        self.url = f"http://{address}:{server.server_port}"
        self.cdn = f"http://{self.cdn if address == '127.0.0.1' else address}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.down:
            return self.refuse(503)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self.answer_model("/".join(parts[2:4]), "/".join(parts[5:]))
        if parts[0] == "cdn":
            return self.answer_content("/".join(parts[1:3]), "/".join(parts[3:]))
        return self.answer_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def refuse(self, status: int, code: str = "", message: str = "") -> None:
        self.send_response(status)
        for header, value in (("X-Error-Code", code), ("X-Error-Message", message), ("Content-Length", "0")):
            if value:
                self.send_header(header, value)
        self.end_headers()

    def refused(self, repository: str, revision: str) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given not in (self.hub.token, "hf_other"):
            self.refuse(401, message="Invalid credentials in Authorization header")
        elif repository not in self.hub.repositories:
            self.refuse(404 if given else 401, "RepoNotFound", "Repository not found")
        elif revision not in ("main", self.hub.commit):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return False
        return True

    def answer_model(self, repository: str, revision: str) -> None:
        """Send the list of files. It needs no token: that of a gated model is public too."""
        if self.refused(repository, revision or "main"):
            return
        siblings = []
        for name, content in self.hub.repositories[repository].items():
            siblings.append({"rfilename": name, "size": len(content), "blobId": git_sha1(content)})
            if len(content) >= LARGE:
                siblings[-1]["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
        self.send({"id": repository, "modelId": repository, "sha": self.hub.commit, "private": False, "tags": [], "downloads": 0, "siblings": siblings})

    def answer_file(self, repository: str, revision: str, name: str) -> None:
        if self.refused(repository, revision):
            return
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.hub.gated and given != self.hub.token:
            return self.refuse(403 if given else 401, "GatedRepo", f"Access to model {repository} is restricted")
        content = self.hub.repositories[repository].get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        if len(content) < LARGE:
            return self.answer_content(repository, name)
        self.send_response(302)
        self.send_header("Location", f"{self.hub.cdn}/cdn/{repository}/{quote(name)}")
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("X-Linked-Etag", f'"{sha256(content)}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_content(self, repository: str, name: str) -> None:
        content = self.hub.repositories[repository][name]
        size = len(content)
        spec = self.headers.get("Range", "")
        start = int(spec.removeprefix("bytes=").split("-")[0]) if spec else 0
        self.send_response(206 if spec else 200)
        self.send_header("ETag", f'"{sha256(content) if size >= LARGE else git_sha1(content)}"')
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Content-Length", str(size - start))
        if spec:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        asked = Asked(name, start, token=bool(self.headers.get("Authorization")))
        self.hub.log.append(asked)
        if self.hub.broken.get(name, 0) > 0:
            self.hub.broken[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        end = size
        if self.hub.cut.get(name, 0) > 0:
            self.hub.cut[name] -= 1
            end = start + (size - start) // 2
        self.stream(asked, content[start:end])
        if end < size:
            self.close_connection = True

    def stream(self, asked: Asked, content: bytes) -> None:
        step = 65536
        for at in range(0, len(content), step):
            chunk = content[at : at + step]
            try:
                self.wfile.write(chunk)
            except OSError:
                self.close_connection = True
                return
            asked.sent += len(chunk)
            if self.hub.rate:
                time.sleep(len(chunk) / self.hub.rate)

    def send(self, body: dict[str, object]) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


@cache
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
