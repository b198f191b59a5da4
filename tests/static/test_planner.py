"""Proves: the planner says what vLLM's published logs say, names what binds and what would fit, and refuses what could not start.

It does not prove the estimate of what is left for the cache; no GPU was at hand. That the arithmetic is vLLM's own is shown by asking vLLM
(tests/cluster/test_capacity.py).
"""

import json
import math
import re
from pathlib import Path

import pytest
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning import architecture, catalog, lookup, picture, reference_logs
from scout_chat.planning.advice import alternatives, ranking
from scout_chat.planning.kv_cache import GIB, Cache
from scout_chat.planning.options import PlanOptions, tokens
from scout_chat.planning.planner import Plan, PlanRequest, plan

from tests.static.conftest import Command, assert_one_message

# Percent. The logs give GiB in hundredths: 0.005 of 10.65 is 0.05, and of 3.81 0.13.
ROUNDING = 0.3


def answer(model: str, gpu: str = "", **asked: object) -> Plan:
    found, checkpoint = lookup.find_model(model)
    return plan(PlanRequest(found, checkpoint, lookup.find_gpu(gpu) if gpu else None, **asked))


@pytest.mark.parametrize("log", reference_logs.logs(), ids=lambda log: f"{log.what}, {log.gives}")
def test_published_logs_are_predicted(log: reference_logs.Log) -> None:
    assert abs(log.error) <= ROUNDING
    if not log.kv_gib:
        # Nothing was rounded on the way in.
        assert log.error == 0


# Claims of the old role's README, and what the planner makes of them (docs/planner.md).
@pytest.mark.parametrize(
    ("model", "gpu", "asked", "concurrency"),
    [
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.90}, 0.7),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.92}, 1.1),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "utilization": 0.95}, 1.6),
        ("openai/gpt-oss-120b", "a100-80", {"context": 32768, "utilization": 0.92}, 3.9),
        ("Qwen/QwQ-32B", "a100-80", {"context": 32768, "utilization": 0.90}, 1.0),
        ("Qwen/QwQ-32B-AWQ", "a100-80", {"context": 32768}, 6.6),
        ("openai/gpt-oss-120b", "a100-80", {"context": 32768, "tensor_parallel": 2}, 58.1),
        ("openai/gpt-oss-120b", "a100-80", {"context": 131072, "tensor_parallel": 2}, 15.9),
        ("Qwen/QwQ-32B", "a100-80", {"context": 32768, "tensor_parallel": 2}, 9.8),
    ],
)
def test_claims_of_the_old_role(model: str, gpu: str, asked: dict, concurrency: float) -> None:
    assert answer(model, gpu, **asked).max_concurrency == pytest.approx(concurrency, abs=0.06)


def test_the_old_roles_flags_do_not_start() -> None:
    """gpt-oss with a cache of fp8 on an A100, and the quantised flag's model in bf16 with four users of 32768 tokens."""
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
def test_where_a_cache_of_fp8_starts(model: str, gpu: str, allowed: bool) -> None:
    if allowed:
        assert answer(model, gpu, kv_dtype="fp8", context=8192).request.kv_dtype == "fp8"
    else:
        with pytest.raises(UserError, match="cache of fp8"):
            answer(model, gpu, kv_dtype="fp8", context=8192)


@pytest.mark.parametrize(
    ("model", "asked", "bottleneck"),
    [
        ("gpt-oss-120b", {"gpu": "l4"}, "weights"),
        ("llama33-70b", {"gpu": "h100-80"}, "one request"),
        ("gpt-oss-120b", {"gpu": "a100-80", "concurrent_chats": 20}, "concurrent chats"),
        ("gpt-oss-120b", {"gpu": "a100-80", "concurrent_chats": 5}, ""),
    ],
)
def test_what_binds_is_named_and_the_changes_fit(model: str, asked: dict, bottleneck: str) -> None:
    short = answer(model, **asked)
    assert short.bottleneck == bottleneck
    if bottleneck:
        assert short.shortfall_gib > 0
        assert alternatives(short)
        for other in alternatives(short):
            assert other.plan.fits, other.change
            assert not other.plan.bottleneck


def test_what_is_short_is_what_would_do() -> None:
    """With so many GiB more it fits, and with a block less it does not."""
    short = answer("gpt-oss-120b", "a100-80", concurrent_chats=20)
    needed = short.cache.bytes_needed(32768, 20)
    assert math.isclose(needed / GIB, short.kv_gib + short.shortfall_gib)
    more = {"concurrent_chats": 20, "kv_gib": needed / GIB}
    assert answer("gpt-oss-120b", **more).fits
    assert not answer("gpt-oss-120b", concurrent_chats=20, kv_gib=(needed - 2 * short.cache.bytes_per_block) / GIB).fits


def test_one_block_is_never_given_away() -> None:
    """vLLM keeps a null block: exactly one request's blocks are too few to start (``get_kv_cache_configs``)."""
    cache = Cache(lookup.find_model("qwq-32b")[0].architecture)
    exact = cache.blocks_per_request(8192) * cache.bytes_per_block
    assert not answer("qwq-32b", context=8192, kv_gib=exact / GIB).starts
    assert answer("qwq-32b", context=8192, kv_gib=(exact + cache.bytes_per_block) / GIB).starts


@pytest.mark.parametrize("model", catalog.models())
def test_more_memory_never_holds_less(model: str) -> None:
    """Over the whole catalogue: chats at once fall with the context, rise with memory, with fp8 and with GPUs."""
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


def test_a_hybrid_gets_no_more_sequences_than_blocks() -> None:
    """vLLM: max_num_seqs exceeds available Mamba cache blocks."""
    tight = answer("qwen36-27b", kv_gib=2.5, context=8192, concurrent_chats=1)
    assert tight.max_num_seqs <= tight.kv_blocks
    for model in ("qwen36-27b", "qwen36-35b-a3b"):
        chosen = answer(model, "a100-80", concurrent_chats=100, context=2048)
        assert chosen.max_num_seqs <= chosen.kv_blocks


def test_the_sampler_is_reckoned_with_beyond_256_sequences() -> None:
    few, many = answer("gpt-oss-120b", "h200", max_num_seqs=256), answer("gpt-oss-120b", "h200", max_num_seqs=1024)
    assert few.memory and many.memory and few.memory.reserve_gib == 2.0
    assert math.isclose(many.memory.reserve_gib - few.memory.reserve_gib, 768 * 38.6 * 201088 / GIB)


def test_the_ranking_holds_every_model_and_what_fits_comes_first() -> None:
    rows = ranking(lookup.find_gpu("a100-80"), 1, None, 8)
    assert {model.name for model, _ in rows} == set(catalog.models())
    fits = [isinstance(row, Plan) and row.fits for _, row in rows]
    assert fits == sorted(fits, reverse=True)
    assert any(fits) and not all(fits)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gpt-os", ("there is no model 'gpt-os' in the catalogue", "gpt-oss-20b, gpt-oss-120b")),
        ("gpt-oss-120b --gpu a100", ("there is no GPU 'a100' in the catalogue", "a100-80, a100-40")),
        ("gpt-oss-120b", ("which GPU? --gpu names one", "l40s")),
        ("", ("plan needs a model, or --all", "gpt-oss-120b")),
        ("qwq-32b --gpu a100-80 --context 131072", ("QwQ-32B was made for 40960 tokens of context, and 131072 are asked for", "--context 40960 at most")),
        ("qwq-32b --gpu a100-80 --context many", ("--context 'many' is not a number of tokens", "32k")),
        ("gemma4-31b --gpu a100-80 --kv-dtype fp8", ("gemma-4-31B-it with a cache of fp8 does not start on NVIDIA A100 80 GB", "Leave out --kv-dtype fp8")),
        ("qwq-32b --gpu a100-80 --kv-dtype fp4", ("--kv-dtype 'fp4' is not known", "auto (bf16) or fp8")),
        ("qwq-32b --gpu a100-80 --gpus 3", ("40 attention heads cannot be shared out over 3 GPUs", "It can be on 1, 2, 4, 8.")),
        ("qwen36-27b --gpu l4 --gpus 3", ("4 key-value heads can neither be shared out over nor copied to 3 GPUs", "It can be on 1, 2, 4, 8.")),
        ("qwq-32b --gpu a100-80 --gpus 2 --tensor-parallel 4", ("--gpus 2 and --tensor-parallel 4 differ", "Give one of them")),
        ("qwq-32b --gpu a100-80 --concurrent-chats 0", ("context, concurrent chats, GPUs, tokens and sequences are 1 or more",)),
        ("qwq-32b --gpu a100-80 --users 5", ("--users is now called --concurrent-chats", "Give --concurrent-chats 5 instead")),
        ("qwq-32b --gpu a100-80 --max-num-batched-tokens 0", ("tokens and sequences are 1 or more",)),
        ("smollm2-135m --gpu cpu", ("on a CPU the cache has the memory that it is given", "--kv-gib")),
        ("qwq-32b --gpu a100-80 --utilization 92", ("--utilization 92.0 is no share of a GPU", "0.92")),
        ("qwq-32b --kv-gib 0", ("--kv-gib 0.0 leaves no cache",)),
        ("--all", ("plan --all needs --gpu",)),
        ("qwq-32b --gpu a100-80 --picture /nowhere/at/all.svg", ("/nowhere/at/all.svg cannot be written",)),
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


def test_what_does_not_fit_says_why_and_what_would(command: Command) -> None:
    status, output = command("plan", "gpt-oss-120b", "--gpu", "a100-80", "--concurrent-chats", "20")
    assert status == 1
    assert "It does not fit (concurrent chats): 5 chats of 32768 tokens fit at once, and 20 are asked for." in output
    assert "What would fit:\n  --concurrent-chats 5\n" in output
    assert "--gpus 2 (58 chats)" in output


def test_json_is_what_vllm_would_answer(command: Command) -> None:
    line = "plan gpt-oss-120b --kv-gib 7.5 --context 64k --tensor-parallel 2 --max-num-batched-tokens 8192 --json"
    status, output = command(*line.split())
    assert status == 0
    said = json.loads(output)
    assert type(said["kv_blocks"]) is int and type(said["max_concurrency"]) is float
    # 18 layers of 4 heads of 64 numbers, keys and values, bf16, 16 tokens; then vLLM's sum over its two groups.
    assert said["kv_blocks"] == int(7.5 * GIB) // (18 * 4 * 64 * 2 * 2 * 16)
    assert said["max_concurrency"] == said["kv_blocks"] / (65536 // 16 + math.ceil((127 + 2 * 8192) / 16) + 1)


def test_a_config_json_is_planned_too(tmp_path: Path, command: Command) -> None:
    (tmp_path / "config.json").write_text(json.dumps(lookup.find_model("qwen36-27b")[0].config))
    _, known = command("plan", "qwen36-27b", "--kv-gib", "8", "--json")
    status, own = command("plan", str(tmp_path), "--kv-gib", "8", "--json")
    assert status == 0
    for key in ("kv_blocks", "max_concurrency", "block_size"):
        assert json.loads(own)[key] == json.loads(known)[key]
    status, output = command("plan", str(tmp_path), "--gpu", "a100-80")
    assert status == 1
    assert "the size of its weights is not known" in output


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "deepseek_v3", "num_hidden_layers": 61}, "does not know the architecture 'deepseek_v3'"),
        ({"model_type": "llama", "num_hidden_layers": 2}, "config.json of a llama has no num_attention_heads"),
        ({**lookup.find_model("qwq-32b")[0].config, "layer_types": ["chunked_attention"] * 64}, "layers of chunked_attention are not covered"),
    ],
)
def test_an_architecture_is_not_guessed(config: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        architecture.read(config)


def test_the_picture_shows_every_gpu_that_takes_the_model(tmp_path: Path) -> None:
    found, checkpoint = lookup.find_model("gpt-oss-120b")
    picture.save(PlanRequest(found, checkpoint, lookup.find_gpu("a100-80")), tmp_path / "plan.svg")
    drawn = (tmp_path / "plan.svg").read_text()
    for gpu in catalog.gpus().values():
        takes = plan(PlanRequest(found, checkpoint, gpu, context=4096)).concurrent_chats > 0
        assert (f">{gpu.title.removeprefix('NVIDIA ')}<" in drawn) == takes, gpu.name
    picture.save(PlanRequest(found, checkpoint, lookup.find_gpu("a100-80")), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn
    assert (ROOT / "docs/plan.svg").read_text() == drawn, "scout-chat plan gpt-oss-120b --gpu a100-80 --picture docs/plan.svg --force"


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / document).read_text(), re.MULTILINE | re.DOTALL)


SHOWN = [block for block in blocks("planner.md", "") if block.startswith("$ .venv/bin/scout-chat plan")]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.splitlines()[0].removeprefix("$ .venv/bin/scout-chat "))
def test_what_the_document_shows_is_what_is_printed(block: str, command: Command) -> None:
    """Line by line, in order; a line of dots stands for others."""
    line, *expected = block.splitlines()
    _, output = command(*line.removeprefix("$ .venv/bin/scout-chat ").split())
    printed = iter([shown.rstrip() for shown in output.splitlines()])
    for shown in expected:
        assert shown == "..." or shown.rstrip() in printed, shown


def test_the_documents_presets_are_written(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line.partition("#")[0].split() for block in blocks("planner.md", "sh") for line in block.splitlines() if " preset " in line]
    assert len(lines) >= 4
    for line in lines:
        status, output = command(*line[1:])
        assert status == 0, output


def test_the_documents_table_of_logs_is_the_commands() -> None:
    text = (ROOT / "docs" / "planner.md").read_text()
    for log in reference_logs.logs():
        said = log.predicted()
        digits = 0 if isinstance(said, int) else 2
        assert f"| {log.what} ({log.gives}) | {said:,.{digits}f} | {log.published:,.{digits}f} | {log.error:+.2f} % |" in text
