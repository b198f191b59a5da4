"""Proves: every defect in tests/defects.yaml has a test, which exists; the last tests are those that no other file has.

The defects are those of the Ansible role that this chart replaces (R1, R2, ...) and of the vllm-stack chart (D1 to D20). This file does not
prove that all defects are known.
"""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import Object, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PRESETS, ROOT
from scout_chat.core.tools import tool
from scout_chat.values.defects import Defect, defects
from scout_chat.values.invalid import invalid_values

from tests.support.objects import engine, engine_container, one
from tests.support.renders import rendered

# Size of a model's repository in GB: the weights, and the copies that a preset does not download.
REPOSITORIES = {"gpt-oss": 195, "gpt-oss-20b": 41, "qwq-32b": 19.3}


def missing(defect: Defect) -> list[str]:
    """Return the tests that a defect names and that do not exist. A defect without a test must say why."""
    lost = [file for file in defect.refused if file not in invalid_values()]
    for name in defect.tests:
        path, _, test = name.partition("::")
        file = ROOT / "tests" / path
        if not (test and file.is_file() and re.search(rf"^def {test}\(", file.read_text(), re.MULTILINE)):
            lost.append(name)
    if not (defect.refused or defect.tests or defect.untested):
        lost.append("a test, or the reason for none")
    return lost


def test_the_defects_are_numbered_without_a_gap() -> None:
    numbers = {letter: [name for name in defects() if name.startswith(letter)] for letter in "RD"}
    assert len(numbers["R"]) > 30 and len(numbers["D"]) == 20
    assert list(defects()) == [f"{letter}{number}" for letter, names in numbers.items() for number in range(1, len(names) + 1)]
    assert [name for name, defect in defects().items() if bool(defect.assumed) != name.startswith("R")] == []


def test_every_test_against_a_defect_exists() -> None:
    assert {name: missing(defect) for name, defect in defects().items() if missing(defect)} == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"refused": ["gone"]},
        {"tests": ["static/test_consistency.py::test_gone"]},
        {"tests": ["static/test_gone.py::test_x"]},
        {"tests": ["static/test_consistency.py"]},
        {},
    ],
)
def test_a_test_that_does_not_exist_is_found(fields: dict[str, list[str]]) -> None:
    """Planted defects."""
    assert missing(Defect.model_validate({"happened": "x", "now": "y", **fields}))


def test_invalid_values_and_defects_name_each_other() -> None:
    """Each file under tests/invalid-values that names a defect is listed by it. Each file that a defect of the chart lists names the defect."""
    for name, mistake in invalid_values().items():
        said = set(re.findall(r"\bD\d+\b", mistake.defect))
        listed = {number for number, defect in defects().items() if number.startswith("D") and name in defect.refused}
        assert said == listed, f"tests/invalid-values/{name}.yaml says {mistake.defect!r}, but tests/defects.yaml lists it in {listed}"
        if "role:" in mistake.defect:
            assert any(name in defect.refused for defect in defects().values()), name


def pod(objects: Iterable[Object]) -> KubeObject:
    """Return the pod of the only engine."""
    spec: KubeObject = engine(objects)["spec"]["template"]["spec"]
    return spec


def arguments(objects: Iterable[Object]) -> list[str]:
    """Return the command line of the only engine."""
    command: list[str] = engine_container(objects)["command"]
    return command


def model(preset: str) -> KubeObject:
    """Return the preset's entry of modelSpec."""
    entry: KubeObject = kubeyaml.load((PRESETS / f"{preset}.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]
    return entry


def gibibytes(size: str) -> float:
    """Return a quantity in Gi as a number."""
    return float(size.removesuffix("Gi"))


@pytest.mark.charts
def test_the_package_of_the_chart_has_its_schema(tmp_path: Path) -> None:
    """D1: .helmignore leaves the schema out of the package of the upstream chart. The package of this chart has it, and Helm uses it."""
    subprocess.run([tool("helm"), "package", str(CHART), "--destination", str(tmp_path)], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as tar:
        packed = tar.extractfile("scout-chat/values.schema.json")
        assert packed and packed.read() == (CHART / "values.schema.json").read_bytes()
    mistyped = [*scenario("gpt-oss").options(), "--set", "vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.kvCacheDtype=fp8"]
    result = subprocess.run([tool("helm"), "template", "chat", str(package), *mistyped], capture_output=True, text=True)
    assert result.returncode and "additional properties 'kvCacheDtype' not allowed" in result.stderr


@pytest.mark.charts
def test_an_engine_with_shared_storage_alone_mounts_it() -> None:
    """D3: one volume for all engines, and no volume of the engine's own."""
    alone = {key: value for key, value in model("gpt-oss").items() if key not in ("pvcStorage", "pvcAnnotations")}
    values = {"vllm-stack": {"sharedPvcStorage": {"enabled": True, "hostPath": "/srv/weights"}, "servingEngineSpec": {"modelSpec": [alone]}}}
    objects = tuple(render(replace(scenario("gpt-oss"), extra=json.dumps(values))))
    spec = pod(objects)
    claim = one(objects, "PersistentVolumeClaim", "-shared-pvc-storage-claim")["metadata"]["name"]
    (volume,) = [volume["name"] for volume in spec["volumes"] if volume.get("persistentVolumeClaim") == {"claimName": claim}]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    home = [variable["value"] for variable in spec["containers"][0]["env"] if variable["name"] == "HF_HOME"]
    assert mounts[volume] == home[-1] and mounts["shm"] == "/dev/shm"


@pytest.mark.parametrize(("name", "parser"), [("gpt-oss", "openai_gptoss"), ("gpt-oss-20b", "openai_gptoss"), ("qwq-32b", "deepseek_r1")])
def test_a_reasoning_model_has_the_reasoning_parser_of_its_family(name: str, parser: str) -> None:
    command = arguments(rendered(scenario(name)))
    assert command[command.index("--reasoning-parser") + 1] == parser


@pytest.mark.parametrize("preset", REPOSITORIES)
def test_the_weights_volume_holds_the_whole_repository(preset: str) -> None:
    """Including the copies that are not downloaded, in case a pattern stops matching."""
    assert gibibytes(model(preset)["pvcStorage"]) * 1.0737 > REPOSITORIES[preset]
    if preset.startswith("gpt-oss"):
        command = arguments(rendered(scenario(preset)))
        assert command[command.index("--ignore-patterns") + 1 :][:2] == ["original/*", "metal/*"]


@pytest.mark.parametrize("preset", REPOSITORIES)
def test_shared_memory_is_at_most_an_eighth_of_the_memory_limit(preset: str) -> None:
    assert gibibytes(model(preset)["shmSize"]) <= gibibytes(model(preset)["limitMemory"]) / 8


@pytest.mark.parametrize("name", REPOSITORIES)
def test_engines_tolerate_the_taint_of_gpu_nodes(name: str) -> None:
    """The taint nvidia.com/gpu=present:NoSchedule, which the nodes of the replaced role had."""
    tolerations = pod(rendered(scenario(name)))["tolerations"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in tolerations


def test_no_preset_runs_code_of_the_weights_repository() -> None:
    for name, case in scenarios().items():
        for item in rendered(case):
            assert "--trust-remote-code" not in json.dumps(item.body), f"{name}: {item.kind} {item.name}"


@pytest.mark.charts
def test_one_setting_of_an_engine_changes_alone() -> None:
    """By ``engine``. A values file with modelSpec would replace the whole list."""
    before = scenario("gpt-oss")
    after = replace(before, sets=("engine.maxModelLen=16384",))
    old, new = arguments(rendered(before)), arguments(rendered(after))
    assert [(one, two) for one, two in zip(old, new, strict=True) if one != two] == [("32768", "16384")]
