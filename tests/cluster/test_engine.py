"""Proves: the real vLLM accepts every engine's arguments and agrees with the record in schema/vllm; the log of a failing engine is reported.

Each engine is judged by the release of its image. Does not prove: that an engine for a GPU starts.
"""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import render
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import install, readiness
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PRESETS, ROOT
from scout_chat.core.pins import pins
from scout_chat.images.store import RECIPES
from scout_chat.vllm import extract, release
from scout_chat.vllm.arguments import EngineCommand, engine_commands, validate

from tests.support.engines import cases, table

SCRIPT = ROOT / "tests/support/judge_arguments.py"
# Arguments that the record does not judge (`vllm.arguments.validate`), and the sweep over all arguments leaves out.
LEFT_OUT = {"--help", "--config", "--chat-template", "--grpc-port", "--lora-modules", "--data-parallel-multi-port-external-lb"}


@cache
def engines() -> dict[str, EngineCommand]:
    """Return the command of each case's engines."""
    found: dict[str, EngineCommand] = {}
    for name, case in cases().items():
        with chart_for(case) as chart:
            made = engine_commands(render(case, chart))
        found |= {f"{name}: {engine}": command for engine, command in made.items()}
    return found


def engines_of(version: str) -> dict[str, list[str]]:
    """Return the arguments of the engines that run the release."""
    return {name: command.arguments for name, command in engines().items() if command.release == version}


@cache
def lists(version: str) -> dict[str, list[str]]:
    """Return every list to judge: the engines', the table's, and each argument of the release without a value, with a number and with a word."""
    both = table(version).accepted | {name: mistake.arguments for name, mistake in table(version).refused.items()}
    named = {f"table: {name}": ["model", *arguments] for name, arguments in both.items()}
    each = [[name, *value] for name in release.recorded(version).arguments if name not in LEFT_OUT for value in ([], ["1"], ["word"])]
    return engines_of(version) | named | {f"sweep: {' '.join(arguments)}": ["model", *arguments] for arguments in each}


@cache
def verdicts(version: str) -> dict[str, str]:
    """Return vLLM's refusal of each list, empty if it accepts it. All in one process: vLLM takes ten seconds to load."""
    answers: dict[str, str] = extract.run_with_vllm(SCRIPT.read_text(), version, lists(version))
    return answers


def test_every_engine_is_judged() -> None:
    """Each runs a pinned release, and each release has engines: a rule over nothing would pass."""
    assert {command.release for command in engines().values()} == set(pins().engine.releases)
    assert any(name.startswith("gpt-oss: ") for name in engines_of(pins().engine.gpu.release))


@pytest.mark.parametrize("version", pins().engine.releases)
def test_every_engines_arguments_are_vllms_own(version: str, one_node: None) -> None:
    refused = verdicts(version)
    assert {name: refused[name] for name in engines_of(version) if refused[name]} == {}


@pytest.mark.parametrize("version", pins().engine.releases)
def test_the_record_and_the_real_vllm_refuse_the_same_arguments(version: str, one_node: None) -> None:
    """They refuse the same lists."""
    mine = {name: "; ".join(validate(arguments, version)) for name, arguments in lists(version).items()}
    real = verdicts(version)
    assert {name: (mine[name], real[name]) for name in real if bool(mine[name]) != bool(real[name])} == {}
    assert mine.keys() == real.keys() and 0 < sum(map(bool, real.values())) < len(real)


def test_an_argument_that_vllm_lacks_is_caught(one_node: None) -> None:
    """In vLLM's own words, which the chart's pod would show (chat/diagnosis.py looks for them)."""
    assert verdicts("v0.32.0")["table: the flag that the old role passed"] == "vllm serve: error: unrecognized arguments: --disable-log-requests"


@pytest.mark.parametrize("version", pins().engine.releases)
def test_the_record_in_schema_is_up_to_date(version: str, one_node: None) -> None:
    """As `scout-chat vllm record --check`, and that it would see a difference."""
    real = extract.read_release(version)
    assert release.text(real) == (release.FOLDER / f"{version}.yaml").read_text()
    parsers = real.toolCallParsers[1:]
    assert release.changes(real.model_copy(update={"toolCallParsers": parsers}), real) == [f"changed: toolCallParsers: +{real.toolCallParsers[0]}"]


@pytest.mark.charts
def test_an_engine_that_dies_is_reported_with_its_last_lines(namespace: Kubectl, provider: Provider) -> None:
    local = kubeyaml.load((PRESETS / "local.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]["vllmConfig"]
    spec = f"vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.extraArgs[{len(local['extraArgs'])}]"
    # The chart would refuse an unknown long option.
    case = replace(scenario("local-node-port"), namespace="engine", sets=(f"{spec}=-zz",))
    install.install(case, provider.kubeconfig())
    with pytest.raises(UserError, match="unrecognized arguments: -zz") as error:
        readiness.wait_for_pods(namespace, case, print)
    assert "vllm in chat-smollm2-135m-deployment-vllm" in str(error.value)
    assert error.value.hint == "Likely cause: an argument in engine.extraArgs, or in the preset, does not exist in this vLLM release"


def test_two_writers_on_one_weights_volume_leave_one_whole_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine image's launcher: a replica that finishes second discards its copy, and touches no file of the first."""
    text = (RECIPES / "vllm-cpu/vllm").read_text()
    module: dict[str, Any] = {"__name__": "launcher"}
    exec(compile(text, "vllm", "exec"), module)
    module["STORE"] = tmp_path / "store"
    (module["STORE"] / "models--a--b").mkdir(parents=True)
    (module["STORE"] / "models--a--b/file").write_text("weights")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    copytree = shutil.copytree
    copies: list[Path] = []

    def copy_while_the_other_replica_starts(source: Path, target: Path, **options: Any) -> None:
        copytree(source, target, **options)
        copies.append(target)
        if len(copies) == 1:
            module["seed"]("a/b")

    monkeypatch.setattr(shutil, "copytree", copy_while_the_other_replica_starts)
    module["seed"]("a/b")
    assert len(copies) == 2
    assert [str(path.relative_to(tmp_path / "data/hub")) for path in (tmp_path / "data/hub").rglob("*")] == ["models--a--b", "models--a--b/file"]
