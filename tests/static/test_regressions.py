"""Proves: docs/old-role.md has every known defect of the old role and of the vllm-stack chart, and each test that it names is there.

The tests at the end are for the defects that no invalid value and no other test stands for.
"""

import json
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import Object, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, PRESETS, ROOT
from scout_chat.core.tools import tool
from scout_chat.values.invalid import invalid_values

from tests.static.conftest import one, rendered

DOCUMENT = ROOT / "docs" / "old-role.md"
# What the notes on the role number: its defects, what its values were believed to do (0: that it renders), the keys that it set in vain.
KNOWN = {"S": range(1, 19), "V": range(17), "K": range(1, 9)}
WITHOUT_A_TEST = ("cannot be prevented here: ", "does not arise here: ")
# What a model's repository holds, in GB: the weights, and the copies that a preset leaves out.
REPOSITORIES = {"gpt-oss": 195, "gpt-oss-20b": 41, "qwq-32b": 19.3}


def rows(text: str, letter: str) -> dict[str, list[str]]:
    """Id of a row to its other cells."""
    found = re.findall(rf"^\| ({letter}\d+) \| (.*) \|$", text, re.MULTILINE)
    assert len({name for name, _ in found}) == len(found)
    return {name: cells.split(" | ") for name, cells in found}


def missing(cell: str) -> list[str]:
    """What a cell names as catching a defect and is not there. A cell that names nothing is missing itself."""
    named = re.findall(r"`(tests/[^`]+)`", cell)
    lost = []
    for name in named:
        path, _, test = name.partition("::")
        file = ROOT / path
        if not file.exists() or (test and not re.search(rf"^def {test}\(", file.read_text(), re.MULTILINE)) or (not test and "/invalid-values/" not in path):
            lost.append(name)
    return lost if named or cell.startswith(WITHOUT_A_TEST) else [cell]


def test_every_defect_of_the_upstream_chart_is_there() -> None:
    assert list(rows(DOCUMENT.read_text(), "D")) == [f"D{number}" for number in range(1, 21)]


def test_every_known_mistake_of_the_role_is_there() -> None:
    table = rows(DOCUMENT.read_text(), "R")
    assert list(table) == [f"R{number}" for number in range(1, len(table) + 1)]
    known = {f"{letter}{number}" for letter, numbers in KNOWN.items() for number in numbers}
    assert {word for cells in table.values() for word in re.findall(r"\b[SVK]\d+", cells[0])} == known


def test_each_is_caught_by_what_exists() -> None:
    table = rows(DOCUMENT.read_text(), "R") | rows(DOCUMENT.read_text(), "D")
    assert {name: missing(cells[-1]) for name, cells in table.items() if missing(cells[-1])} == {}


@pytest.mark.parametrize(
    "cell",
    [
        "`tests/invalid-values/gone.yaml`",
        "`tests/static/test_consistency.py::test_gone`",
        "`tests/static/test_gone.py::test_x`",
        "`tests/static/test_consistency.py`",
        "Refused.",
        "",
    ],
)
def test_what_does_not_exist_is_noticed(cell: str) -> None:
    """Planted."""
    assert missing(cell) == [cell.strip("`")]


def test_invalid_values_and_the_document_name_the_same_defects() -> None:
    """Each file under tests/invalid-values that names a defect stands in that defect's row, and what stands in a row of D names it."""
    text = DOCUMENT.read_text()
    defects = rows(text, "D")
    for name, mistake in invalid_values().items():
        said = set(re.findall(r"\bD\d+\b", mistake.defect))
        shown = {row for row, cells in defects.items() if f"`tests/invalid-values/{name}.yaml`" in cells[-1]}
        assert said == shown, f"tests/invalid-values/{name}.yaml says {mistake.defect!r}, docs/old-role.md has it in {shown}"
        if "role:" in mistake.defect:
            assert f"`tests/invalid-values/{name}.yaml`" in "".join(cells[-1] for cells in rows(text, "R").values()), name


def engine(objects: tuple[Object, ...]) -> dict:
    return one(objects, "Deployment", "-deployment-vllm")["spec"]["template"]["spec"]


def arguments(objects: tuple[Object, ...]) -> list[str]:
    return engine(objects)["containers"][0]["command"]


def model(preset: str) -> dict:
    return kubeyaml.load((PRESETS / f"{preset}.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]


def gibibytes(size: str) -> float:
    return float(size.removesuffix("Gi"))


@pytest.mark.charts
def test_the_packaged_chart_refuses_by_its_schema(tmp_path: Path) -> None:
    """D1: the upstream chart leaves its schema out of the package, by a line of .helmignore. It is in ours, and in force."""
    subprocess.run([tool("helm"), "package", str(CHART), "--destination", str(tmp_path)], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as tar:
        assert tar.extractfile("scout-chat/values.schema.json").read() == (CHART / "values.schema.json").read_bytes()
    mistyped = [*scenario("gpt-oss").options(), "--set", "vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.kvCacheDtype=fp8"]
    result = subprocess.run([tool("helm"), "template", "chat", str(package), *mistyped], capture_output=True, text=True)
    assert result.returncode and "additional properties 'kvCacheDtype' not allowed" in result.stderr


@pytest.mark.charts
def test_shared_storage_alone_is_mounted() -> None:
    """D3: one volume for all engines, and none of the engine's own."""
    alone = {key: value for key, value in model("gpt-oss").items() if key not in ("pvcStorage", "pvcAnnotations")}
    values = {"vllm-stack": {"sharedPvcStorage": {"enabled": True, "hostPath": "/srv/weights"}, "servingEngineSpec": {"modelSpec": [alone]}}}
    objects = tuple(render(replace(scenario("gpt-oss"), extra=json.dumps(values))))
    pod = engine(objects)
    claim = one(objects, "PersistentVolumeClaim", "-shared-pvc-storage-claim")["metadata"]["name"]
    (volume,) = [volume["name"] for volume in pod["volumes"] if volume.get("persistentVolumeClaim") == {"claimName": claim}]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    home = [variable["value"] for variable in pod["containers"][0]["env"] if variable["name"] == "HF_HOME"]
    assert mounts[volume] == home[-1] and mounts["shm"] == "/dev/shm"


@pytest.mark.parametrize(("name", "parser"), [("gpt-oss", "openai_gptoss"), ("gpt-oss-20b", "openai_gptoss"), ("qwq-32b", "deepseek_r1")])
def test_thoughts_are_told_from_the_answer(name: str, parser: str) -> None:
    command = arguments(rendered(scenario(name)))
    assert command[command.index("--reasoning-parser") + 1] == parser


@pytest.mark.parametrize("preset", REPOSITORIES)
def test_the_weights_volume_holds_the_whole_repository(preset: str) -> None:
    """With the copies that are left out of the download, should a pattern one day leave out nothing."""
    assert gibibytes(model(preset)["pvcStorage"]) * 1.0737 > REPOSITORIES[preset]
    if preset.startswith("gpt-oss"):
        command = arguments(rendered(scenario(preset)))
        assert command[command.index("--ignore-patterns") + 1 :][:2] == ["original/*", "metal/*"]


@pytest.mark.parametrize("preset", REPOSITORIES)
def test_shared_memory_leaves_room_for_the_engine(preset: str) -> None:
    assert gibibytes(model(preset)["shmSize"]) <= gibibytes(model(preset)["limitMemory"]) / 8


@pytest.mark.parametrize("name", REPOSITORIES)
def test_engines_tolerate_the_taint_of_gpu_nodes(name: str) -> None:
    """nvidia.com/gpu=present:NoSchedule, as scout's own nodes have it."""
    tolerations = engine(rendered(scenario(name)))["tolerations"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in tolerations


def test_no_preset_runs_code_of_the_weights() -> None:
    for name, case in scenarios().items():
        for item in rendered(case):
            assert "--trust-remote-code" not in json.dumps(item.body), f"{name}: {item.kind} {item.name}"


@pytest.mark.charts
def test_one_field_of_an_engine_changes_alone() -> None:
    """By ``engine``; a values file with modelSpec would replace the list."""
    before = scenario("gpt-oss")
    after = replace(before, sets=("engine.maxModelLen=16384",))
    old, new = arguments(rendered(before)), arguments(rendered(after))
    assert [(one, two) for one, two in zip(old, new, strict=True) if one != two] == [("32768", "16384")]
