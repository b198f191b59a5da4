"""Proves: the shipped values files are what `scout-chat preset` writes, each fits by the planner, and a mistake is one message.

Their scenarios prove that the chart accepts and renders them; test_vllm.py and the cluster tests prove that vLLM accepts their arguments.
"""

from pathlib import Path

import pytest
from scout_chat.chart.render import Case, render
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import PRESETS
from scout_chat.planning import catalog, lookup
from scout_chat.planning.catalog import Checkpoint, License, Model
from scout_chat.planning.planner import PlanRequest, plan
from scout_chat.presets import writer
from scout_chat.presets.affinity import MIB_OF_A_GB, UNLABELLED, node_selector_terms
from scout_chat.presets.engine import Engine, engines
from scout_chat.presets.request import PresetRequest, shipped
from scout_chat.vllm.arguments import engine_commands, validate

from tests.support.commands import Command, assert_one_message

GPU_PRESETS = {name: request for name, request in shipped().items() if request.gpu != "cpu"}
ENGINES = [(name, engine) for name, request in GPU_PRESETS.items() for engine in engines(request)]


def spec(text: str) -> KubeObject:
    """Return the only entry of modelSpec in a values file."""
    engine: KubeObject
    (engine,) = kubeyaml.load(text)["vllm-stack"]["servingEngineSpec"]["modelSpec"]
    return engine


def test_every_shipped_file_is_current() -> None:
    for path, text in writer.generated_files().items():
        assert path.read_text() == text, f"{path.name}: scout-chat generate"


def test_every_values_file_of_a_model_is_shipped() -> None:
    """A preset that no command writes would become stale."""
    by_hand = {"external"}
    found = {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml") if not {"overlays", "examples"} & set(path.parts)}
    assert found - by_hand == set(shipped())


@pytest.mark.parametrize(("name", "engine"), ENGINES, ids=[f"{name}, {engine.name}" for name, engine in ENGINES])
def test_a_preset_fits_every_gpu_that_its_affinity_admits(name: str, engine: Engine) -> None:
    """The node selector terms admit exactly the GPUs on which the promised chats fit, by the planner."""
    written = kubeyaml.load((PRESETS / f"{name}.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"]
    (entry,) = [item for item in written if item["name"] == engine.name]
    config, arguments = entry["vllmConfig"], entry["vllmConfig"]["extraArgs"]
    fp8 = "fp8" if "--kv-cache-dtype" in arguments else "auto"
    for gpu in catalog.gpus().values():
        request = PlanRequest(
            engine.model, engine.checkpoint, gpu, config["tensorParallelSize"], config["maxModelLen"], engine.plan.request.concurrent_chats, fp8,
            int(arguments[arguments.index("--max-num-batched-tokens") + 1]), config["maxNumSeqs"], config["gpuMemoryUtilization"],
        )  # fmt: skip
        try:
            fits = plan(request).fits
        except UserError:
            fits = False
        assert admits(entry["nodeSelectorTerms"], gpu) == fits, gpu.name


def admits(terms: list[KubeObject], gpu: catalog.Gpu) -> bool:
    """Return whether a node with this GPU matches: all expressions of at least one term hold."""
    major, minor = gpu.capability.split(".")
    labels = {"nvidia.com/gpu.memory": gpu.labelMib, "nvidia.com/gpu.compute.major": int(major), "nvidia.com/gpu.compute.minor": int(minor)}

    def holds(expression: KubeObject) -> bool:
        if expression["operator"] == "DoesNotExist":
            return False
        have, values = labels[expression["key"]], [int(value) for value in expression["values"]]
        return have > values[0] if expression["operator"] == "Gt" else have in values

    return any(all(map(holds, term["matchExpressions"])) for term in terms)


def test_every_memory_label_passes_its_own_size_only() -> None:
    """The label is in MiB and lower than the size that the card is sold with. It must exceed the minimum for its own size, and not that of a
    size that is more than 3 % larger."""
    sizes = {gpu.memory for gpu in catalog.gpus().values()}
    for gpu in catalog.gpus().values():
        passed = {size for size in sizes if gpu.labelMib > size * MIB_OF_A_GB}
        assert passed == {size for size in sizes if size <= gpu.memory * 1.03}, gpu.name


def test_a_card_that_passes_a_minimum_above_its_size_is_left_out_by_product() -> None:
    """An H100 NVL (94 GB) passes the minimum for 96 GB. If only 96 GB and more are admitted, the terms name the products."""
    large = [gpu for gpu in catalog.gpus().values() if gpu.memory >= 96]
    (known, unlabelled) = node_selector_terms(large)
    assert known == [{"key": "nvidia.com/gpu.product", "operator": "In", "values": [product for gpu in large for product in gpu.products]}]
    assert unlabelled == UNLABELLED
    with_nvl = [gpu for gpu in catalog.gpus().values() if gpu.memory >= 94]
    assert node_selector_terms(with_nvl)[0][0] == {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": [str(94 * MIB_OF_A_GB)]}


def test_no_preset_selects_nodes_by_the_family_label() -> None:
    """Older releases of NVIDIA's GPU feature discovery write a wrong nvidia.com/gpu.family. Whatever GPUs are admitted, the terms use other
    labels."""
    gpus = list(catalog.gpus().values())
    sets = [*([gpu] for gpu in gpus), *([gpu for gpu in gpus if gpu.family == family] for family in {gpu.family for gpu in gpus})]
    sets += [[gpu for gpu in gpus if gpu.memory >= least.memory and gpu.at_least(newest.capability)] for least in gpus for newest in gpus]
    keys = {expression["key"] for admitted in sets if admitted for term in node_selector_terms(admitted) for expression in term}
    assert keys == {f"nvidia.com/gpu.{label}" for label in ("memory", "product", "compute.major", "compute.minor")}
    for file in PRESETS.rglob("*.yaml"):
        assert "gpu.family" not in file.read_text(), file


def test_a_preset_of_two_models_has_the_capabilities_of_both() -> None:
    text = writer.write(PresetRequest(models=("gpt-oss-20b@l4", "mistral-small-24b@a100-80")))
    values = kubeyaml.load(text)
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
def test_existing_weights_are_mounted_read_only_and_nothing_is_downloaded(weights: str, source: KubeObject) -> None:
    engine = spec(writer.write(PresetRequest(models=("gpt-oss-20b",), gpu="l4", weights=weights)))
    assert engine["extraVolumes"] == [{"name": "weights", **source}]
    assert engine["extraVolumeMounts"] == [{"name": "weights", "mountPath": "/weights", "readOnly": True}]
    assert engine["modelURL"] == "/weights/openai/gpt-oss-20b"
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in engine["env"]
    assert "--ignore-patterns" not in engine["vllmConfig"]["extraArgs"]


def pod(text: str) -> KubeObject:
    """Return the spec of the engine's pod that the chart renders from a values file."""
    (deployment,) = [item.body for item in render(Case("written", extra=text)) if item.name.endswith("-deployment-vllm")]
    spec: KubeObject = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.charts
def test_prefetch_downloads_a_gated_model_with_the_token() -> None:
    """The init container has the token, and the engine is offline."""
    text = writer.write(PresetRequest(models=("gemma3-27b",), gpu="h200", prefetch=True, token_secret="hub"))
    (first,), (engine,) = pod(text)["initContainers"], pod(text)["containers"]
    assert first["args"] == [spec(text)["modelURL"], "--revision", spec(text)["modelRevision"]]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in first["env"]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in engine["env"]


def test_the_volume_of_an_engine_has_one_size_in_all_presets() -> None:
    """A PVC cannot shrink, so an installation can change between any two shipped files of an engine only if the size is the same."""
    sizes: dict[str, set[str]] = {}
    for file in PRESETS.rglob("*.yaml"):
        values = kubeyaml.load(file.read_text())
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
        ("gpt-oss-20b", ("the preset for gpt-oss-20b needs a GPU", "a100-80")),
        ("gpt-oss-20b --gpu l4 --users 5", ("--users is now called --concurrent-chats", "5 people are about 2 chats at the same time")),
        ("gpt-oss-20b --gpu l4 --gpus 0", ("--gpus is 0", "Use 1 or more.")),
        ("gpt-oss-20b --gpu l4 --context 0", ("--context is 0", "Use 1 or more.")),
        ("gpt-oss-20b --gpu l4 --replicas 0", ("--replicas is 0", "Use 1 or more.")),
        ("smollm2-135m --gpu cpu --kv-gib 0", ("--kv-gib 0 leaves no KV cache", "Use a number above 0.")),
        ("gpt-oss-20b --gpu l4 --weights nfs://filer:/models", ("has a colon between server and path", "Use nfs://filer/models.")),
        ("gpt-oss-20b --gpu l4 --weights filer:/models", ("has a colon between server and path", "Use nfs://filer/models.")),
        ("values/gpt-oss.yaml --gpu l4", ("values/gpt-oss.yaml is a values file, not a model",)),
        ("gpt-oss-20b --gpu l5", ("there is no GPU 'l5'", "l4")),
        ("gpt-oss-20b@l5x2", ("there is no GPU 'l5'",)),
        ("gpt-oss-120b --gpu l4", ("gpt-oss-120b does not fit: the weights", "GiB short", "What would fit: --gpus 4", "--gpu a100-80")),
        ("gemma3-27b --gpu h100-80", ("google/gemma-3-27b-it is gated", "https://huggingface.co/google/gemma-3-27b-it", "--token-secret NAME")),
        ("meta-llama/Llama-3.3-70B-Instruct --gpu h200 --gpus 2", ("is gated", "huggingface.co/meta-llama/Llama-3.3-70B-Instruct", "--token-secret")),
        ("qwq-32b --gpu a100-80 --context 64k", ("--context 65536 is more than the 40960 tokens that QwQ-32B supports",)),
        ("gpt-oss-20b --gpu a100-80 --kv-dtype fp8", ("an fp8 KV cache does not start",)),
        ("qwq-32b --gpu a100-80 --gpus 3", ("40 attention heads",)),
        ("gpt-oss-20b gpt-oss-20b --gpu l4", ("a model occurs twice", "--replicas")),
        ("gpt-oss-20b --gpu l4 --weights s3://models", ("--weights 's3://models' is not a supported location", "nfs://SERVER/PATH")),
        ("gpt-oss-20b --gpu l4 --release a-release-whose-name-is-much-too-long", ("together are 1 characters too long", "shorter release name")),
        ("smollm2-135m qwen3-06b --gpu cpu", ("a preset for a CPU has one model",)),
        ("smollm2-135m --gpu cpu --weights /srv", ("--weights has no effect in a preset for a CPU",)),
        ("gpt-oss-20b@l4 smollm2-135m@cpu", ("a preset for a CPU has one model",)),
        ("gpt-oss-20b --gpu l4 --kv-gib 4", ("--kv-gib is for --gpu cpu",)),
        ("gpt-oss-20b --gpu l4 --prefetch --offline", ("--prefetch has no effect with --weights or --offline",)),
        ("llama33-70b --gpu h200 --weights /srv/models --token-secret hub", ("--token-secret has no effect with --weights",)),
        ("gpt-oss-20b --gpu l4 --weights /srv --revision main", ("--revision has no effect with --weights", "a folder has no revisions")),
        ("gpt-oss-20b --gpu l4 --revision a:b", ("--revision 'a:b' is not the name of a commit, a tag or a branch", "main")),
        ("gpt-oss-20b@l4 qwq-32b@l40s --revision 0123abc", ("--revision 0123abc is of one repository, but the preset has 2", "engines.<name>.modelRevision")),
        ("gpt-oss-20b --gpu l4 -o /nowhere/mine.yaml", ("/nowhere/mine.yaml cannot be written",)),
    ],
)
def test_a_mistake_is_one_message(line: str, words: tuple[str, ...], command: Command) -> None:
    assert_one_message(command, f"preset {line}", words)


def test_a_preset_is_written_to_a_file(tmp_path: Path, command: Command) -> None:
    """The command in the heading of a shipped file writes that file."""
    file = (PRESETS / "llama33-70b.yaml").read_text()
    (line,) = [line for line in file.splitlines() if line.startswith("# Written by: scout-chat ")]
    status, output = command(*line.removeprefix("# Written by: scout-chat ").split(), "--output", str(tmp_path / "mine.yaml"))
    assert (status, output) == (0, f"written: {tmp_path}/mine.yaml; next: scout-chat check -f {tmp_path}/mine.yaml\n")
    assert (tmp_path / "mine.yaml").read_text() == file


def test_a_model_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file in the catalog is a model that `preset` accepts. An invalid file is an error that names the field."""
    config = lookup.find_model("qwen3-14b")[0].config
    body = Model(
        title="Mine-14B", parameters=14, active=14, license=License(name="Apache-2.0", source="x"), config=config, tool="hermes",
        checkpoints=(Checkpoint(id="me/Mine-14B", quantization="bf16", disk=29.5, loaded=27.5, source="x"),),
    ).model_dump(exclude={"name"})  # fmt: skip
    (tmp_path / "mine.yaml").write_text(kubeyaml.dump({**body, "checkpoints": [dict(item) for item in body["checkpoints"]]}))
    monkeypatch.setattr(catalog, "models", lambda: {"mine": catalog.read_model(tmp_path / "mine.yaml")})
    assert spec(writer.write(PresetRequest(models=("mine",), gpu="l40s")))["modelURL"] == "me/Mine-14B"
    (tmp_path / "mine.yaml").write_text((tmp_path / "mine.yaml").read_text().replace("disk: 29.5", "disk: much"))
    with pytest.raises(UserError, match=r"mine.yaml is not a valid model of the catalog: checkpoints.0.disk"):
        catalog.read_model(tmp_path / "mine.yaml")


def test_a_token_is_demanded_for_gated_weights_only() -> None:
    """Of one model, the FP8 repository needs no token, and Meta's own does."""
    model = catalog.models()["llama33-70b"]
    assert [checkpoint.gated for checkpoint in model.checkpoints] == [False, True]
    assert "hf_token" not in spec(writer.write(PresetRequest(models=(model.checkpoints[0].id,), gpu="h200")))
    request = PresetRequest(models=(model.checkpoints[1].id,), gpu="h200", gpus=2)
    with pytest.raises(UserError, match="is gated"):
        writer.write(request)
    assert spec(writer.write(request.model_copy(update={"token_secret": "hub"})))["hf_token"] == {"secretName": "hub", "secretKey": "token"}


WORKAROUNDS = [
    (checkpoint.id, known.workaround)
    for model in catalog.models().values()
    for checkpoint in model.checkpoints
    for known in model.issues(checkpoint)
    if known.workaround
]


@pytest.mark.charts
@pytest.mark.parametrize(("checkpoint", "workaround"), WORKAROUNDS)
def test_the_workaround_of_a_known_issue_is_in_the_preset_and_changes_the_engine(checkpoint: str, workaround: str) -> None:
    text = writer.write(PresetRequest(models=(checkpoint,), gpu="h200"))
    assert f"      #   Values that avoid it: {workaround}\n" in text
    assert pod(text) != pod(f"{text}\n{workaround}\n")


def test_known_issues_of_other_weights_are_left_out() -> None:
    tensor_scales = "one scale for each tensor"
    assert tensor_scales in writer.write(PresetRequest(models=("llama33-70b",), gpu="h200"))
    assert tensor_scales not in writer.write(PresetRequest(models=("meta-llama/Llama-3.3-70B-Instruct",), gpu="h200", gpus=2, token_secret="hub"))


def smallest(model: str) -> PresetRequest:
    """Return a preset of the model for the fewest, then the smallest GPUs that fit it."""
    found = catalog.models()[model]
    token = "hub" if found.checkpoints[0].gated else ""
    for gpus in (1, 2, 4, 8):
        for gpu in sorted(catalog.gpus().values(), key=lambda item: item.memory):
            request = PresetRequest(models=(model,), gpu=gpu.name, gpus=gpus, context=8192, token_secret=token)
            try:
                engines(request)
            except UserError:
                continue
            return request
    raise AssertionError(f"{model} fits no GPU of the catalog")


@pytest.mark.charts
@pytest.mark.parametrize("model", catalog.models())
def test_the_chart_accepts_a_preset_of_every_model_in_the_catalog(model: str) -> None:
    """It passes every check of the chart, and the recorded vLLM accepts its arguments."""
    written = writer.write(smallest(model))
    objects = render(Case(model, extra=written))
    ((release, arguments),) = engine_commands(objects).values()
    assert validate(arguments, release) == []
    served = kubeyaml.load(written)["global"]["llm"]["model"]
    assert arguments[arguments.index("--served-model-name") + 1] == served == model
