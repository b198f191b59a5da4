"""vLLM's KV cache, computed as vLLM computes it: layers form groups, groups take blocks, requests hold blocks.

Source: vLLM 0.33, ``get_kv_cache_groups`` and ``get_kv_cache_config_from_groups`` in vllm/v1/core/kv_cache_planning.py, the specs in
vllm/v1/kv_cache_interface.py, ``_align_hybrid_block_size`` in vllm/platforms/interface.py. tests/cluster/test_capacity.py compares the
results with that code.

A block holds some tokens for every layer of one group. All groups take blocks from one pool, so all blocks have the same size in bytes.
Where layers need different amounts of memory for a token, the blocks of the smaller layers hold more tokens.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, lcm

from scout_chat.core.errors import UserError
from scout_chat.planning.architecture import Architecture, AttentionLayers, GdnPrefill, StateLayers

GIB = 1 << 30
# Bytes of an element of the cache, by vLLM's --kv-cache-dtype (auto: bf16).
KV_DTYPE_BYTES = {"auto": 2, "fp8": 1}
# Tokens of a block. A larger block is a multiple of it.
BLOCK_SIZE = {"cuda": 16, "cpu": 128}
# Asynchronous scheduling prepares one batch while another runs. vLLM turns it off on CPUs.
BATCHES_IN_FLIGHT = {"cuda": 2, "cpu": 1}
# FlashInfer's kernel for linear attention saves a state for the prefix cache in the middle of a prompt, at a multiple of so many tokens.
# Source: FLASHINFER_GDN_CHECKPOINT_ALIGNMENT in vllm/v1/attention/backends/gdn_attn.py. Before vLLM 0.33 it saved none.
CHECKPOINT_ALIGNMENT = 64


@dataclass(frozen=True)
class Growth:
    """``groups`` blocks for every ``block_size`` tokens of a request, up to its first ``most`` tokens (None: all of them)."""

    groups: int
    block_size: int
    most: int | None = None


@dataclass(frozen=True)
class RequestBlocks:
    """The most blocks that one request holds: ``fixed`` whatever its length, and those that grow with it."""

    fixed: int
    growing: tuple[Growth, ...] = ()

    def of(self, context: int) -> int:
        """Return the blocks of a request of ``context`` tokens."""
        tokens = [(part, context if part.most is None else min(part.most, context)) for part in self.growing]
        return self.fixed + sum(part.groups * ceil(count / part.block_size) for part, count in tokens)


@dataclass(frozen=True)
class _PagedLayers:
    """Layers of one kind. A block holds ``block_size`` tokens and takes ``page_bytes`` bytes for each layer."""

    layers: AttentionLayers | StateLayers
    block_size: int
    page_bytes: int

    def request_blocks(self, groups: int, tokens_in_flight: int) -> RequestBlocks:
        """Return the blocks that a request holds for ``groups`` groups; ``tokens_in_flight`` may be scheduled but not yet computed."""
        if isinstance(self.layers, StateLayers):
            return RequestBlocks(groups * self.layers.states_per_request)
        if self.layers.window is None:
            return RequestBlocks(0, (Growth(groups, self.block_size),))
        # One more block, because a window may begin inside a block.
        return RequestBlocks(groups, (Growth(groups, self.block_size, self.layers.window - 1 + tokens_in_flight),))


@dataclass(frozen=True)
class Cache:
    """The KV cache of one model on each of ``tensor_parallel`` GPUs (``device`` cuda) or on a CPU (``device`` cpu).

    ``kv_dtype`` is auto (bf16) or fp8. ``max_num_batched_tokens`` is vLLM's argument. ``batches_in_flight`` is 1 without asynchronous
    scheduling; 0 takes the device's default. ``gdn_prefill`` is the kernel for linear attention.
    """

    architecture: Architecture
    tensor_parallel: int = 1
    kv_dtype: str = "auto"
    max_num_batched_tokens: int = 2048
    device: str = "cuda"
    batches_in_flight: int = 0
    gdn_prefill: GdnPrefill = "triton"

    @property
    def _checkpoints(self) -> bool:
        """Whether a request also keeps the state that FlashInfer's kernel saves in the middle of a prompt."""
        return self.architecture.linear_attention and self.gdn_prefill == "flashinfer"

    @property
    def _one_group(self) -> bool:
        """Whether all layers are attention over the same window, or over all tokens. One block then holds all layers, whatever their heads."""
        return not self.architecture.states and len({layers.window for layers in self.architecture.attention}) == 1

    @cached_property
    def _layers(self) -> list[_PagedLayers]:
        """The layers by kind. If they form several groups, all have the same page size."""
        block_size = BLOCK_SIZE[self.device]
        attention = self.architecture.attention
        token_bytes = [layers.bytes_per_token(self.tensor_parallel, KV_DTYPE_BYTES[self.kv_dtype]) for layers in attention]
        state_bytes = [layers.bytes(self.tensor_parallel) for layers in self.architecture.states]
        if not token_bytes:
            raise UserError("the planner does not support a model without attention layers")
        if state_bytes:
            # The block of attention grows until it is as large as a state, and states are padded to its size.
            block_size = lcm(block_size, CHECKPOINT_ALIGNMENT if self._checkpoints else 1)
            block_size *= ceil(max(state_bytes) / (block_size * token_bytes[0]))
        paged = [_PagedLayers(layers, block_size, block_size * size) for layers, size in zip(attention, token_bytes, strict=True)]
        if self._one_group:
            return paged
        page = max(item.page_bytes for item in paged)
        # A smaller page holds more tokens if its size divides the largest evenly; otherwise it is padded.
        paged = [replace(item, block_size=item.block_size * (1 if page % item.page_bytes else page // item.page_bytes), page_bytes=page) for item in paged]
        states = [replace(layers, states_per_request=layers.states_per_request + self._checkpoints) for layers in self.architecture.states]
        return paged + [_PagedLayers(layers, block_size, page) for layers in states]

    @cached_property
    def _groups(self) -> list[tuple[_PagedLayers, int]]:
        """The layers by kind, each with the number of groups that they form."""
        counts = [item.layers.count for item in self._layers]
        # vLLM's heuristic for a group's size: the smallest layer count. Use the largest layer count if it is under 1.5 times the
        # smallest: padding costs less than doubling the groups.
        size = max(counts) if self._one_group or max(counts) < 1.5 * min(counts) else min(counts)
        return [(item, ceil(item.layers.count / size)) for item in self._layers]

    @cached_property
    def bytes_per_block(self) -> int:
        """Bytes of one block on each GPU."""
        sizes = [ceil(item.layers.count / groups) * item.page_bytes for item, groups in self._groups]
        return sum(sizes) if self._one_group else max(sizes)

    @property
    def groups(self) -> int:
        """The number of groups, each of which takes its own blocks."""
        return 1 if self._one_group else sum(groups for _, groups in self._groups)

    @property
    def block_size(self) -> int:
        """Tokens of a block of the full-attention layers, as the engine reports it."""
        return self._layers[0].block_size

    @cached_property
    def request_blocks(self) -> RequestBlocks:
        """The blocks that one request holds."""
        tokens_in_flight = (self.batches_in_flight or BATCHES_IN_FLIGHT[self.device]) * self.max_num_batched_tokens
        kinds = [item.request_blocks(groups, tokens_in_flight) for item, groups in self._groups]
        # Layers of one group have their tokens in the same blocks.
        return kinds[0] if self._one_group else RequestBlocks(sum(kind.fixed for kind in kinds), tuple(part for kind in kinds for part in kind.growing))

    def blocks_per_request(self, context: int) -> int:
        """Return the most blocks that a request of ``context`` tokens holds."""
        return self.request_blocks.of(context)

    def blocks(self, kv_bytes: int) -> int:
        """Return the blocks that fit in ``kv_bytes`` bytes of each GPU."""
        return max(0, kv_bytes) // self.bytes_per_block

    def concurrency(self, kv_bytes: int, context: int) -> float:
        """Return how many requests of ``context`` tokens fit at the same time: vLLM's "Maximum concurrency"."""
        return self.blocks(kv_bytes) / self.blocks_per_request(context)

    def bytes_needed(self, context: int, requests: int = 1) -> int:
        """Return the bytes on each GPU for so many requests, including the one block that vLLM reserves (its null block)."""
        return (requests * self.blocks_per_request(context) + 1) * self.bytes_per_block

    def longest(self, kv_bytes: int, limit: int, requests: int = 1) -> int:
        """Return the longest context, up to ``limit`` tokens, at which so many requests fit; 0 if none does."""
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.bytes_needed(middle, requests) <= kv_bytes else (low, middle - 1)
        return low
