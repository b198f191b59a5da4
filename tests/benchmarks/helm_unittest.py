"""Measure this harness against helm-unittest: the same assertions about the same renders, in turn, in one run (``make bench``).

The assertions are taken from the real renders of ten scenarios and written twice: as helm-unittest suites, and as test modules over
scout_chat.chart.render with a test per object. Before the clock starts, both must count all of them and fail on one changed value.
Choices favour helm-unittest: its chart is unpacked beforehand and this harness's is not, and it is measured with one test per scenario,
so with one render. A test per object renders for each test; that is usual, and measured too. This harness is measured cold (nothing
rendered, no test module compiled), after a change of the chart (nothing rendered) and warm (nothing changed). Both check
values.schema.json; neither checks Kubernetes' schemas here.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from scout_chat.chart import archives
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT, cache
from scout_chat.core.tools import tool

# Scenarios that differ in their objects, not only in the model.
SCENARIOS = [
    *("gpt-oss", "gpt-oss-hospital", "gpt-oss-vllm-router", "gpt-oss-compatibility", "qwq-32b"),
    *("two-models", "local", "local-two-engines", "external", "external-replicas"),
]
ROUNDS = 7
PER_OBJECT = 12
# What people assert: the first value of each area of an object, then values spread evenly over it.
AREAS = (r"\.image$", "[sS]elector", "[pP]orts", r"\.env\.|^data\.", "[a-z]Probe", "resources", "[sS]ecurityContext", "args|command", "annotations", "rules")


# A path inside an object.
Keys = tuple[str | int, ...]


class Assertion(NamedTuple):
    """An assertion about one value. ``how`` is helm-unittest's word: equal, exists or matchRegex."""

    keys: Keys
    how: str
    expected: object = None

    def yaml(self) -> KubeObject:
        """Return the assertion as helm-unittest reads it."""
        path = "".join(f".{key}" if re.fullmatch(r"[A-Za-z]\w*", str(key)) else f"[{key!r}]" for key in self.keys).lstrip(".")
        return {self.how: {"path": path} | {"equal": {"value": self.expected}, "matchRegex": {"pattern": self.expected}}.get(self.how, {})}

    def python(self) -> str:
        """Return the assertion as a Python statement."""
        parent, last, expected = "body" + "".join(f"[{key!r}]" for key in self.keys[:-1]), repr(self.keys[-1]), repr(self.expected)
        forms = {"equal": "{0}[{1}] == {2}", "exists": "{1} in {0}", "matchRegex": "re.search({2}, {0}[{1}])"}
        return "assert " + forms[self.how].format(parent, last, expected)


class Asserted(NamedTuple):
    """A rendered object with the assertions about it."""

    template: str
    kind: str
    name: str
    assertions: list[Assertion]


def objects_of(case: Case, chart: Path) -> list[Asserted]:
    """Render the case and choose the assertions."""
    command = [tool("helm"), "template", case.release, str(chart), "--namespace", case.namespace, "--include-crds", "--kube-version", case.kubernetes]
    command += [f"--api-versions={version}" for version in case.api_versions] + case.options()
    manifest = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documents = re.finditer(r"^# Source: [^/]+/(\S+)\n(?:(?!---$).*\n)+", manifest, re.MULTILINE)
    found = [(match[1], body) for match in documents if (body := kubeyaml.load(match[0]))]
    return [Asserted(template, body["kind"], body["metadata"]["name"], list(assertions(body))) for template, body in found]


def assertions(body: KubeObject) -> Iterator[Assertion]:
    """Choose PER_OBJECT assertions about the object."""
    values = dict(leaves(body))
    areas = [next((keys for keys in values if re.search(area, ".".join(map(str, keys)))), ("kind",)) for area in AREAS]
    spread = list(values)[:: max(1, len(values) // (PER_OBJECT - len(set(areas))))]
    for number, keys in enumerate(list(dict.fromkeys([*areas, *spread]))[:PER_OBJECT]):
        value, how = values[keys], ("equal", "equal", "exists", "matchRegex")[number % 4]
        if body["kind"] == "Secret" and keys[0] == "data" and isinstance(value, str):  # some are random in each render
            yield Assertion(keys, "matchRegex", "^[A-Za-z0-9+/]*=*$")
        elif isinstance(keys[-1], str) and (how == "exists" or "\n" in str(value)):  # helm-unittest's equal ignores space at the end of a line
            yield Assertion(keys, "exists")
        elif isinstance(value, str) and value and how == "matchRegex":
            yield Assertion(keys, how, "^" + re.escape(value.splitlines()[0][:20]))
        else:
            yield Assertion(keys, "equal", value)


def leaves(node: object, keys: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Yield every value with its path."""
    if not isinstance(node, dict | list) or not node:
        yield keys, node
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from leaves(value, (*keys, key))


CONFTEST = """
from functools import cache
from pathlib import Path
from scout_chat.chart.render import render, render_all
from scout_chat.chart.scenarios import scenario
CHART, NAMES, passed = Path({chart!r}), {names!r}, []
def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        render_all([scenario(name) for name in NAMES], CHART)
rendered = cache(lambda name: render(scenario(name), CHART))
def one(name, kind, called):
    (found,) = [item.body for item in rendered(name) if item.kind == kind and item.name == called]
    return found
def pytest_assertion_pass():
    passed.append(1)
def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"{{len(passed)}} assertions passed")
"""


def write(folder: Path, found: dict[str, list[Asserted]]) -> None:
    """Write the test modules, and three kinds of suites.

    ``joined`` has a test per scenario, ``inverted`` the same with ``not: true``, ``split`` a test per object.
    """
    for part in ("modules", "joined", "inverted", "split"):
        (folder / part).mkdir()
    (folder / "modules/conftest.py").write_text(CONFTEST.format(chart=str(folder / "packed"), names=list(found)))
    for case_name, objects in found.items():
        case, names = scenario(case_name), Counter((template, name) for template, _, name, _ in objects)
        capabilities = dict(zip(("majorVersion", "minorVersion"), case.kubernetes.split("."), strict=True)) | {"apiVersions": list(case.api_versions)}
        common = {"suite": case_name, "values": list(map(str, case.files())), "release": {"name": case.release, "namespace": case.namespace}}
        split: dict[str, list[KubeObject]] = {}
        whole: list[KubeObject] = []
        lines = ["import re", "from conftest import one"]
        for template, kind, name, some in objects:
            # A selector of helm-unittest is one path and one value, so it cannot select by kind and name.
            path, value = ("kind", kind) if names[template, name] > 1 else ("metadata.name", name)
            place = {"template": template, "documentSelector": {"path": path, "value": value}}
            asserts = [one.yaml() for one in some]
            split.setdefault(template, []).append({"it": f"{kind} {name}", "asserts": asserts} | place)
            whole += [one | place for one in asserts]
            lines += [f"def test_{re.sub('[^A-Za-z0-9]', '_', f'{kind}_{name}')}():", f"    body = one({case_name!r}, {kind!r}, {name!r})"]
            lines += [f"    {one.python()}" for one in some]
        joined, inverted = ({"**": [{"it": case_name, "asserts": [one | extra for one in whole]}]} for extra in ({}, {"not": True}))
        for part, suites in {"joined": joined, "inverted": inverted, "split": split}.items():
            texts = [kubeyaml.dump(common | {"capabilities": capabilities, "includeCrds": True, "templates": [key], "tests": suites[key]}) for key in suites]
            (folder / part / f"{case_name}_test.yaml").write_text("---\n".join(texts))
        (folder / f"modules/test_{case_name.replace('-', '_')}.py").write_text("\n".join(lines))


class Bench:
    """Both tools, with copies of the chart in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHART, folder / "packed")
        archives.unpack(CHART, folder / "unpacked")
        (folder / "cache").mkdir()
        (folder / "cache/bin").symlink_to(cache("bin", "x").parent)

    def run(self, status: int, *command: str) -> str:
        """Run a command, check its exit status, and return what it prints."""
        env = os.environ | {"SCOUT_CHAT_CACHE": str(self.folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
        result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert result.returncode == status, f"{' '.join(command)}: {result.returncode}\n{(result.stdout + result.stderr)[-5000:]}"
        return result.stdout

    def theirs(self, suites: str, status: int = 0) -> str:
        """Run helm-unittest."""
        return self.run(status, tool("helm-unittest"), "--strict", "-f", f"../{suites}/*_test.yaml", str(self.folder / "unpacked"))

    def ours(self, *options: str, status: int = 0) -> str:
        """Run this harness."""
        pytest = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
        return self.run(status, *pytest, *(options or ("-n", "2")), str(self.folder / "modules"))

    def check(self, count: int, objects: int) -> None:
        """Check that both run every assertion, and that one changed value fails as many objects in both."""
        passed = number(r"(\d+) assertions passed", self.ours("-p", "no:xdist", "-o", "enable_assertion_pass_hook=true"))
        # helm-unittest prints only failures, so every assertion is inverted.
        failed = re.findall(r"^\s+- asserts\[\d+\] NOT `\w+` fail", self.theirs("inverted", 1), re.MULTILINE)
        assert passed == len(failed) == count, f"{count} assertions are written; {passed} and {len(failed)} run"
        assert f"{objects} passed, {objects} total" in self.theirs("split") and f"{objects} passed" in self.ours()
        for chart in ("packed", "unpacked"):
            values = self.folder / chart / "values.yaml"
            shutil.copy(values, self.folder / "values.kept")
            values.write_text(re.sub(r"(?ms)^(open-webui:.*?^    tag: )\S+", r"\g<1>0.0.1", values.read_text(), count=1))
        ours, theirs = (number(r"(?:Tests: +|^)(\d+) failed", text) for text in (self.ours(status=1), self.theirs("split", 1)))
        assert ours == theirs and re.search("Tests: +[1-9][0-9]* failed", self.theirs("joined", 1)), f"one changed value: {ours} and {theirs} tests fail"
        print(f"One changed value in the chart: {ours} tests fail, of each.\n")
        for chart in ("packed", "unpacked"):
            shutil.copy(self.folder / "values.kept", self.folder / chart / "values.yaml")


def number(pattern: str, text: str) -> int:
    """Return the number that the pattern finds."""
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text[-2000:]
    return int(found[1])


class Run(NamedTuple):
    """What is measured, and the folders that are removed before each measurement."""

    call: Callable[[], object]
    without: tuple[Path, ...] = ()


def timed(run: Run) -> tuple[float, float]:
    """Return seconds of wall time, and of CPU time of all child processes."""
    for path in run.without:
        shutil.rmtree(path, ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run.call()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def runs_of(bench: Bench) -> dict[str, Run]:
    """Return the runs in the order of one round."""
    renders, compiled = bench.folder / "cache/renders", bench.folder / "modules/__pycache__"

    def alone() -> str:
        return bench.ours("-p", "no:xdist")

    return {
        "ours, cold": Run(bench.ours, (renders, compiled)),
        "helm-unittest, a test per scenario": Run(lambda: bench.theirs("joined")),
        "ours, chart changed": Run(bench.ours, (renders,)),
        "ours, warm": Run(bench.ours),
        "ours, cold, without xdist": Run(alone, (renders, compiled)),
        "helm-unittest, a test per object": Run(lambda: bench.theirs("split")),
        "ours, chart changed, without xdist": Run(alone, (renders,)),
        "ours, warm, without xdist": Run(alone),
    }


def main() -> None:
    """Write the assertions, check that both tools run them, measure ROUNDS rounds, and print a table."""
    archives.vendor()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        found = {name: objects_of(scenario(name), bench.folder / "unpacked") for name in SCENARIOS}
        write(bench.folder, found)
        how = Counter(each.how for objects in found.values() for item in objects for each in item.assertions)
        count, objects = how.total(), sum(map(len, found.values()))
        print(f"{count} assertions ({dict(how)}) on {objects} objects of {len(found)} scenarios: {', '.join(found)}.")
        bench.check(count, objects)
        runs = runs_of(bench)
        rounds = [{name: timed(run) for name, run in runs.items()} for _ in range(ROUNDS)]
    theirs = [name for name in runs if name.startswith("helm-unittest")]
    print(
        f"Medians of {ROUNDS} rounds on {os.cpu_count()} cores. Ratio: wall time of helm-unittest divided by that of the run, in the same round (min to max).\n"
    )
    print("| run | wall, s | CPU, s |", *(f"{name.split(', ')[1]}: ratio |" for name in theirs), end="\n|---|---|---|---|---|\n")
    for name in runs:
        ratios = [[one[base][0] / one[name][0] for one in rounds] for base in theirs]
        cells = [f"{median(one[name][index] for one in rounds):.2f}" for index in (0, 1)]
        print(f"| {' | '.join([name, *cells, *(f'{median(some):.2f} ({min(some):.2f} to {max(some):.2f})' for some in ratios)])} |")


if __name__ == "__main__":
    main()
