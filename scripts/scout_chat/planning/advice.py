"""Advise on a plan: why it fits or not, which nearby request would fit, and how the models of the catalog compare on one GPU."""

from dataclasses import dataclass, replace

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Gpu, Model
from scout_chat.planning.kv_cache import GIB
from scout_chat.planning.planner import CONTEXT, GPU_COUNTS, TIGHT, UTILIZATION, Plan, PlanRequest, fp8_error, plan

# Tokens. A shorter context is not suggested.
SHORTEST_CONTEXT = 1024

# A model with its plan, or the reason why it has none.
Ranked = tuple[Model, Plan | UserError]


@dataclass(frozen=True)
class Alternative:
    """A change of a request that fits, as the command line's option, and its plan."""

    change: str
    plan: Plan


def chats(number: int) -> str:
    """Return "1 chat", "2 chats"."""
    return f"{number} chat{'s' * (number != 1)}"


def explain(planned: Plan) -> str:
    """Return one sentence about the plan's bottleneck, or about the chats that fit."""
    request, memory = planned.request, planned.memory
    gpus = _gpus(request)
    fit = f"{chats(planned.concurrent_chats)} of {request.context} tokens fit at the same time"
    if planned.bottleneck == "weights" and memory:
        taken = f"the weights ({memory.weights_gib:.1f} GiB) and the reserve ({memory.reserve_gib:.1f})"
        return f"{taken} do not fit in the {memory.usable_gib:.1f} GiB that vLLM may use on {gpus}"
    if planned.bottleneck == "one request":
        needed = f"{planned.cache.bytes_needed(request.context) / GIB:.2f}"
        return f"one request of {request.context} tokens needs {needed} GiB of KV cache, but {planned.kv_gib:.2f} GiB are left on {gpus}"
    if planned.bottleneck == "concurrent chats":
        return f"{fit}, but {request.concurrent_chats} are requested"
    return fit


def _gpus(request: PlanRequest) -> str:
    if request.gpu is None:
        return "the GPU"
    return f"each of {request.tensor_parallel} x {request.gpu.title}" if request.tensor_parallel > 1 else request.gpu.title


def alternatives(planned: Plan) -> list[Alternative]:
    """Return the nearest changes of the request that fit: fewer chats, less context, an fp8 cache, smaller weights, more or larger GPUs."""
    request = planned.request
    if request.utilization in (UTILIZATION, TIGHT):
        # Let the planner re-pick a utilization that it picked itself.
        request = replace(request, utilization=None)
    shorter = [(f"--context {planned.longest}", replace(request, context=planned.longest))] if planned.longest >= SHORTEST_CONTEXT else []
    if request.kv_gib is not None or request.gpu is None:
        return _first_fitting(shorter)
    found = []
    if (request.concurrent_chats or 0) > 1 and planned.concurrent_chats:
        fewer = replace(request, concurrent_chats=planned.concurrent_chats)
        found += _first_fitting([(f"--concurrent-chats {planned.concurrent_chats}", fewer)])
    if planned.longest < request.context:
        found += _first_fitting(shorter)
    if request.kv_dtype == "auto" and not fp8_error(request.model, request.gpu):
        found += _first_fitting([("--kv-dtype fp8 ({chats})", replace(request, kv_dtype="fp8"))])
    found += _first_fitting(
        [
            (f"{checkpoint.id} ({checkpoint.quantization}; {{chats}})", replace(request, checkpoint=checkpoint))
            for checkpoint in request.model.checkpoints
            if checkpoint.loaded < request.checkpoint.loaded
        ]
    )
    more = [number for number in GPU_COUNTS if number > request.tensor_parallel]
    found += _first_fitting([(f"--gpus {number} ({{chats}})", replace(request, tensor_parallel=number)) for number in more])
    larger = sorted((gpu for gpu in catalog.gpus().values() if gpu.memory > request.gpu.memory), key=lambda gpu: gpu.memory)
    found += _first_fitting([(f"--gpu {gpu.name} ({{chats}})", replace(request, gpu=gpu)) for gpu in larger])
    return found


def _first_fitting(candidates: list[tuple[str, PlanRequest]]) -> list[Alternative]:
    """Return the first candidate whose plan fits, as a list of one; an empty list if none does."""
    for change, request in candidates:
        try:
            answer = plan(request)
        except UserError:
            continue
        if answer.fits:
            return [Alternative(change.format(chats=chats(answer.concurrent_chats)), answer)]
    return []


def ranking(gpu: Gpu, tensor_parallel: int, context: int | None, concurrent_chats: int | None, kv_dtype: str = "auto") -> list[Ranked]:
    """Return every model of the catalog with its plan on these GPUs.

    Models that fit come first, larger ones before smaller ones; then those that do not fit, by the GiB that are missing. Each has the
    first checkpoint in the catalog's order that fits. A model whose longest context is below ``context`` is planned with its longest.
    """
    requests = [
        PlanRequest(model, model.checkpoints[0], gpu, tensor_parallel, min(context or CONTEXT, model.longest), concurrent_chats, kv_dtype)
        for model in catalog.models().values()
    ]
    return sorted(map(_best_plan, requests), key=_rank)


def _best_plan(request: PlanRequest) -> Ranked:
    plans: list[Plan] = []
    errors: list[UserError] = []
    for checkpoint in request.model.checkpoints:
        try:
            plans.append(plan(replace(request, checkpoint=checkpoint)))
        except UserError as error:
            errors.append(error)
    return request.model, next((answer for answer in plans if answer.fits), plans[0] if plans else errors[0])


def _rank(row: Ranked) -> tuple[bool, float, float]:
    model, answer = row
    shortfall = answer.shortfall_gib if isinstance(answer, Plan) else 0.0
    return isinstance(answer, UserError), shortfall, -model.parameters
