"""Proves: the command line's exit status tells the truth, and no mistake shows a traceback."""

import sys
from types import SimpleNamespace

import pytest
from scout_chat.cli import app
from scout_chat.core.errors import UserError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["scout-chat", *arguments])
    with pytest.raises(SystemExit) as done:
        app.main()
    return done.value.code or 0


@pytest.mark.parametrize(("static", "cluster", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (5, 0, 5)])
def test_a_failed_tier_fails_the_command(static: int, cluster: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A green tier after a red one must not hide it."""
    results = {"tests/static": static, "tests/cluster": cluster}
    monkeypatch.setattr(app, "_pytest", lambda path, *_: results[path])
    monkeypatch.setattr(app.clusters, "choose", lambda: SimpleNamespace(preparations={}))
    assert run(monkeypatch, "test") == status


def test_a_tier_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def refuse() -> None:
        raise UserError("no Docker engine answers")

    monkeypatch.setattr(app, "_pytest", lambda *_: 0)
    monkeypatch.setattr(app.clusters, "choose", refuse)
    assert run(monkeypatch, "test") == 0
    assert "cluster tier not run: no Docker engine answers" in capsys.readouterr().err


def test_a_users_mistake_is_one_message_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, "test", "fast") == 1
    assert capsys.readouterr().err == "Error: there is no tier fast\nTiers: static, cluster, all\n"


def test_ci_never_writes_snapshots(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("CI", "true")
    assert run(monkeypatch, "snapshot") == 1
    assert "CI never writes snapshots" in capsys.readouterr().err


def test_an_unknown_option_is_status_2_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, "chat", "up", "--fast") == 2
    assert "No such option" in capsys.readouterr().err
