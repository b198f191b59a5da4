"""Proves: the planner computes what published logs of vLLM show, names the bottleneck and what would fit, and refuses what cannot start.

It does not prove the estimate of the memory that is left for the KV cache, for lack of a GPU. tests/cluster/test_capacity.py proves that
the computation is vLLM's own, by comparing it with vLLM.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning import architecture, catalog, lookup, picture, reference_logs
from scout_chat.planning.advice import alternatives, ranking
from scout_chat.planning.kv_cache import GIB, Cache
from scout_chat.planning.options import PlanOptions, tokens
from scout_chat.planning.planner import Plan, PlanRequest, plan

from tests.support.commands import Command, assert_one_message

# Percent. The logs round GiB to hundredths: 0.005 is 0.05 % of 10.65 GiB and 0.13 % of 3.81 GiB.
ROUNDING = 0.3


def answer(model: str, gpu: str = "", **settings: Any) -> Plan:
    """Return the plan for a model, with other fields of the request as ``settings``."""
    found, checkpoint = lookup.find_model(model)
    return plan(PlanRequest(found, checkpoint, lookup.find_gpu(gpu) if gpu else None, **settings))


@pytest.mark.parametrize("log", reference_logs.logs(), ids=lambda log: f"{log.what}, {log.gives}")
def test_published_logs_are_predicted(log: reference_logs.Log) -> None:
    assert abs(log.error) <= ROUNDING
    if not log.kv_gib:
        # The input is not rounded.
        assert log.error == 0


# Claims of the old role's README, and the planner's concurrency for them (docs/explain/planner.md).
@pytest.mark.parametrize(
    ("model", "gpu", "settings", "concurrency"),
    [
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.90}, 0.7),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.92}, 1.0),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.95}, 1.6),
        ("openai/gpt-oss-120b", "a100-80", {"context": 32768, "utilization": 0.92}, 3.8),
        ("Qwen/QwQ-32B", "a100-80", {"context": 32768, "utilization": 0.90}, 1.0),
        ("Qwen/QwQ-32B-AWQ", "a100-80", {"context": 32768}, 6.6),
        ("openai/gpt-oss-120b", "a100-80", {"context": 32768, "tensor_parallel": 2}, 58.0),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "tensor_parallel": 2}, 15.9),
        ("Qwen/QwQ-32B", "a100-80", {"context": 32768, "tensor_parallel": 2}, 9.8),
    ],
)
def test_claims_of_the_old_role(model: str, gpu: str, settings: dict[str, Any], concurrency: float) -> None:
    assert answer(model, gpu, **settings).max_concurrency == pytest.approx(concurrency, abs=0.06)


def test_the_old_roles_flags_do_not_start() -> None:
    """gpt-oss with an fp8 KV cache on an A100; and QwQ-32B, which the role took for a quantized model, in bf16 with four chats of 32768 tokens."""
    with pytest.raises(UserError, match="does not start on NVIDIA A100 80 GB: its attention runs on TRITON_ATTN there"):
        answer("gpt-oss-120b", "a100-80", kv_dtype="fp8")
    assert answer("Qwen/QwQ-32B", "a100-80", concurrent_chats=4, utilization=0.90).bottleneck == "concurrent chats"


@pytest.mark.parametrize(
    ("model", "gpu", "allowed"),
    [
        ("gpt-oss-20b", "a100-80", False),
        ("gpt-oss-20b", "l40s", True),
        ("gpt-oss-20b", "h100-80", True),
        ("qwq-32b", "a100-80", True),
        ("qwen36-27b", "a100-80", True),
        ("gemma3-27b", "a100-80", False),
        ("gemma4-31b", "a100-80", False),
        ("gemma4-31b", "l40s", True),
        ("gemma4-31b", "h100-80", True),
    ],
)
def test_an_fp8_cache_is_refused_where_no_kernel_supports_it(model: str, gpu: str, allowed: bool) -> None:
    if allowed:
        assert answer(model, gpu, kv_dtype="fp8", context=8192).request.kv_dtype == "fp8"
    else:
        with pytest.raises(UserError, match="an fp8 KV cache does not start") as refused:
            answer(model, gpu, kv_dtype="fp8", context=8192)
        # Every GPU that the hint names works.
        named = refused.value.hint.partition("GPUs: ")[2].rstrip(".").split(", ")
        assert named
        for other in named:
            assert answer(model, other, kv_dtype="fp8", context=1024, tensor_parallel=2).request.kv_dtype == "fp8"


@pytest.mark.parametrize(
    ("model", "settings", "bottleneck"),
    [
        ("gpt-oss-120b", {"gpu": "l4"}, "weights"),
        ("llama33-70b", {"gpu": "h100-80"}, "one request"),
        ("gpt-oss-120b", {"gpu": "a100-80", "concurrent_chats": 20}, "concurrent chats"),
        ("gpt-oss-120b", {"gpu": "a100-80", "concurrent_chats": 5}, ""),
    ],
)
def test_the_bottleneck_is_named_and_the_alternatives_fit(model: str, settings: dict[str, Any], bottleneck: str) -> None:
    short = answer(model, **settings)
    assert short.bottleneck == bottleneck
    if bottleneck:
        assert short.shortfall_gib > 0
        assert alternatives(short)
        for other in alternatives(short):
            assert other.plan.fits, other.change
            assert not other.plan.bottleneck


def test_the_shortfall_is_exact() -> None:
    """With that much more memory the request fits; with a block less it does not."""
    short = answer("gpt-oss-120b", "a100-80", concurrent_chats=20)
    needed = short.cache.bytes_needed(32768, 20)
    assert math.isclose(needed / GIB, short.kv_gib + short.shortfall_gib)
    assert answer("gpt-oss-120b", concurrent_chats=20, kv_gib=needed / GIB).fits
    assert not answer("gpt-oss-120b", concurrent_chats=20, kv_gib=(needed - 2 * short.cache.bytes_per_block) / GIB).fits


def test_one_block_is_reserved() -> None:
    """vLLM reserves its null block: with exactly one request's blocks it does not start (``get_kv_cache_configs``)."""
    cache = Cache(lookup.find_model("qwq-32b")[0].architecture)
    exact = cache.blocks_per_request(8192) * cache.bytes_per_block
    assert not answer("qwq-32b", context=8192, kv_gib=exact / GIB).starts
    assert answer("qwq-32b", context=8192, kv_gib=(exact + cache.bytes_per_block) / GIB).starts


@pytest.mark.parametrize("model", catalog.models())
def test_blocks_and_concurrency_are_monotonic(model: str) -> None:
    """A request needs more blocks with a longer context. More requests fit with more memory and with an fp8 cache."""
    cache = Cache(catalog.models()[model].architecture)
    longest = min(catalog.models()[model].longest, 65536)
    requests = [cache.blocks_per_request(context) for context in range(1024, longest + 1, 1024)]
    assert requests == sorted(requests)
    assert cache.concurrency(9 * GIB, longest) >= cache.concurrency(8 * GIB, longest)
    half = Cache(catalog.models()[model].architecture, kv_dtype="fp8")
    assert half.concurrency(8 * GIB, longest) >= cache.concurrency(8 * GIB, longest)
    limit = cache.longest(8 * GIB, longest)
    assert cache.bytes_needed(limit) <= 8 * GIB
    assert limit == longest or cache.bytes_needed(limit + 1) > 8 * GIB


def test_a_model_with_linear_attention_gets_no_more_sequences_than_blocks() -> None:
    """Otherwise vLLM does not start: "max_num_seqs exceeds available Mamba cache blocks"."""
    tight = answer("qwen36-27b", kv_gib=2.5, context=8192, concurrent_chats=1)
    assert tight.max_num_seqs <= tight.kv_blocks
    for model in ("qwen36-27b", "qwen36-35b-a3b"):
        chosen = answer(model, "a100-80", concurrent_chats=100, context=2048)
        assert chosen.max_num_seqs <= chosen.kv_blocks


# Answers of vLLM 0.33.0 (tests/support/vllm_kv.py): blocks in 24 GiB, blocks and requests of 32768 tokens, tokens of a block.
@pytest.mark.parametrize(
    ("model", "gpu", "expected"),
    [
        ("qwen36-27b", "a100-80", (501, 48, 784)),
        ("qwen36-27b", "h100-80", (472, 49, 832)),
        ("qwen36-35b-a3b", "rtx-pro-6000", (1156, 40, 1088)),
        ("qwen3-32b", "h100-80", (6144, 2048, 16)),
    ],
)
def test_flashinfers_linear_attention_keeps_one_more_state(model: str, gpu: str, expected: tuple[int, int, int]) -> None:
    """vLLM 0.33 prefills with FlashInfer's kernel on Hopper and Blackwell, and with Triton's elsewhere."""
    chosen = answer(model, gpu, kv_gib=24)
    assert (chosen.kv_blocks, chosen.cache.blocks_per_request(32768), chosen.cache.block_size) == expected


def test_the_reserve_includes_the_sampler_above_256_sequences() -> None:
    few, many = answer("gpt-oss-120b", "h200", max_num_seqs=256), answer("gpt-oss-120b", "h200", max_num_seqs=1024)
    assert few.memory and many.memory and few.memory.reserve_gib == 2.0
    assert math.isclose(many.memory.reserve_gib - few.memory.reserve_gib, 768 * 38.6 * 201088 / GIB)


def test_the_ranking_has_every_model_and_those_that_fit_first() -> None:
    rows = ranking(lookup.find_gpu("a100-80"), 1, None, 8)
    assert {model.name for model, _ in rows} == set(catalog.models())
    fits = [isinstance(row, Plan) and row.fits for _, row in rows]
    assert fits == sorted(fits, reverse=True)
    assert any(fits) and not all(fits)


def test_the_ranking_with_an_fp8_cache_has_the_chats_of_fp8_and_the_models_that_refuse_it() -> None:
    rows = {model.name: row for model, row in ranking(lookup.find_gpu("a100-80"), 1, None, 8, "fp8")}
    qwen, gpt_oss = rows["qwen3-30b-a3b"], rows["gpt-oss-120b"]
    assert isinstance(qwen, Plan) and qwen.concurrent_chats == answer("qwen3-30b-a3b", "a100-80", kv_dtype="fp8", concurrent_chats=8).concurrent_chats
    assert "with an fp8 KV cache does not start on NVIDIA A100 80 GB" in str(gpt_oss)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gpt-os", ("there is no model 'gpt-os' in the catalog", "gpt-oss-20b, gpt-oss-120b")),
        ("gpt-oss-120b --gpu a100", ("there is no GPU 'a100' in the catalog", "a100-80, a100-40")),
        ("gpt-oss-120b", ("a plan needs a GPU, or the size of the KV cache", "l40s")),
        ("", ("plan needs a model, or --all", "gpt-oss-120b")),
        ("qwq-32b --gpu a100-80 --context 131072", ("--context 131072 is more than the 40960 tokens that QwQ-32B supports", "--context 40960 or less")),
        ("qwq-32b --gpu a100-80 --context many", ("--context 'many' is not a number of tokens", "32k")),
        ("gemma4-31b --gpu a100-80 --kv-dtype fp8", ("gemma-4-31B-it with an fp8 KV cache does not start on NVIDIA A100 80 GB", "Omit --kv-dtype fp8")),
        ("qwq-32b --gpu a100-80 --kv-dtype fp4", ("--kv-dtype 'fp4' is not known", "auto (bf16) or fp8")),
        ("qwq-32b --gpu a100-80 --gpus 3", ("40 attention heads cannot be divided evenly among 3 GPUs", "Possible numbers of GPUs: 1, 2, 4, 8.")),
        ("qwen36-27b --gpu l4 --gpus 3", ("4 key-value heads can be neither divided nor copied evenly among 3 GPUs", "Possible numbers of GPUs: 1, 2, 4, 8.")),
        ("qwq-32b --gpu a100-80 --gpus 2 --tensor-parallel 4", ("--gpus 2 and --tensor-parallel 4 differ", "Give one of them")),
        ("qwq-32b --gpu a100-80 --concurrent-chats 0", ("--concurrent-chats is 0", "Use 1 or more.")),
        (
            "qwq-32b --gpu a100-80 --users 40",
            ("--users is now called --concurrent-chats", "40 people are about 10 chats at the same time (docs/explain/sizing.md): --concurrent-chats 10"),
        ),
        ("qwq-32b --gpu a100-80 --gpus 0", ("--gpus is 0", "Use 1 or more.")),
        ("qwq-32b --gpu a100-80 --tensor-parallel 0", ("--gpus is 0", "Use 1 or more.")),
        ("qwq-32b --gpu a100-80 --context 0", ("--context is 0", "Use 1 or more.")),
        ("--all --gpu a100-80 --gpus 0", ("--gpus is 0", "Use 1 or more.")),
        ("--all --gpu a100-80 --context 0", ("--context is 0", "Use 1 or more.")),
        ("qwq-32b --gpu l40sx2", ("--gpu l40sx2: the number of GPUs is an option of its own", "Give --gpu l40s --gpus 2, or l40s alone to scout-chat check")),
        ("qwq-32b@l40sx2", ("plan takes the GPU of qwq-32b as an option", "scout-chat plan qwq-32b --gpu l40s --gpus 2")),
        ("qwq-32b@l40s", ("plan takes the GPU of qwq-32b as an option", "scout-chat plan qwq-32b --gpu l40s\n")),
        ("values/gpt-oss.yaml", ("values/gpt-oss.yaml is a values file, not a model", "scout-chat check -f values/gpt-oss.yaml")),
        ("qwq-32b --gpu mi300x", ("there is no GPU 'mi300x' in the catalog", "The names are in schema/catalog/gpus.yaml")),
        ("qwq-32b --gpu a100-80 --max-num-batched-tokens 0", ("--max-num-batched-tokens is 0", "Use 1 or more.")),
        ("smollm2-135m --gpu cpu", ("a plan for a CPU needs the size of the KV cache", "--kv-gib")),
        ("qwq-32b --gpu a100-80 --utilization 92", ("--utilization 92.0 is not a fraction of the GPU's memory", "0.92")),
        ("qwq-32b --kv-gib 0", ("--kv-gib 0.0 leaves no KV cache", "Use a number above 0.")),
        ("--all", ("plan --all needs --gpu",)),
        ("--all --gpu a100-80 --kv-gib 7.5", ("plan --all does not take --kv-gib", "scout-chat plan MODEL --gpu GPU")),
        ("--all --gpu a100-80 --kv-dtype fp4", ("--kv-dtype 'fp4' is not known", "auto (bf16) or fp8")),
        ("--all --gpu a100-80 --max-num-seqs 8", ("plan --all does not take --max-num-seqs",)),
        ("--all --gpu a100-80 --picture all.svg", ("plan --all draws no picture", "scout-chat plan MODEL --gpu GPU --picture")),
        (
            "qwq-32b --gpu a100-80 --picture /nowhere/at/all.svg",
            (
                "/nowhere/at/all.svg cannot be written",
                "there is no folder /nowhere/at",
            ),
        ),
    ],
)
def test_a_mistake_is_one_message(line: str, words: tuple[str, ...], command: Command) -> None:
    assert_one_message(command, f"plan {line}", words)


@pytest.mark.parametrize(("text", "number"), [("32768", 32768), ("32k", 32768), ("32K", 32768), ("0", 0)])
def test_tokens_are_read_with_and_without_k(text: str, number: int) -> None:
    assert tokens(text) == number


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5k", "32kk", "many"])
def test_other_text_is_not_a_number_of_tokens(text: str) -> None:
    with pytest.raises(UserError, match="is not a number of tokens"):
        tokens(text)


def test_planning_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="--gpus 2 and --tensor-parallel 4 differ"):
        PlanOptions("gpt-oss-120b", "a100-80", gpus=2, tensor_parallel=4).request()
    with pytest.raises(UserError, match="plan --all needs --gpu, and no model"):
        PlanOptions("gpt-oss-120b", "a100-80").rank()
    with pytest.raises(UserError, match="plan --all needs --gpu, and no model"):
        PlanOptions(gpu="cpu").rank()
    assert PlanOptions("gpt-oss-120b", "a100-80", gpus=2, tensor_parallel=2).request().tensor_parallel == 2


def test_a_plan_that_does_not_fit_says_why_and_what_would(command: Command) -> None:
    status, output = command("plan", "gpt-oss-120b", "--gpu", "a100-80", "--concurrent-chats", "20")
    assert status == 1
    assert "It does not fit (concurrent chats): 5 chats of 32768 tokens fit at the same time, but 20 are requested." in output
    assert "What would fit:\n  --concurrent-chats 5\n" in output
    assert "--gpus 2 (57 chats)" in output


def test_a_cache_without_memory_is_shown_as_none_that_does_not_fit(command: Command) -> None:
    _, output = command("plan", "gpt-oss-120b", "--gpu", "l40s")
    assert "  KV cache             0.00 GiB  does not fit\n" in output


def test_bf16_is_another_name_of_auto(command: Command) -> None:
    """Every model of the catalog has bf16 as its own type."""
    assert command("plan", "qwq-32b", "--gpu", "a100-80", "--kv-dtype", "bf16") == command("plan", "qwq-32b", "--gpu", "a100-80")


def test_the_json_has_vllms_numbers(command: Command) -> None:
    line = "plan gpt-oss-120b --kv-gib 7.5 --context 64k --tensor-parallel 2 --max-num-batched-tokens 8192 --json"
    status, output = command(*line.split())
    assert status == 0
    answered = json.loads(output)
    assert type(answered["kv_blocks"]) is int and type(answered["max_concurrency"]) is float
    # 18 layers of 4 heads of 64 elements, keys and values, bf16, 16 tokens; then vLLM's sum over its two groups.
    assert answered["kv_blocks"] == int(7.5 * GIB) // (18 * 4 * 64 * 2 * 2 * 16)
    assert answered["max_concurrency"] == answered["kv_blocks"] / (65536 // 16 + math.ceil((127 + 2 * 8192) / 16) + 1)


def test_a_config_json_is_planned_too(tmp_path: Path, command: Command) -> None:
    (tmp_path / "config.json").write_text(json.dumps(lookup.find_model("qwen36-27b")[0].config))
    _, known = command("plan", "qwen36-27b", "--kv-gib", "8", "--json")
    status, own = command("plan", str(tmp_path), "--kv-gib", "8", "--json")
    assert status == 0
    for key in ("kv_blocks", "max_concurrency", "block_size"):
        assert json.loads(own)[key] == json.loads(known)[key]
    status, output = command("plan", str(tmp_path), "--gpu", "a100-80")
    assert status == 1
    assert "the size of its weights is unknown" in output


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "deepseek_v3", "num_hidden_layers": 61}, "does not support the architecture 'deepseek_v3'"),
        ({"model_type": "llama", "num_hidden_layers": 2}, "config.json of a llama has no num_attention_heads"),
        ({**lookup.find_model("qwq-32b")[0].config, "layer_types": ["chunked_attention"] * 64}, "does not support layers of type chunked_attention"),
    ],
)
def test_an_unknown_architecture_is_an_error(config: architecture.ModelConfig, words: str) -> None:
    with pytest.raises(UserError, match=words):
        architecture.read(config)


def test_the_picture_shows_every_gpu_that_fits_the_model(tmp_path: Path) -> None:
    found, checkpoint = lookup.find_model("gpt-oss-120b")
    picture.save(PlanRequest(found, checkpoint, lookup.find_gpu("a100-80")), tmp_path / "plan.svg")
    drawn = (tmp_path / "plan.svg").read_text()
    for gpu in catalog.gpus().values():
        fits = plan(PlanRequest(found, checkpoint, gpu, context=4096)).concurrent_chats > 0
        assert (f">{gpu.title.removeprefix('NVIDIA ')}<" in drawn) == fits, gpu.name
    picture.save(PlanRequest(found, checkpoint, lookup.find_gpu("a100-80")), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn
    assert picture.generated_files() == {ROOT / "docs/explain/plan.svg": drawn}
    assert (ROOT / "docs/explain/plan.svg").read_text() == drawn, "scout-chat plan gpt-oss-120b --gpu a100-80 --picture docs/explain/plan.svg --force"


def test_a_gpu_is_one_entry_of_one_file(tmp_path: Path) -> None:
    """An entry has the kernels of its family unless it sets its own; an invalid one is named with what is wrong."""
    file = tmp_path / "gpus.yaml"
    content = kubeyaml.load(catalog.GPUS.read_text())

    def written(**fields: object) -> dict[str, catalog.Gpu]:
        file.write_text(kubeyaml.dump({**content, "gpus": {"mine": {**content["gpus"]["h200"], **fields}}}))
        return catalog.read_gpus(file)

    assert written()["mine"].model_copy(update={"name": "h200"}) == catalog.gpus()["h200"]
    assert written(fp8Kv=[])["mine"].fp8Kv == ()
    with pytest.raises(UserError, match=r"gpus.yaml: gpus.mine.family 'rubin' is not a family") as error:
        written(family="rubin")
    assert "hopper" in error.value.hint
    with pytest.raises(UserError, match=r"gpus.yaml: gpus.mine: memory: Input should be a valid integer"):
        written(memory="much")
    with pytest.raises(UserError, match=r"gpus.mine: attention: .*no backends for mixedHeadSizes, mixedWindows, sinks"):
        written(attention={"plain": ["FLASH_ATTN"]})
    file.write_text(kubeyaml.dump({**content, "mine": content["gpus"]["h200"]}))
    with pytest.raises(UserError, match=r"gpus.yaml has mine beside families and gpus"):
        catalog.read_gpus(file)


def code_blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / document).read_text(), re.MULTILINE | re.DOTALL)


PAGES = ("explain/planner.md", "explain/sizing.md")
SHOWN = [block for page in PAGES for block in code_blocks(page, "console") if block.startswith("$ .venv/bin/scout-chat plan")]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.splitlines()[0].removeprefix("$ .venv/bin/scout-chat "))
def test_the_documented_output_is_the_commands(block: str, command: Command) -> None:
    """Line by line, in order. A line of dots stands for any lines."""
    line, *expected = block.splitlines()
    _, output = command(*line.removeprefix("$ .venv/bin/scout-chat ").split())
    printed = iter([shown.rstrip() for shown in output.splitlines()])
    for shown in expected:
        assert shown == "..." or shown.rstrip() in printed, shown


def test_the_documented_preset_commands_work(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line.partition("#")[0].split() for block in code_blocks("explain/planner.md", "sh") for line in block.splitlines() if " preset " in line]
    assert len(lines) >= 4
    for line in lines:
        status, output = command(*line[1:])
        assert status == 0, output


def test_the_documented_table_of_logs_is_the_commands() -> None:
    text = (ROOT / "docs" / "explain" / "planner.md").read_text()
    for log in reference_logs.logs():
        predicted = log.predicted()
        digits = 0 if isinstance(predicted, int) else 2
        assert f"| {log.what} ({log.gives}) | {predicted:,.{digits}f} | {log.published:,.{digits}f} | {log.error:+.2f} % |" in text
