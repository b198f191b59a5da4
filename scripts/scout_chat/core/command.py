"""Run a program, and install Debian packages of programs that are missing."""

import os
import shutil
import subprocess

from scout_chat.core.errors import UserError


def run(*command: str, check: bool = True, stdin: str | None = None) -> str:
    """Return the program's standard output; ``stdin`` is the text that it reads.

    With ``check``, raises UserError with the program's own message if it fails or is not installed.
    Without, a failure is ignored and a missing program has no output.
    """
    try:
        result = subprocess.run(command, input=stdin, capture_output=True, text=True)
    except FileNotFoundError:
        if check:
            raise UserError(f"{command[0]} is not installed") from None
        return ""
    if check and result.returncode:
        raise UserError(f"{' '.join(command)} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def install_packages(commands: dict[str, str]) -> None:
    """Install the Debian packages of the commands that are missing.

    ``commands`` maps a command, or a file's absolute path, to its package.
    Raises UserError that names the packages where they cannot be installed.
    """
    missing = sorted({package for command, package in commands.items() if not (shutil.which(command) or os.path.exists(command))})
    if not missing:
        return
    hint = f"Install the packages {', '.join(missing)} (names of Debian and Ubuntu) and run the command again."
    if not shutil.which("apt-get"):
        raise UserError(f"{', '.join(missing)}: not installed", hint)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    subprocess.run(["apt-get", "update", "-qq"], capture_output=True, env=env)
    result = subprocess.run(install, capture_output=True, text=True, env=env)
    if result.returncode:
        raise UserError(f"apt-get could not install {', '.join(missing)}: {result.stderr.strip()[-500:]}", hint)
