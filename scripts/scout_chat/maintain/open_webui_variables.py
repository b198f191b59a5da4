"""Find environment variables that the chart sets and a release of Open WebUI does not read."""

import re
import tempfile
import zipfile
from pathlib import Path

from scout_chat.chart import snapshots
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml, package_index
from scout_chat.core.package_index import IndexFile
from scout_chat.core.progress import Reporter

# Variables that Python and libraries of Open WebUI read, not its own code.
OF_LIBRARIES = {
    "ANONYMIZED_TELEMETRY", "CURL_CA_BUNDLE", "DO_NOT_TRACK", "SCARF_NO_ANALYTICS", "TZ",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}  # fmt: skip


def variables_that_are_not_read(wheel: IndexFile, progress: Reporter) -> list[str]:
    """Download the wheel and return the variables of the reviewed snapshots that no module in it names. Raises UserError if it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, wheel.name)
        package_index.fetch(wheel, file, progress)
        named = words(file)
    return sorted(set_by_the_chart() - OF_LIBRARIES - named)


def words(wheel: Path) -> set[str]:
    """Return every word in capitals in the Python modules of a wheel: among them are the variables that they read."""
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".py")]
        return {word for name in modules for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", archive.read(name).decode())}


def set_by_the_chart() -> set[str]:
    """Return the variables of the chat's container in every scenario: its own, and those of the ConfigMap of the environment."""
    found: set[str] = set()
    for name in scenarios():
        for path, text in snapshots.recorded(name).items():
            if path.name.endswith("-webui-env.yaml"):
                found |= kubeyaml.load(text)["data"].keys()
            elif path.name.startswith(("Deployment-", "StatefulSet-")) and path.parts[1] == "open-webui":
                for container in kubeyaml.load(text)["spec"]["template"]["spec"]["containers"]:
                    found |= {entry["name"] for entry in container.get("env", [])}
    return found
