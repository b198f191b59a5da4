"""Proves: a tool on PATH is used only in its pinned version, a release only with its published sha256, and failures are explained.

It does not prove that a release or a build works.
"""

import functools
import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from scout_chat.core import tools
from scout_chat.core.errors import UserError
from scout_chat.core.pins import ToolPin

BINARY = b"#!/bin/sh\necho demo v1.2.3\n"


class Releases(http.server.SimpleHTTPRequestHandler):
    """A server of files and of parts of them, which records the requested ranges."""

    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if wanted := self.headers.get("Range"):
            self.ranges.append(wanted)
            rest = Path(self.translate_path(self.path)).read_bytes()[int(wanted[6:-1]) :]
            self.send_response(206)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ranges() -> list[str]:
    """The ranges that were requested."""
    Releases.ranges.clear()
    return Releases.ranges


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A release server on loopback, for the files under tmp_path/www. Returns its address."""
    (tmp_path / "www").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Releases, directory=tmp_path / "www")) as httpd:
        # By default the server takes up to half a second to stop.
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture
def demo(own_cache: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pinned tool that only the release server has. Returns its name."""
    pin = ToolPin(version="1.2.3", module="none", package="none", release=f"{server}/demo", checksum="{release}.sha256", accept=["version"])
    monkeypatch.setattr(tools, "_pin", lambda name: pin)
    monkeypatch.setenv("PATH", str(own_cache))
    monkeypatch.delenv("SCOUT_CHAT_TOOLS", raising=False)
    return "demo"


def publish(tmp_path: Path, digest: str) -> None:
    """Put the tool and its digest on the release server."""
    (tmp_path / "www/demo").write_bytes(BINARY)
    (tmp_path / "www/demo.sha256").write_text(f"{digest}  demo\n")


def test_a_release_with_its_digest_is_used_and_cached(demo: str, tmp_path: Path) -> None:
    publish(tmp_path, hashlib.sha256(BINARY).hexdigest())
    path = Path(tools.tool(demo))
    assert path.read_bytes() == BINARY and path.stat().st_mode & 0o111
    assert tools.find(demo).source == "cache"


def test_an_interrupted_download_is_resumed(demo: str, tmp_path: Path, own_cache: Path, ranges: list[str]) -> None:
    publish(tmp_path, hashlib.sha256(BINARY).hexdigest())
    (own_cache / "bin").mkdir(parents=True)
    (own_cache / "bin/.demo-1.2.3.download").write_bytes(BINARY[:10])
    assert Path(tools.tool(demo)).read_bytes() == BINARY
    assert ranges == ["bytes=10-"]


def test_a_release_with_another_digest_is_refused(demo: str, tmp_path: Path, own_cache: Path) -> None:
    publish(tmp_path, "0" * 64)
    with pytest.raises(UserError, match="sha256 is .*, but .* says 0000"):
        tools.tool(demo)
    assert not list(own_cache.glob("bin/demo*"))


def test_without_a_release_and_without_go_the_message_says_what_to_install(demo: str) -> None:
    with pytest.raises(UserError, match=r"demo 1.2.3 is not on PATH, its release cannot be downloaded, and Go is not installed to build it"):
        tools.tool(demo)


@pytest.mark.parametrize(("version", "source"), [("v1.2.3", "PATH"), ("v1.2.30", ""), ("v1.1.0", "")])
def test_a_tool_on_path_is_used_only_in_its_pinned_version(version: str, source: str, demo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "demo"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.find(demo).source == source


def test_a_failed_build_shows_the_message_of_the_compiler(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'no required module provides package' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "DISK_GIB", 0)
    monkeypatch.setattr(tools, "_pin", lambda name: ToolPin(version="1", module="helm4", package="none"))
    with pytest.raises(UserError, match="building demo 1 failed:\nno required module provides package"):
        tools.tool("demo")
    assert not list(own_cache.glob("bin/.demo-1.*"))


def test_a_small_disk_is_refused_before_the_build(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_CHAT_TOOLS", "build")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 30))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/go" if name == "go" else None)
    with pytest.raises(UserError, match="building etcd needs up to 12 GiB"):
        tools.tool("etcd")
