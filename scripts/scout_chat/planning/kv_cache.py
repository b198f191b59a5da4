"""vLLM's KV cache, computed as vLLM computes it: layers to groups, groups to blocks, blocks to requests.

Source: vLLM 0.32, ``get_kv_cache_groups`` and ``get_kv_cache_config_from_groups`` in vllm/v1/core/kv_cache_utils.py, the specs in
vllm/v1/kv_cache_interface.py, ``_align_hybrid_block_size`` in vllm/platforms/interface.py. tests/cluster/test_capacity.py asks that code
the same questions.

A block holds some tokens of every layer of one group. All groups draw from one pool, so all blocks have one size; where layers keep
different amounts of a token, a block of the thriftier ones holds more tokens.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from scout_chat.core.errors import UserError
from scout_chat.planning.architecture import Architecture, Attention, State

GIB = 1 << 30
# Bytes a number.
DTYPE_BYTES = {"auto": 2, "fp8": 1}
# Tokens of a block; where a block has to grow, it grows by as many.
BLOCK = {"cuda": 16, "cpu": 128}
# With asynchronous scheduling one batch is prepared while another runs; vLLM turns it off on CPUs.
BATCHES_IN_FLIGHT = {"cuda": 2, "cpu": 1}


@dataclass(frozen=True)
class _Layers:
    """A kind of layers: ``block`` tokens take ``page`` bytes of each layer."""

    kind: Attention | State
    block: int
    page: int

    def pages(self, context: int, in_flight: int) -> int:
        """Blocks that a request of ``context`` tokens holds at most, with up to ``in_flight`` tokens scheduled and not yet settled."""
        if isinstance(self.kind, State):
            return self.kind.kept
        if self.kind.window is None:
            return ceil(context / self.block)
        # One more, because a window need not begin where a block does.
        return ceil(min(self.kind.window - 1 + in_flight, context) / self.block) + 1


@dataclass(frozen=True)
class Cache:
    """The cache of one model on each of ``tensor_parallel`` GPUs (``device`` cuda) or on a CPU.

    ``kv_dtype`` is auto (bf16) or fp8; ``max_num_batched_tokens`` is vLLM's argument of that name; ``batches_in_flight`` is 1 without
    asynchronous scheduling (0: the device's default).
    """

    architecture: Architecture
    tensor_parallel: int = 1
    kv_dtype: str = "auto"
    max_num_batched_tokens: int = 2048
    device: str = "cuda"
    batches_in_flight: int = 0

    @property
    def _one_group(self) -> bool:
        """Attention over everything in all layers, or over a window of one size in all: whatever the heads are, one block holds all layers."""
        return not self.architecture.states and len({kind.window for kind in self.architecture.attention}) == 1

    @cached_property
    def _layers(self) -> list[_Layers]:
        """Every kind of layers; where they are groups of their own, with one page size."""
        block = BLOCK[self.device]
        tokens = [kind.bytes_per_token(self.tensor_parallel, DTYPE_BYTES[self.kv_dtype]) for kind in self.architecture.attention]
        states = [kind.bytes(self.tensor_parallel) for kind in self.architecture.states]
        if not tokens:
            raise UserError("a model without any attention layer is not covered by the planner")
        if states:
            # A block of attention grows until it is as large as a state, and states are padded to it.
            block *= ceil(max(states) / (block * tokens[0]))
        layers = [_Layers(kind, block, block * token) for kind, token in zip(self.architecture.attention, tokens, strict=True)]
        if self._one_group:
            return layers
        page = max(item.page for item in layers)
        # Where pages differ, the smaller ones hold more tokens, or are padded if that does not go evenly.
        layers = [replace(item, block=item.block * (1 if page % item.page else page // item.page), page=page) for item in layers]
        return layers + [_Layers(kind, block, page) for kind in self.architecture.states]

    @cached_property
    def _groups(self) -> list[tuple[_Layers, int]]:
        """Kinds of layers, each with the number of groups that its layers are dealt out to."""
        counts = [item.kind.layers for item in self._layers]
        # A group has as many layers as the rarest kind; or as the commonest, vLLM's rule of thumb: rather some padding than twice the groups.
        size = max(counts) if self._one_group or max(counts) < 1.5 * min(counts) else min(counts)
        return [(item, ceil(item.kind.layers / size)) for item in self._layers]

    @cached_property
    def bytes_per_block(self) -> int:
        """Bytes of one block on each GPU."""
        parts = [ceil(item.kind.layers / groups) * item.page for item, groups in self._groups]
        return sum(parts) if self._one_group else max(parts)

    @property
    def groups(self) -> int:
        """Groups of layers, each with blocks of its own."""
        return 1 if self._one_group else sum(groups for _, groups in self._groups)

    @property
    def block_size(self) -> int:
        """Tokens of a block of the layers that attend to everything, as the engine reports it."""
        return self._layers[0].block

    def blocks_per_request(self, context: int) -> int:
        """Blocks that a request of ``context`` tokens holds at most."""
        in_flight = (self.batches_in_flight or BATCHES_IN_FLIGHT[self.device]) * self.max_num_batched_tokens
        parts = [groups * item.pages(context, in_flight) for item, groups in self._groups]
        return max(parts) if self._one_group else sum(parts)

    def blocks(self, kv_bytes: int) -> int:
        """Blocks in ``kv_bytes`` bytes of each GPU."""
        return max(0, kv_bytes) // self.bytes_per_block

    def concurrency(self, kv_bytes: int, context: int) -> float:
        """Requests of ``context`` tokens that fit at once: vLLM's "Maximum concurrency"."""
        return self.blocks(kv_bytes) / self.blocks_per_request(context)

    def bytes_needed(self, context: int, requests: int = 1) -> int:
        """Bytes of each GPU for so many requests, and the one block that vLLM never gives away."""
        return (requests * self.blocks_per_request(context) + 1) * self.bytes_per_block

    def longest(self, kv_bytes: int, limit: int, requests: int = 1) -> int:
        """The longest context, at most ``limit`` tokens, of which so many requests fit; 0 if none does."""
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.bytes_needed(middle, requests) <= kv_bytes else (low, middle - 1)
        return low
