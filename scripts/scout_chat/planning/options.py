"""Options as a person gives them ("32k", the name of a GPU), and the planning requests that they make."""

from dataclasses import dataclass

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.advice import Ranked, ranking
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.lookup import find_gpu, find_model, gpu_options
from scout_chat.planning.planner import BATCHED_TOKENS, CONTEXT, PlanRequest, check_counts, check_kv_dtype

# Options that a ranking of the catalog does not use.
FOR_ONE_MODEL = ("kv_gib", "max_num_batched_tokens", "max_num_seqs", "utilization")


def tokens(text: str) -> int:
    """Read a number of tokens: 32768, 32k and 32K are the same. Raises UserError for anything else."""
    number, thousand = (text[:-1], 1024) if text[-1:] in ("k", "K") else (text, 1)
    if not number.isdecimal():
        raise UserError(f"--context {text!r} is not a number of tokens", "For example 32768, or 32k.")
    return int(number) * thousand


def device(gpu: str) -> tuple[Gpu | None, str]:
    """Return the GPU of that name and vLLM's device for it: ``cuda``, or ``cpu`` for the name cpu. Without a name there is no GPU yet.

    Raises UserError for a GPU that is not in the catalog.
    """
    if gpu == "cpu":
        return None, "cpu"
    return (find_gpu(gpu) if gpu else None), "cuda"


@dataclass(frozen=True)
class PlanOptions:
    """The options of ``scout-chat plan``. The planner fills in those that are None. ``gpus`` and ``tensor_parallel`` are two names of one number."""

    model: str | None = None
    gpu: str = ""
    gpus: int | None = None
    tensor_parallel: int | None = None
    context: int | None = None
    concurrent_chats: int | None = None
    kv_dtype: str = "auto"
    kv_gib: float | None = None
    max_num_batched_tokens: int = BATCHED_TOKENS
    max_num_seqs: int | None = None
    utilization: float | None = None

    def request(self) -> PlanRequest:
        """Return the request for one model. Raises UserError for options that contradict each other and names that are not in the catalog."""
        gpus = self._gpus()
        if not self.model:
            raise UserError("plan needs a model, or --all", f"Models: {', '.join(catalog.models())}")
        if "@" in self.model:
            name, _, where = self.model.partition("@")
            raise UserError(f"plan takes the GPU of {name} as an option", f"scout-chat plan {name} {' '.join(gpu_options(where))}")
        model, checkpoint = find_model(self.model)
        gpu, device_name = device(self.gpu)
        return PlanRequest(
            model=model,
            checkpoint=checkpoint,
            gpu=gpu,
            tensor_parallel=gpus,
            context=min(CONTEXT, model.longest) if self.context is None else self.context,
            concurrent_chats=self.concurrent_chats,
            kv_dtype=self.kv_dtype,
            max_num_batched_tokens=self.max_num_batched_tokens,
            max_num_seqs=self.max_num_seqs,
            utilization=self.utilization,
            kv_gib=self.kv_gib,
            device=device_name,
        )

    def rank(self) -> list[Ranked]:
        """Plan every model of the catalog on the GPU; see ``advice.ranking``. Raises UserError without a GPU, or with a model."""
        gpu, _ = device(self.gpu)
        if self.model or not gpu:
            raise UserError("plan --all needs --gpu, and no model", "For example: scout-chat plan --all --gpu a100-80")
        if unused := [name for name in FOR_ONE_MODEL if getattr(self, name) != getattr(PlanOptions, name)]:
            raise UserError(f"plan --all does not take --{unused[0].replace('_', '-')}", "Plan one model with it: scout-chat plan MODEL --gpu GPU")
        check_kv_dtype(self.kv_dtype)
        check_counts(gpus=self._gpus(), context=self.context, concurrent_chats=self.concurrent_chats)
        return ranking(gpu, self._gpus(), self.context, self.concurrent_chats, self.kv_dtype)

    def _gpus(self) -> int:
        numbers = [number for number in (self.tensor_parallel, self.gpus) if number is not None]
        if len(set(numbers)) > 1:
            raise UserError(
                f"--gpus {self.gpus} and --tensor-parallel {self.tensor_parallel} differ: both are the number of GPUs of one engine",
                "Give one of them; for more engines: --replicas of scout-chat preset.",
            )
        return numbers[0] if numbers else 1
