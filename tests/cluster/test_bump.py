"""Proves, in a clone: `scout-chat bump` makes the step of a pin as it was committed, and a failure leaves the checkout as it was.

Needs no node, but asks the real vLLM. Does not prove the steps of charts, whose repositories the tests do not reach.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scout_chat.core.paths import ROOT
from scout_chat.core.pins import pins
from scout_chat.core.yaml_edit import set_scalars

pytestmark = [pytest.mark.charts, pytest.mark.usefixtures("one_node")]
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@example.org")


class Clone:
    """A clone of this checkout's last commit, with its own `scout-chat`."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        self.folder = folder
        self.scout_chat("charts")

    def scout_chat(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PYTHONPATH": str(self.folder / "scripts")}
        env.pop("CI", None)  # in CI nobody would read the snapshots
        return subprocess.run([sys.executable, "-m", "scout_chat", *arguments], cwd=self.folder, env=env, capture_output=True, text=True)

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *AUTHOR, *arguments], cwd=self.folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_the_step_to_the_pinned_vllm_is_what_was_committed(clone: Clone) -> None:
    """From the CPU release for both images back to the commit: pins, record, chart, presets, documents and snapshots."""
    gpu, cpu = pins().engine.gpu, pins().engine.cpu
    set_scalars(clone.folder / "schema/pins.yaml", {("engine", "gpu", "release"): cpu.release, ("engine", "gpu", "source"): ""})
    (clone.folder / f"schema/vllm/{gpu.release}.yaml").unlink()
    for command in ("generate", "snapshot"):
        assert clone.scout_chat(command).returncode == 0
    clone.git("commit", "-qam", "Before")
    bumped = clone.scout_chat("bump", "vllm", gpu.release)
    print(bumped.stdout)
    assert bumped.returncode == 0, bumped.stderr
    clone.git("add", "--all")
    assert clone.git("diff", "--cached", "--stat", "origin/HEAD") == ""
    for words in (f"vllm: {cpu.release} → {gpu.release}", "engine reloads", "schema/pins.yaml", f"schema/vllm/{gpu.release}.yaml"):
        assert words in bumped.stdout


def test_a_failure_leaves_the_checkout_as_it_was(clone: Clone) -> None:
    """Planted: a template that no render survives, so the step fails after it wrote the pin."""
    template = clone.folder / "charts/scout-chat/templates/broken.yaml"
    template.write_text('{{ fail "broken" }}')
    clone.git("add", "--all")
    clone.git("commit", "-qm", "Break the chart")
    failed = clone.scout_chat("bump", "openai/gpt-oss-20b", "0123456789" * 4)
    assert failed.returncode == 1
    assert "broken" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert clone.git("status", "--porcelain") == ""
