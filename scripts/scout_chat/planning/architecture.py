"""Read from a model's config.json what determines its KV cache: layer types, heads, windows and states.

For a layer the cache holds one of three things: keys and values of all tokens (full attention), keys and values of the last tokens
(sliding window), or a state of fixed size (the linear attention of Qwen3.5, Mamba2). Sources: the config classes of transformers 5.19
for the defaults that a config.json leaves out, and vLLM 0.32 for the states (vllm/model_executor/layers/mamba/mamba_utils.py).
An architecture that is not covered here is an error; nothing is guessed.
"""

from dataclasses import dataclass
from typing import Any, Literal

from scout_chat.core.errors import UserError

# The content of a config.json.
ModelConfig = dict[str, Any]
# What vLLM's attention backends tell models apart by.
AttentionKind = Literal["plain", "mixedWindows", "mixedHeadSizes", "sinks"]
# vLLM's kernels that compute linear attention (the gated delta rule, GDN) over a prompt: --gdn-prefill-backend.
GdnPrefill = Literal["triton", "flashinfer"]

DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
BF16_BYTES = DTYPE_BYTES["bfloat16"]


@dataclass(frozen=True)
class AttentionLayers:
    """``count`` layers with ``kv_heads`` key-value heads of ``head_dim`` elements, over the last ``window`` tokens (None: all tokens)."""

    count: int
    kv_heads: int
    head_dim: int
    window: int | None = None

    def bytes_per_token(self, tensor_parallel: int, dtype_bytes: int) -> int:
        """Return the bytes of one token's keys and values in one layer, on each GPU.

        The GPUs divide the heads among them. With more GPUs than heads, each GPU has a copy of one head.
        """
        return max(1, self.kv_heads // tensor_parallel) * self.head_dim * 2 * dtype_bytes


@dataclass(frozen=True)
class StateLayers:
    """``count`` layers with a state of fixed size. Element counts are totals over all GPUs.

    ``conv_elements`` are bf16, ``recurrent_elements`` have ``recurrent_bytes`` bytes each. The GPUs divide ``heads`` and ``groups`` among
    them; ``conv_elements_per_group`` is one group's part of ``conv_elements``. A request keeps ``states_per_request`` states while the
    prefix cache is on, as it is for a chat: the current one and earlier ones.
    """

    count: int
    heads: int
    conv_elements: int
    recurrent_elements: int
    recurrent_bytes: int = BF16_BYTES
    states_per_request: int = 2
    groups: int = 0
    conv_elements_per_group: int = 0

    def bytes(self, tensor_parallel: int) -> int:
        """Return the bytes of one layer's state on each GPU. A single group is copied to every GPU, as vLLM does."""
        copies = tensor_parallel - 1 if self.groups == 1 else 0
        conv_elements = (self.conv_elements + copies * self.conv_elements_per_group) // tensor_parallel
        return conv_elements * BF16_BYTES + self.recurrent_elements // tensor_parallel * self.recurrent_bytes


@dataclass(frozen=True)
class Architecture:
    """What of a model determines its KV cache.

    ``heads`` counts the query heads, ``vocabulary`` and ``context`` tokens. ``sinks``: the learned attention sinks of gpt-oss, which few
    attention kernels support.
    """

    layers: tuple[AttentionLayers | StateLayers, ...]
    heads: int
    vocabulary: int
    context: int
    sinks: bool = False

    @property
    def linear_attention(self) -> bool:
        """Whether the states are those of linear attention, not of Mamba2."""
        return any(not item.groups for item in self.states)

    @property
    def attention(self) -> tuple[AttentionLayers, ...]:
        return tuple(item for item in self.layers if isinstance(item, AttentionLayers))

    @property
    def states(self) -> tuple[StateLayers, ...]:
        return tuple(item for item in self.layers if isinstance(item, StateLayers))

    @property
    def attention_kind(self) -> AttentionKind:
        """The feature of its attention that restricts vLLM's choice of a backend most."""
        if self.sinks:
            return "sinks"
        if len({item.head_dim for item in self.attention}) > 1:
            return "mixedHeadSizes"
        return "mixedWindows" if len({item.window for item in self.attention}) > 1 else "plain"

    def split_error(self, tensor_parallel: int) -> str:
        """Return why vLLM cannot split this model over so many GPUs; empty if it can."""
        undivided = f"cannot be divided evenly among {tensor_parallel} GPUs"
        if self.heads % tensor_parallel:
            return f"{self.heads} attention heads {undivided}"
        for layers in self.attention:
            if self.sinks and layers.kv_heads < tensor_parallel:
                return f"each of the {tensor_parallel} GPUs needs its own key-value head, but there are only {layers.kv_heads}"
            if layers.kv_heads % tensor_parallel and tensor_parallel % layers.kv_heads:
                return f"{layers.kv_heads} key-value heads can be neither divided nor copied evenly among {tensor_parallel} GPUs"
        for states in self.states:
            if states.groups > 1 and states.groups % tensor_parallel:
                return f"{states.groups} Mamba2 groups {undivided}"
            if states.heads % tensor_parallel:
                return f"{states.heads} {'Mamba2' if states.groups else 'linear-attention'} heads {undivided}"
        return ""


# Model types with one kind of attention in every layer.
PLAIN_TYPES = ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "glm4_moe")
# Default of transformers for a Mistral model's sliding_window.
MISTRAL_WINDOW = 4096
# Without layer_types in config.json, one in so many layers has full attention.
FULL_ATTENTION_INTERVAL = {"gpt_oss": 2, "gemma3_text": 6, "gemma4_text": 6, "qwen3_5_text": 4, "qwen3_5_moe_text": 4, "qwen3_next": 4}
# The text model's type, where config.json gives only the type of the whole (multimodal) model.
TEXT_TYPES = {"gemma3": "gemma3_text", "gemma4": "gemma4_text", "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text", "mistral3": "mistral"}


def read(config: ModelConfig) -> Architecture:
    """Return the architecture that a config.json describes. Raises UserError if the planner does not cover it or a key is missing."""
    text: ModelConfig = config.get("text_config", config)
    model_type: str = text.get("model_type") or config.get("model_type", "")
    model_type = TEXT_TYPES.get(model_type, model_type)
    try:
        return Architecture(
            tuple(layers for layers in _layers(model_type, text) if layers.count),
            text["num_attention_heads"],
            text["vocab_size"],
            text["max_position_embeddings"],
            sinks=model_type == "gpt_oss",
        )
    except KeyError as error:
        name = model_type or "model without model_type"
        raise UserError(f"config.json of a {name} has no {error.args[0]}", "Use the model's complete config.json.") from None


def _layers(model_type: str, text: ModelConfig) -> list[AttentionLayers | StateLayers]:
    if model_type == "nemotron_h":
        return _mamba2(text)
    if model_type == "mistral":
        text = {"sliding_window": MISTRAL_WINDOW, **text}
    layer_types = _layer_types(model_type, text)
    unknown = set(layer_types) - {"full_attention", "sliding_attention", "linear_attention"}
    if unknown:
        raise UserError(
            f"the planner does not support layers of type {', '.join(sorted(unknown))}",
            "It supports full and sliding-window attention, Qwen's linear attention and Mamba2.",
        )
    kv_heads = text.get("num_key_value_heads") or text["num_attention_heads"]
    head_dim = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    full = AttentionLayers(layer_types.count("full_attention"), kv_heads, head_dim)
    if model_type == "gemma4_text":
        # Gemma 4's full-attention layers have their own head size, and their own number of heads if keys also serve as values.
        own_heads = text.get("num_global_key_value_heads") if text.get("attention_k_eq_v", True) else None
        full = AttentionLayers(full.count, own_heads or kv_heads, text.get("global_head_dim", 512))
    window = text["sliding_window"] if "sliding_attention" in layer_types else None
    sliding = AttentionLayers(layer_types.count("sliding_attention"), kv_heads, head_dim, window)
    return [full, sliding, *_linear_attention(model_type, text, layer_types.count("linear_attention"))]


def _layer_types(model_type: str, text: ModelConfig) -> list[str]:
    """Return the type of each layer, without the layers that reuse another layer's cache."""
    count: int = text["num_hidden_layers"]
    types: list[str]
    # vLLM's gpt-oss ignores the list.
    if (listed := text.get("layer_types")) and model_type != "gpt_oss":
        types = listed
    elif model_type in FULL_ATTENTION_INTERVAL:
        other = "linear_attention" if model_type.startswith("qwen") else "sliding_attention"
        interval = text.get("full_attention_interval") or text.get("sliding_window_pattern") or FULL_ATTENTION_INTERVAL[model_type]
        types = ["full_attention" if number % interval == 0 else other for number in range(1, count + 1)]
        if model_type == "gemma4_text":
            types[-1] = "full_attention"
    elif model_type in PLAIN_TYPES:
        windowed = text["sliding_window"] if model_type == "mistral" else text.get("use_sliding_window")
        first = 0 if model_type == "mistral" else text.get("max_window_layers", 0)
        types = ["sliding_attention" if windowed and number >= first else "full_attention" for number in range(count)]
    else:
        known = sorted({*PLAIN_TYPES, *FULL_ATTENTION_INTERVAL, *TEXT_TYPES, "nemotron_h"})
        raise UserError(f"the planner does not support the architecture {model_type!r}", f"It supports: {', '.join(known)}")
    return types[: count - text.get("num_kv_shared_layers", 0)]


def _linear_attention(model_type: str, text: ModelConfig, count: int) -> list[StateLayers]:
    """Return the gated delta rule layers of Qwen3-Next and Qwen3.5; none if ``count`` is 0."""
    if not count:
        return []
    key_heads, value_heads = text["linear_num_key_heads"], text["linear_num_value_heads"]
    key_dim, value_dim = text["linear_key_head_dim"], text["linear_value_head_dim"]
    conv_elements = (2 * key_heads * key_dim + value_heads * value_dim) * (text["linear_conv_kernel_dim"] - 1)
    # vLLM takes the state's dtype from config.json for Qwen3.5. If the key is missing, and for Qwen3-Next, it is the model's own dtype.
    dtype = text.get("mamba_ssm_dtype") if model_type.startswith("qwen3_5") else None
    return [StateLayers(count, value_heads, conv_elements, value_heads * value_dim * key_dim, DTYPE_BYTES[dtype or "bfloat16"])]


def _mamba2(text: ModelConfig) -> list[AttentionLayers | StateLayers]:
    """Return the layers of a Nemotron-H: M in its pattern is a Mamba2 layer, * a layer of full attention."""
    pattern: str = text["hybrid_override_pattern"]
    heads, head_dim, groups, state_size = text["mamba_num_heads"], text["mamba_head_dim"], text["n_groups"], text["ssm_state_size"]
    kernel = text["conv_kernel"] - 1
    states = StateLayers(
        pattern.count("M"),
        heads,
        conv_elements=(heads * head_dim + 2 * groups * state_size) * kernel,
        recurrent_elements=heads * head_dim * state_size,
        recurrent_bytes=DTYPE_BYTES[text.get("mamba_ssm_cache_dtype") or "float32"],
        # vLLM's Mamba2 mixer also keeps a checkpoint of its prefill.
        states_per_request=3,
        groups=groups,
        conv_elements_per_group=2 * state_size * kernel,
    )
    return [AttentionLayers(pattern.count("*"), text["num_key_value_heads"], text["head_dim"]), states]
