"""What a model keeps in the KV cache, read from its config.json: kinds of layers, heads, windows, states.

A kind of layers is one of three: attention over everything, attention over a sliding window, or a state of fixed size (the linear
attention of Qwen3.5, Mamba2). Sources: the config classes of transformers 5.19 for what a config.json leaves out, and vLLM 0.32 for the
states (vllm/model_executor/layers/mamba/mamba_utils.py). An architecture that is not read here is refused, not guessed.
"""

from dataclasses import dataclass

from scout_chat.core.errors import UserError

DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}  # bytes
BF16 = DTYPE_BYTES["bfloat16"]


@dataclass(frozen=True)
class Attention:
    """``layers`` layers with ``kv_heads`` heads of ``head_dim`` numbers each, over the last ``window`` tokens (None: over all)."""

    layers: int
    kv_heads: int
    head_dim: int
    window: int | None = None

    def bytes_per_token(self, tensor_parallel: int, number: int) -> int:
        """Bytes that one layer keeps of one token on each GPU, keys and values, ``number`` bytes a number.

        Heads are spread over the GPUs; with more GPUs than heads each has a copy of one.
        """
        return max(1, self.kv_heads // tensor_parallel) * self.head_dim * 2 * number


@dataclass(frozen=True)
class State:
    """``layers`` layers with a state that does not grow: ``conv`` numbers of bf16 and ``recurrent`` numbers of ``number`` bytes, over all GPUs.

    ``heads`` and ``groups`` are what the GPUs share out; ``group_conv`` is the part of ``conv`` that each group takes. With a prefix cache,
    which a chat has, a request keeps ``kept`` states: the running one and those before it.
    """

    layers: int
    heads: int
    conv: int
    recurrent: int
    number: int = BF16
    kept: int = 2
    groups: int = 0
    group_conv: int = 0

    def bytes(self, tensor_parallel: int) -> int:
        """Bytes of one layer's state on each GPU. A single group is copied to each, as vLLM does."""
        missing = tensor_parallel - 1 if self.groups == 1 else 0
        return (self.conv + missing * self.group_conv) // tensor_parallel * BF16 + self.recurrent // tensor_parallel * self.number


@dataclass(frozen=True)
class Architecture:
    """``heads`` are the attention's query heads; ``sinks``: gpt-oss' learned attention sinks, which few kernels know."""

    kinds: tuple[Attention | State, ...]
    heads: int
    vocabulary: int
    context: int
    sinks: bool = False

    @property
    def attention(self) -> tuple[Attention, ...]:
        return tuple(kind for kind in self.kinds if isinstance(kind, Attention))

    @property
    def states(self) -> tuple[State, ...]:
        return tuple(kind for kind in self.kinds if isinstance(kind, State))

    def refuses(self, tensor_parallel: int) -> str:
        """Why vLLM cannot share this model out over so many GPUs; empty if it can."""
        if self.heads % tensor_parallel:
            return f"{self.heads} attention heads cannot be shared out over {tensor_parallel} GPUs"
        for kind in self.attention:
            if self.sinks and kind.kv_heads < tensor_parallel:
                return f"each GPU needs a key-value head of its own, and there are {kind.kv_heads}"
            if kind.kv_heads % tensor_parallel and tensor_parallel % kind.kv_heads:
                return f"{kind.kv_heads} key-value heads can neither be shared out over nor copied to {tensor_parallel} GPUs"
        for kind in self.states:
            if kind.groups > 1 and kind.groups % tensor_parallel:
                return f"{kind.groups} groups of Mamba2 cannot be shared out over {tensor_parallel} GPUs"
            if kind.heads % tensor_parallel:
                return f"{kind.heads} heads of the linear attention cannot be shared out over {tensor_parallel} GPUs"
        return ""


# One kind of attention in every layer, whatever the rest of the model is.
PLAIN = ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "glm4_moe")
# What transformers takes where a Mistral's config.json does not say otherwise.
MISTRAL_WINDOW = 4096
# Each so many layers one of full attention, where config.json has no layer_types.
EVERY = {"gpt_oss": 2, "gemma3_text": 6, "gemma4_text": 6, "qwen3_5_text": 4, "qwen3_5_moe_text": 4, "qwen3_next": 4}
# The text part's type, where config.json names the whole model's only.
TEXT = {"gemma3": "gemma3_text", "gemma4": "gemma4_text", "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text", "mistral3": "mistral"}


def read(config: dict) -> Architecture:
    """The architecture of a config.json. Raises UserError for one that the arithmetic does not cover."""
    text = config.get("text_config", config)
    kind = text.get("model_type") or config.get("model_type", "")
    kind = TEXT.get(kind, kind)
    try:
        kinds = _kinds(kind, text)
        return Architecture(
            tuple(item for item in kinds if item.layers),
            text["num_attention_heads"],
            text["vocab_size"],
            text["max_position_embeddings"],
            sinks=kind == "gpt_oss",
        )
    except KeyError as error:
        raise UserError(f"config.json of a {kind or 'model without model_type'} has no {error.args[0]}", "Take the model's whole config.json.") from None


def _kinds(kind: str, text: dict) -> list[Attention | State]:
    if kind == "nemotron_h":
        return _mamba2(text)
    layers = _layers(kind, text)
    unknown = set(layers) - {"full_attention", "sliding_attention", "linear_attention"}
    if unknown:
        raise UserError(
            f"layers of {', '.join(sorted(unknown))} are not covered by the planner",
            "It knows full and sliding-window attention, Qwen's linear attention and Mamba2.",
        )
    heads, size = text.get("num_key_value_heads") or text["num_attention_heads"], text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    full = Attention(layers.count("full_attention"), heads, size)
    if kind == "gemma4_text":
        # Gemma 4's global layers have heads of their own; the number only where keys serve as values.
        own = text.get("num_global_key_value_heads") if text.get("attention_k_eq_v", True) else None
        full = Attention(full.layers, own or heads, text.get("global_head_dim", 512))
    window = text.get("sliding_window", MISTRAL_WINDOW) if kind == "mistral" else text["sliding_window"] if "sliding_attention" in layers else None
    sliding = Attention(layers.count("sliding_attention"), heads, size, window)
    return [full, sliding, _linear(kind, text, layers.count("linear_attention"))]


def _layers(kind: str, text: dict) -> list[str]:
    """Each layer's type, those left out that read another layer's cache."""
    count = text["num_hidden_layers"]
    # vLLM's gpt-oss does not read the list.
    if (listed := text.get("layer_types")) and kind != "gpt_oss":
        layers = listed
    elif kind in EVERY:
        other = "linear_attention" if kind.startswith("qwen") else "sliding_attention"
        every = text.get("full_attention_interval") or text.get("sliding_window_pattern") or EVERY[kind]
        layers = ["full_attention" if number % every == 0 else other for number in range(1, count + 1)]
        if kind == "gemma4_text":
            layers[-1] = "full_attention"
    elif kind in PLAIN:
        windowed = text.get("sliding_window", MISTRAL_WINDOW) if kind == "mistral" else text.get("use_sliding_window")
        first = 0 if kind == "mistral" else text.get("max_window_layers", 0)
        layers = ["sliding_attention" if windowed and number >= first else "full_attention" for number in range(count)]
    else:
        raise UserError(f"the planner does not know the architecture {kind!r}", f"It knows: {', '.join(sorted({*PLAIN, *EVERY, *TEXT, 'nemotron_h'}))}")
    return layers[: count - text.get("num_kv_shared_layers", 0)]


def _linear(kind: str, text: dict, layers: int) -> State:
    """The gated delta rule of Qwen3-Next and Qwen3.5."""
    if not layers:
        return State(0, 1, 0, 0)
    key_heads, value_heads = text["linear_num_key_heads"], text["linear_num_value_heads"]
    key, value = text["linear_key_head_dim"], text["linear_value_head_dim"]
    conv = (2 * key_heads * key + value_heads * value) * (text["linear_conv_kernel_dim"] - 1)
    # vLLM reads the type of Qwen3.5's state from config.json; where it is not there, and for Qwen3-Next, the state is of the model's own.
    number = text.get("mamba_ssm_dtype") if kind.startswith("qwen3_5") else None
    return State(layers, value_heads, conv, value_heads * value * key, DTYPE_BYTES[number or "bfloat16"])


def _mamba2(text: dict) -> list[Attention | State]:
    pattern = text["hybrid_override_pattern"]
    heads, size, groups, width = text["mamba_num_heads"], text["mamba_head_dim"], text["n_groups"], text["ssm_state_size"]
    kernel = text["conv_kernel"] - 1
    number = DTYPE_BYTES[text.get("mamba_ssm_cache_dtype") or "float32"]
    conv, recurrent = (heads * size + 2 * groups * width) * kernel, heads * size * width
    # vLLM's Mamba2 mixer keeps a checkpoint of its prefill besides.
    state = State(pattern.count("M"), heads, conv, recurrent, number, kept=3, groups=groups, group_conv=2 * width * kernel)
    return [Attention(pattern.count("*"), text["num_key_value_heads"], text["head_dim"]), state]
