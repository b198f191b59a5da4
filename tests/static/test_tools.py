"""Proves: a tool on PATH is used only in its pinned version, a release only with its published sha256, and failures are explained.

It does not prove that a release or a build works.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from scout_chat.core import tools
from scout_chat.core.errors import UserError
from scout_chat.core.pins import ToolPin

from tests.support.file_server import Files, serving

BINARY = b"#!/bin/sh\necho demo v1.2.3\n"


@pytest.fixture
def ranges() -> list[str]:
    """The ranges that were requested."""
    Files.ranges.clear()
    return Files.ranges


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A release server for the files under tmp_path/www. Returns its address."""
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www") as address:
        yield address


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
