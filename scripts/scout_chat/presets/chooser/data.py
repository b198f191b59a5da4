"""The data of the page: the catalog, and what the planner computes of it before a context and chats are known."""

from collections.abc import Iterator
from typing import Any

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog, planner
from scout_chat.planning.catalog import Checkpoint, Gpu, Model
from scout_chat.planning.kv_cache import Cache
from scout_chat.planning.planner import GPU_COUNTS, KV_DTYPES, PlanRequest
from scout_chat.planning.report import CONTEXTS
from scout_chat.presets import affinity, writer
from scout_chat.presets.chooser.outline import TOKEN_SECRET, outline, terms_text
from scout_chat.presets.engine import engines
from scout_chat.presets.request import shipped

# JSON values.
Data = dict[str, Any]
# The options that the page has. A shipped preset with others is not an answer to its questions.
OFFERED = {"models", "gpu", "gpus", "context", "concurrent_chats", "kv_dtype"}


class Table:
    """Values that occur often: each is stored once, and its place stands for it."""

    def __init__(self) -> None:
        self._places: dict[Any, int] = {}

    def place(self, value: Any) -> int:
        return self._places.setdefault(value, len(self._places))

    def values(self) -> list[Any]:
        return list(self._places)


class Tables:
    """Lines of values files, caches of engines, and reasons why vLLM cannot run a model."""

    def __init__(self) -> None:
        self.lines, self.caches, self.errors = Table(), Table(), Table()


def data() -> Data:
    """Return the data. page.js and its neighbours explain what they do with it."""
    tables = Tables()
    models = [_model(model, tables) for model in catalog.models().values()]
    return {
        "gpus": [_gpu(gpu) for gpu in catalog.gpus().values()],
        "counts": list(GPU_COUNTS),
        "dtypes": list(KV_DTYPES),
        "contexts": list(CONTEXTS),
        "utilization": planner.UTILIZATION,
        "tight": planner.TIGHT,
        "reserve": planner.RESERVE,
        "reserveParallel": planner.RESERVE_PARALLEL,
        "mostSequences": planner.MAX_SEQUENCES,
        "tokenSecret": TOKEN_SECRET,
        "models": models,
        "caches": tables.caches.values(),
        "errors": tables.errors.values(),
        "lines": tables.lines.values(),
        "minimumTerms": list(_minimum_terms()),
        "productTerms": terms_text(affinity.product_terms([])),
        "shipped": list(_shipped()),
    }


def _gpu(gpu: Gpu) -> Data:
    return {"name": gpu.name, "title": gpu.title, "memory": gpu.memory, "cudaGib": gpu.cudaGib, "products": [writer.flow(name) for name in gpu.products]}


def _model(model: Model, tables: Tables) -> Data:
    return {
        "name": model.name,
        "title": model.title,
        "parameters": model.parameters,
        "longest": model.longest,
        "license": model.license.name,
        "states": bool(model.architecture.states),
        "checkpoints": [_checkpoint(model, checkpoint, tables) for checkpoint in model.checkpoints],
    }


def _checkpoint(model: Model, checkpoint: Checkpoint, tables: Tables) -> Data:
    return {
        "id": checkpoint.id,
        "page": checkpoint.page,
        "quantization": checkpoint.quantization,
        "gated": checkpoint.gated,
        "loaded": [checkpoint.loaded_gib(gpu.capability) for gpu in catalog.gpus().values()],
        "issues": [known.model_dump() for known in model.issues(checkpoint)],
        # By number of GPUs and data type: by GPU the place of the cache, or the negative place of the error, less one; and the file's lines.
        "runs": [
            [[_run(PlanRequest(model, checkpoint, gpu, gpus, 1, kv_dtype=kv_dtype), tables) for gpu in catalog.gpus().values()] for kv_dtype in KV_DTYPES]
            for gpus in GPU_COUNTS
        ],
        "files": [
            [[tables.lines.place(line) for line in outline(model, checkpoint, gpus, kv_dtype).split("\n")] for kv_dtype in KV_DTYPES] for gpus in GPU_COUNTS
        ],
    }


def _run(request: PlanRequest, tables: Tables) -> int:
    try:
        return tables.caches.place(_cache(planner.plan(request).cache))
    except UserError as error:
        return -1 - tables.errors.place(str(error))


def _cache(cache: Cache) -> tuple[Any, ...]:
    """Return the bytes of a block, the blocks that every request holds, and for those that grow with it: groups, tokens of a block, most tokens."""
    blocks = cache.request_blocks
    return cache.bytes_per_block, blocks.fixed, tuple((part.groups, part.block_size, part.most) for part in blocks.growing)


def _minimum_terms() -> Iterator[Data]:
    """Yield the node selector terms for each minimum of memory and compute capability, in the order of ``affinity.node_selector_terms``."""
    for memory in sorted({gpu.memory for gpu in catalog.gpus().values()}):
        for capability in catalog.family_capabilities():
            admitted, terms = affinity.minimum_terms(memory, capability)
            yield {"memory": memory, "gpus": admitted, "text": terms_text(terms)}


def _shipped() -> Iterator[Data]:
    """Yield the shipped presets of one engine without other options than the page's."""
    for name, request in shipped().items():
        if request.model_fields_set <= OFFERED and len(request.models) == 1 and "@" not in request.models[0]:
            (engine,) = engines(request)
            planned = engine.plan.request
            yield {
                "file": f"values/{name}.yaml",
                "checkpoint": engine.checkpoint.id,
                "gpus": planned.tensor_parallel,
                "dtype": planned.kv_dtype,
                "context": planned.context,
                # The engine works on so many sequences at the same time, whatever the cache holds.
                "chats": {placement.gpu.name: min(placement.plan.concurrent_chats, planned.max_num_seqs or 0) for placement in engine.placements},
            }
