"""Outlines of values files: what ``scout-chat preset`` writes, with slots for what depends on the GPU, the context and the chats.

The template of the values files writes them, so a changed template changes the outlines too. ``@{name}`` is a slot; ``@{name|format}`` is one
whose value is formatted: printf's format of a number, or ``chats`` ("1 chat", "2 chats"). A line with a slot that has no value is left
out: each GPU has a line, but not every GPU holds the chats.
"""

from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import jinja2

from scout_chat.core.pins import pins
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Model
from scout_chat.planning.planner import Plan, PlanRequest
from scout_chat.presets import writer
from scout_chat.presets.affinity import Term
from scout_chat.presets.engine import Engine
from scout_chat.presets.request import PresetRequest

# The Secret with a Hugging Face token, in a file for a gated repository.
TOKEN_SECRET = "hf-token"
# The indentation of a node selector term and its expressions in the template.
TERM, EXPRESSION = "\n          - matchExpressions:\n              - ", "\n              - "


@dataclass(frozen=True)
class Slot:
    """A value that the page fills in."""

    name: str
    format: str = ""

    def __str__(self) -> str:
        return f"@{{{self.name}{'|' if self.format else ''}{self.format}}}"


class _Request(PresetRequest):
    """A request whose command line the page fills in."""

    def command(self) -> str:
        return str(Slot("command"))


class _Outlined:
    """An engine with slots. It is as the engine in everything else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        request = SimpleNamespace(
            tensor_parallel=engine.plan.request.tensor_parallel,
            gpu=SimpleNamespace(title=Slot("gpu")),
            **{name: Slot(name) for name in ("context", "concurrent_chats", "utilization", "max_num_seqs")},
        )
        memory = SimpleNamespace(**{name: Slot(name) for name in ("usable_gib", "weights_gib", "reserve_gib")})
        self.plan = SimpleNamespace(request=request, memory=memory, request_gib=Slot("request_gib"), kv_gib=Slot("kv_gib"))
        self.placements = [_placement(gpu) for gpu in catalog.gpus().values()]
        self.terms = [[Slot("terms")]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _placement(gpu: catalog.Gpu) -> SimpleNamespace:
    return SimpleNamespace(gpu=gpu, plan=SimpleNamespace(kv_gib=Slot(f"kv_gib {gpu.name}"), concurrent_chats=Slot(f"chats {gpu.name}")))


def outline(model: Model, checkpoint: Checkpoint, gpus: int, kv_dtype: str) -> str:
    """Return the outline for an engine on so many GPUs."""
    request = _Request(models=(model.name,), token_secret=TOKEN_SECRET if checkpoint.gated else "")
    # Of the GPU only its title and its memory are in a values file, and they are slots.
    engine = Engine(request, Plan(PlanRequest(model, checkpoint, next(iter(catalog.gpus().values())), gpus, kv_dtype=kv_dtype)))
    smallest: Any = SimpleNamespace(gpu=SimpleNamespace(memory=Slot("memory")))
    headline = replace(engine, placements=(smallest,)).headline
    return _template().render(request=request, engines=[_Outlined(engine)], image=pins().engine.gpu, headline=headline)


def terms_text(terms: list[Term]) -> str:
    """Return node selector terms as the template writes them, after the first indentation."""
    return TERM.join(EXPRESSION.join(writer.flow(expression) for expression in term) for term in terms)


@cache
def _template() -> jinja2.Template:
    environment = writer.templates().overlay()
    environment.filters = {
        **environment.filters,
        "format": lambda spec, value: Slot(value.name, spec) if isinstance(value, Slot) else spec % value,
        "chats": lambda number: Slot(number.name, "chats"),
    }
    return environment.get_template(writer.GPU_TEMPLATE)
