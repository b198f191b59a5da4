"""Proves: for every model of the catalog the planner gives the same figures as vLLM's own code: blocks, concurrency, and refusals.

vLLM builds the model's class from the same config.json, without weights or a GPU, and computes the KV cache of a CUDA GPU
(tests/support/vllm_kv.py lists what replaces the GPU). Does not prove how much memory a GPU has left for the cache.
"""

import pytest
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import ROOT
from scout_chat.core.pins import pins
from scout_chat.planning import architecture, catalog
from scout_chat.planning.architecture import GdnPrefill
from scout_chat.planning.kv_cache import GIB, Cache
from scout_chat.vllm import extract

SCRIPT = ROOT / "tests/support/vllm_kv.py"
# GPUs, data type of the KV cache, tokens in a step, context, GiB. One cache is too small to start; one context is shorter than every
# sliding window, one longer than most models allow.
SETTINGS = [
    (1, "auto", 2048, 8192, 7.3),
    (1, "fp8", 8192, 32768, 11.57),
    (1, "auto", 2048, 500, 3.81),
    (2, "auto", 1024, 131072, 37.77),
    (2, "fp8", 2048, 40000, 0.9),
    (4, "fp8", 2048, 262144, 24.0),
    (8, "auto", 16384, 16384, 5.05),
]
# Mamba2, which no model of the catalog has: the keys of NVIDIA's Nemotron-3-Nano-30B-A3B that matter to its cache, from memory.
NEMOTRON = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "hidden_size": 2688,
    "num_hidden_layers": 52,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "intermediate_size": 1856,
    "vocab_size": 131072,
    "max_position_embeddings": 262144,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "chunk_size": 128,
    "mlp_hidden_act": "relu2",
    "layer_norm_epsilon": 1e-05,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "norm_topk_prob": True,
    "n_group": 1,
    "topk_group": 1,
    "use_conv_bias": True,
    "routed_scaling_factor": 2.5,
}


def changed(name: str, **keys: object) -> KubeObject:
    """Return a catalog model's config.json with other keys."""
    config = catalog.models()[name].config
    return {**config, "text_config": {**config["text_config"], **keys}} if "text_config" in config else {**config, **keys}


# Shapes that no model of the catalog has.
ODD = {
    "nemotron-3-nano": NEMOTRON,
    "nemotron with one group": {**NEMOTRON, "n_groups": 1},
    "pages of which one does not divide the other": changed("gemma4-26b-a4b", head_dim=192),
    "a window smaller than a block": changed("gemma3-27b", sliding_window=9),
    "a window in every layer": changed("mistral-small-24b", sliding_window=4096),
    "a window that config.json leaves to transformers": {key: value for key, value in changed("mistral-small-24b").items() if key != "sliding_window"},
    "more layers of full attention than linear ones": changed(
        "qwen36-27b", layer_types=["full_attention", "full_attention", "linear_attention"] * 21 + ["full_attention"]
    ),
    "nearly as many linear layers as others": changed("qwen36-27b", layer_types=["linear_attention"] * 36 + ["full_attention"] * 28),
    "a state of bf16": changed("qwen36-27b", mamba_ssm_dtype=None),
}


def configs() -> dict[str, KubeObject]:
    """Return config.json of every model of the catalog and of the odd shapes."""
    return {name: model.config for name, model in catalog.models().items()} | ODD


def questions(gdn_prefill: GdnPrefill = "triton") -> list[KubeObject]:
    """Return the questions for vLLM, in the form of vllm_kv.py. For another kernel than Triton's, only models with linear attention."""
    asked = []
    for name, config in configs().items():
        model = architecture.read(config)
        if gdn_prefill != "triton" and not model.linear_attention:
            continue
        for gpus, kv_dtype, batched, context, gib in SETTINGS:
            if not model.split_error(gpus):
                question = {"tensor_parallel": gpus, "kv_dtype": kv_dtype, "max_num_batched_tokens": batched, "kv_bytes": int(gib * GIB)}
                on = {"device": "cuda", "gdn_prefill": gdn_prefill}
                asked.append({"name": name, "config": config, "context": min(context, model.context), **on, **question})
    return asked


def planned(question: KubeObject) -> KubeObject:
    """Return the planner's answer in the form of vllm_kv.py."""
    cache = Cache(
        architecture.read(question["config"]),
        question["tensor_parallel"],
        question["kv_dtype"],
        question["max_num_batched_tokens"],
        question["device"],
        gdn_prefill=question["gdn_prefill"],
    )
    context, kv_bytes = question["context"], question["kv_bytes"]
    if cache.bytes_needed(context) > kv_bytes:
        return {"name": question["name"], "error": True}
    said = {"kv_blocks": cache.blocks(kv_bytes), "max_concurrency": cache.concurrency(kv_bytes, context), "bytes_per_block": cache.bytes_per_block}
    return {"name": question["name"], **said}


def comparable(answer: KubeObject) -> KubeObject:
    """Return the figures of vLLM's answer that the planner has too. Fails if vLLM refuses for another reason than memory."""
    if "error" in answer:
        assert "To serve at least one request" in answer["error"] or "No available memory" in answer["error"], answer
        return {"name": answer["name"], "error": True}
    return {key: answer[key] for key in ("name", "kv_blocks", "max_concurrency", "bytes_per_block")}


def compared(version: str, asked: list[KubeObject]) -> tuple[list[KubeObject], list[tuple[KubeObject, KubeObject, KubeObject]]]:
    """Return the release's answers, and each question of which the planner's answer differs, with both."""
    answers = [comparable(answer) for answer in extract.run_with_vllm(SCRIPT.read_text(), version, asked)]
    differing = [(question, mine, real) for question, real in zip(asked, answers, strict=True) if (mine := planned(question)) != real]
    models, refused = len({question["name"] for question in asked}), sum("error" in answer for answer in answers)
    print(f"\nvLLM {version}: {len(asked)} configurations of {models} models: {len(asked) - len(differing)} equal, {refused} of them refused by both")
    return answers, differing


@pytest.mark.parametrize("version", pins().engine.releases)
def test_the_planner_answers_what_vllm_does(version: str, one_node: None) -> None:
    asked = questions()
    answers, differing = compared(version, asked)
    assert len(asked) >= 40
    assert 0 < sum("error" in answer for answer in answers) < len(asked) / 4
    assert not differing
    # The comparison would detect a planner for another vLLM: with one batch in flight, sliding windows have fewer blocks.
    windowed = next(question for question in asked if question["name"] == "gpt-oss-120b")
    other = Cache(architecture.read(windowed["config"]), batches_in_flight=1)
    assert other.concurrency(windowed["kv_bytes"], windowed["context"]) != planned(windowed)["max_concurrency"]


def test_the_planner_knows_what_flashinfers_linear_attention_keeps(one_node: None) -> None:
    """On Hopper and Blackwell: one more state for each request, and blocks of a multiple of 64 tokens."""
    asked = questions("flashinfer")
    answers, differing = compared(pins().engine.gpu.release, asked)
    assert {question["name"] for question in asked} >= {"qwen36-27b", "qwen36-35b-a3b", "a state of bf16"}
    assert not differing
    assert all(planned(question | {"gdn_prefill": "triton"}) != answer for question, answer in zip(asked, answers, strict=True) if "error" not in answer)
