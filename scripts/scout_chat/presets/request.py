"""What `scout-chat preset` is asked for. ``schema/catalog/presets.yaml`` lists the requests of the shipped presets."""

import re
import shlex
from functools import cache
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning.planner import BATCHED_TOKENS, check_counts

SHIPPED = ROOT / "schema" / "catalog" / "presets.yaml"


class Target(NamedTuple):
    """A model, the GPU of its engine (a name, cpu, or empty), and how many of them."""

    model: str
    gpu: str
    gpus: int


class PresetRequest(BaseModel):
    """The arguments and options of `scout-chat preset`. A model may name its own GPUs: MODEL@GPU or MODEL@GPUxN."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    models: tuple[str, ...]
    gpu: str = ""
    gpus: int = 1
    context: int | None = None
    concurrent_chats: int | None = None
    kv_dtype: str = "auto"
    kv_gib: int | None = None
    max_num_batched_tokens: int = BATCHED_TOKENS
    replicas: int = 1
    weights: str = ""
    prefetch: bool = False
    offline: bool = False
    token_secret: str = ""
    revision: str = ""
    release: str = "chat"

    def command(self) -> str:
        """Return the command line of this request."""
        words = ["scout-chat", "preset", *self.models]
        for name in type(self).model_fields:
            if name != "models" and self._given(name):
                value = getattr(self, name)
                words += [_option(name), *([] if value is True else [str(value)])]
        return shlex.join(words)

    def targets(self) -> list[Target]:
        """Return each model with its GPUs. Raises UserError for an option that would have no effect on them."""
        targets = [self._target(word) for word in self.models]
        self._check_options(any(target.gpu == "cpu" for target in targets))
        return targets

    def _target(self, word: str) -> Target:
        model, at, gpus = word.partition("@")
        if not at:
            return Target(model, self.gpu, self.gpus)
        numbered = re.fullmatch(r"(.+?)x(\d+)", gpus)
        return Target(model, numbered[1], int(numbered[2])) if numbered else Target(model, gpus, 1)

    def _check_options(self, on_cpu: bool) -> None:
        check_counts(replicas=self.replicas)
        if on_cpu:
            if len(self.models) > 1:
                raise UserError("a preset for a CPU has one model", "Use --gpu cpu with one small model, to try the chart.")
            if unused := self._first_given("gpus", "concurrent_chats", "weights", "prefetch", "offline", "token_secret", "replicas"):
                raise UserError(f"{unused} has no effect in a preset for a CPU", "Options for --gpu cpu: --context, --kv-gib, --kv-dtype.")
        elif self._given("kv_gib"):
            raise UserError(
                "--kv-gib is for --gpu cpu: on a GPU the KV cache takes the memory that the weights leave", "`scout-chat plan` shows how much that is."
            )
        if (self.weights or self.offline) and (unused := self._first_given("prefetch", "token_secret")):
            raise UserError(f"{unused} has no effect with --weights or --offline, because nothing is downloaded", "Remove one of the options.")
        self._check_revision()

    def _check_revision(self) -> None:
        if not self.revision:
            return
        if not re.fullmatch(r"[A-Za-z0-9][\w./-]*", self.revision):
            raise UserError(f"--revision {self.revision!r} is not the name of a commit, a tag or a branch", "For example: main")
        if self.weights:
            raise UserError("--revision has no effect with --weights, because a folder has no revisions", "Remove one of the options.")
        if len(self.models) > 1 and self.revision != "main":
            raise UserError(
                f"--revision {self.revision} is of one repository, but the preset has {len(self.models)}",
                "Write it without --revision, and set engines.<name>.modelRevision in your values.",
            )

    def _given(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def _first_given(self, *names: str) -> str:
        return next((_option(name) for name in names if self._given(name)), "")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@cache
def shipped() -> dict[str, PresetRequest]:
    """Return the requests of the shipped presets, by the path of the file under values/ without .yaml."""
    return {name: PresetRequest.model_validate(body) for name, body in kubeyaml.load(SHIPPED.read_text()).items()}
