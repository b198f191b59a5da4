"""Proves: the shipped values files are what `scout-chat preset` writes today, each fits by the planner, and a wrong wish is one message.

That they render, and pass every rule, is shown by their scenarios; that vLLM takes their arguments, by test_vllm.py and the cluster tier.
"""

from pathlib import Path

import pytest
import yaml
from scout_chat.chart.render import Case, render
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PRESETS
from scout_chat.planning import catalog, lookup
from scout_chat.planning.catalog import Checkpoint, License, Model
from scout_chat.planning.planner import PlanRequest, plan
from scout_chat.presets import writer
from scout_chat.presets.affinity import MIB_OF_A_GB
from scout_chat.presets.engine import Engine, engines
from scout_chat.presets.request import PresetRequest, shipped
from scout_chat.vllm.arguments import engine_arguments, validate

from tests.static.conftest import Command, assert_one_message

GPU_PRESETS = {name: request for name, request in shipped().items() if request.gpu != "cpu"}
ENGINES = [(name, engine) for name, request in GPU_PRESETS.items() for engine in engines(request)]


def spec(text: str) -> dict:
    (engine,) = yaml.safe_load(text)["vllm-stack"]["servingEngineSpec"]["modelSpec"]
    return engine


def test_every_shipped_file_is_as_written() -> None:
    for path, text in writer.generated_files().items():
        assert path.read_text() == text, f"{path.name}: scout-chat generate"


def test_every_values_file_of_a_model_is_shipped() -> None:
    """A preset that no command writes would drift."""
    by_hand = {"external"}
    found = {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml") if "overlays" not in path.parts}
    assert found - by_hand == set(shipped())


@pytest.mark.parametrize(("name", "engine"), ENGINES, ids=[f"{name}, {engine.name}" for name, engine in ENGINES])
def test_a_preset_fits_wherever_its_pods_may_go(name: str, engine: Engine) -> None:
    """The labels of its terms admit exactly the GPUs on which the planner finds room for what the file promises."""
    written = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"]
    (entry,) = [item for item in written if item["name"] == engine.name]
    config, arguments = entry["vllmConfig"], entry["vllmConfig"]["extraArgs"]
    fp8 = "fp8" if "--kv-cache-dtype" in arguments else "auto"
    for gpu in catalog.gpus().values():
        asked = PlanRequest(
            engine.model, engine.checkpoint, gpu, config["tensorParallelSize"], config["maxModelLen"], engine.plan.request.concurrent_chats, fp8,
            int(arguments[arguments.index("--max-num-batched-tokens") + 1]), config["maxNumSeqs"], config["gpuMemoryUtilization"],
        )  # fmt: skip
        try:
            fits = plan(asked).fits
        except UserError:
            fits = False
        assert admits(entry["nodeSelectorTerms"], gpu) == fits, gpu.name


def admits(terms: list[dict], gpu: catalog.Gpu) -> bool:
    """Kubernetes' rule: one term holds, and all of its expressions."""
    major, minor = gpu.capability.split(".")
    labels = {"nvidia.com/gpu.memory": gpu.labelMib, "nvidia.com/gpu.compute.major": int(major), "nvidia.com/gpu.compute.minor": int(minor)}

    def holds(expression: dict) -> bool:
        if expression["operator"] == "DoesNotExist":
            return False
        have, values = labels[expression["key"]], [int(value) for value in expression["values"]]
        return have > values[0] if expression["operator"] == "Gt" else have in values

    return any(all(map(holds, term["matchExpressions"])) for term in terms)


def test_every_gpus_label_lies_above_the_margin() -> None:
    """The label is MiB and lies under the card's name; a card must pass its own size and not the next."""
    sizes = sorted({gpu.memory for gpu in catalog.gpus().values()})
    for gpu in catalog.gpus().values():
        passed = [size for size in sizes if gpu.labelMib > size * MIB_OF_A_GB]
        assert max(passed) == gpu.memory, gpu.name


def test_two_models_share_what_both_can() -> None:
    text = writer.write(PresetRequest(models=("gpt-oss-20b@l4", "mistral-small-24b@a100-80")))
    values = yaml.safe_load(text)
    assert values["global"]["llm"] == {"model": "gpt-oss-20b", "capabilities": {"tools": True, "vision": False}}
    assert [engine["name"] for engine in values["vllm-stack"]["servingEngineSpec"]["modelSpec"]] == ["gpt-oss-20b", "mistral-small-24b"]


@pytest.mark.parametrize(
    ("weights", "source"),
    [
        ("nfs://filer.example.org/models", {"nfs": {"server": "filer.example.org", "path": "/models", "readOnly": True}}),
        ("/srv/models", {"hostPath": {"path": "/srv/models", "type": "Directory"}}),
        ("claim:models", {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}),
    ],
)
def test_weights_from_elsewhere_are_read_only_and_nothing_is_fetched(weights: str, source: dict) -> None:
    engine = spec(writer.write(PresetRequest(models=("gpt-oss-20b",), gpu="l4", weights=weights)))
    assert engine["extraVolumes"] == [{"name": "weights", **source}]
    assert engine["extraVolumeMounts"] == [{"name": "weights", "mountPath": "/weights", "readOnly": True}]
    assert engine["modelURL"] == "/weights/openai/gpt-oss-20b"
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in engine["env"]
    assert "--ignore-patterns" not in engine["vllmConfig"]["extraArgs"]


def pod(text: str) -> dict:
    """The engine's pod, as the chart renders it."""
    (deployment,) = [item.body for item in render(Case("written", extra=text)) if item.name.endswith("-deployment-vllm")]
    return deployment["spec"]["template"]["spec"]


@pytest.mark.charts
def test_a_gated_model_is_fetched_with_a_token_before_it_starts() -> None:
    """The init container has the token, and the engine asks nobody."""
    text = writer.write(PresetRequest(models=("llama33-70b",), gpu="h200", prefetch=True, token_secret="hub"))
    (first,), (engine,) = pod(text)["initContainers"], pod(text)["containers"]
    assert first["args"] == [spec(text)["modelURL"], "--revision", "main"]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in first["env"]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in engine["env"]


def test_the_volume_of_an_engine_is_one_size_whatever_brings_its_weights() -> None:
    """A PersistentVolumeClaim cannot shrink, so between any two shipped files with one engine it stays, or is not there."""
    sizes: dict[str, set[str]] = {}
    for file in PRESETS.rglob("*.yaml"):
        values = yaml.safe_load(file.read_text())
        for engine in values.get("vllm-stack", {}).get("servingEngineSpec", {}).get("modelSpec", []):
            if isinstance(engine["pvcStorage"], str):
                sizes.setdefault(engine["name"], set()).add(engine["pvcStorage"])
        assert "size" not in values.get("open-webui", {}).get("persistence", {}), file
    assert sizes["gpt-oss-120b"] == {"200Gi"} and [name for name, found in sizes.items() if len(found) > 1] == []


def test_the_volume_holds_the_weights() -> None:
    for _, engine in ENGINES:
        if not engine.weights_mount:
            assert engine.storage_gib * 1.073741824 >= engine.checkpoint.disk * 1.1 + 5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ("preset needs a model", "gpt-oss-120b")),
        ("gpt-os --gpu l4", ("there is no model 'gpt-os'", "gpt-oss-20b")),
        ("gpt-oss-20b", ("which GPU is gpt-oss-20b for?", "a100-80")),
        ("gpt-oss-20b --gpu l4 --users 5", ("--users is now called --concurrent-chats", "Give --concurrent-chats 5 instead")),
        ("gpt-oss-20b --gpu l5", ("there is no GPU 'l5'", "l4")),
        ("gpt-oss-20b@l5x2", ("there is no GPU 'l5'",)),
        ("gpt-oss-120b --gpu l4", ("gpt-oss-120b does not fit: the weights", "GiB short", "What would fit: --gpus 4", "--gpu a100-80")),
        ("llama33-70b --gpu h100-80 --gpus 2", ("is gated", "https://huggingface.co/meta-llama/Llama-3.3-70B-Instruct", "--token-secret NAME")),
        ("qwq-32b --gpu a100-80 --context 64k", ("QwQ-32B was made for 40960 tokens of context, and 65536",)),
        ("gpt-oss-20b --gpu a100-80 --kv-dtype fp8", ("cache of fp8 does not start",)),
        ("qwq-32b --gpu a100-80 --gpus 3", ("40 attention heads",)),
        ("gpt-oss-20b gpt-oss-20b --gpu l4", ("one model stands twice", "--replicas")),
        ("gpt-oss-20b --gpu l4 --weights s3://models", ("--weights 's3://models' is no place", "nfs://SERVER/PATH")),
        ("gpt-oss-20b --gpu l4 --release a-release-whose-name-is-much-too-long", ("are too long together, by 1 characters", "shorter release name")),
        ("smollm2-135m qwen3-06b --gpu cpu", ("a preset for a CPU takes one model",)),
        ("smollm2-135m --gpu cpu --weights /srv", ("a preset for a CPU takes no --weights",)),
        ("gpt-oss-20b@l4 smollm2-135m@cpu", ("a preset for a CPU takes one model",)),
        ("gpt-oss-20b --gpu l4 --kv-gib 4", ("--kv-gib is for --gpu cpu",)),
        ("gpt-oss-20b --gpu l4 --prefetch --offline", ("--prefetch is for weights that are fetched, and with --weights or --offline none are",)),
        ("llama33-70b --gpu h200 --weights /srv/models --token-secret hub", ("--token-secret is for weights that are fetched",)),
        ("gpt-oss-20b --gpu l4 -o /nowhere/mine.yaml", ("/nowhere/mine.yaml cannot be written",)),
    ],
)
def test_a_wrong_wish_is_one_message(line: str, words: tuple[str, ...], command: Command) -> None:
    assert_one_message(command, f"preset {line}", words)


def test_a_preset_is_written_to_a_file(tmp_path: Path, command: Command) -> None:
    """The command in a shipped file's heading writes that file."""
    file = (PRESETS / "llama33-70b.yaml").read_text()
    (line,) = [line for line in file.splitlines() if line.startswith("# Written by: scout-chat ")]
    status, _ = command(*line.removeprefix("# Written by: scout-chat ").split(), "--output", str(tmp_path / "mine.yaml"))
    assert status == 0
    assert (tmp_path / "mine.yaml").read_text() == file


def test_a_model_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file more in the catalogue is a model that can be planned and served; one with a typing error says where."""
    config = lookup.find_model("qwen3-14b")[0].config
    body = Model(
        title="Mine-14B", parameters=14, active=14, license=License(name="Apache-2.0", source="x"), config=config, tool="hermes",
        checkpoints=(Checkpoint(id="me/Mine-14B", quantization="bf16", disk=29.5, loaded=27.5, source="x"),),
    ).model_dump(exclude={"name"})  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**body, "checkpoints": [dict(item) for item in body["checkpoints"]]}, default_flow_style=False))
    monkeypatch.setattr(catalog, "models", lambda: {"mine": catalog.read_model(tmp_path / "mine.yaml")})
    assert spec(writer.write(PresetRequest(models=("mine",), gpu="l40s")))["modelURL"] == "me/Mine-14B"
    (tmp_path / "mine.yaml").write_text((tmp_path / "mine.yaml").read_text().replace("disk: 29.5", "disk: much"))
    with pytest.raises(UserError, match=r"mine.yaml is no model of the catalogue: checkpoints.0.disk"):
        catalog.read_model(tmp_path / "mine.yaml")


@pytest.mark.charts
def test_a_pinned_revision_reaches_engine_and_download(monkeypatch: pytest.MonkeyPatch) -> None:
    model = catalog.models()["gpt-oss-20b"]
    pinned = model.model_copy(update={"checkpoints": (model.checkpoints[0].model_copy(update={"revision": "0123abc"}),)})
    monkeypatch.setattr(catalog, "models", lambda: {"gpt-oss-20b": pinned})
    text = writer.write(PresetRequest(models=("gpt-oss-20b",), gpu="l4", prefetch=True))
    assert spec(text)["modelRevision"] == "0123abc"
    assert pod(text)["initContainers"][0]["args"][1:] == ["--revision", "0123abc"]
    assert "modelRevision" not in spec(writer.write(PresetRequest(models=("gpt-oss-20b",), gpu="l4", weights="/srv/models")))


def smallest(model: str) -> PresetRequest:
    """A preset of the model on the fewest and smallest GPUs that take it."""
    found = catalog.models()[model]
    token = "hub" if found.license.gated else ""
    for gpus in (1, 2, 4, 8):
        for gpu in sorted(catalog.gpus().values(), key=lambda item: item.memory):
            request = PresetRequest(models=(model,), gpu=gpu.name, gpus=gpus, context=8192, token_secret=token)
            try:
                engines(request)
            except UserError:
                continue
            return request
    raise AssertionError(f"no GPU of the catalogue takes {model}")


@pytest.mark.charts
@pytest.mark.parametrize("model", catalog.models())
def test_every_model_of_the_catalogue_has_a_preset_that_installs(model: str) -> None:
    """Every rule of the chart takes it, and the recorded vLLM its arguments."""
    written = writer.write(smallest(model))
    objects = render(Case(model, extra=written))
    ((_, arguments),) = engine_arguments(objects).items()
    assert validate(arguments) == []
    served = yaml.safe_load(written)["global"]["llm"]["model"]
    assert arguments[arguments.index("--served-model-name") + 1] == served == model
