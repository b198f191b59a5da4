"""Measures the harness against helm-unittest: the same assertions about the same renders, by turns, in one run (``make bench``).

The assertions are taken from the real renders of ten scenarios and written twice: as helm-unittest suites, and as test modules over
scout_chat.render, a test per object. Before the clock starts both must count all of them, and both must fail on one changed value.
Choices favour helm-unittest: its chart is unpacked beforehand, ours is not; and it is measured with one test, so one render, per
scenario. A test per object, as is usual, renders for each, and is measured as well. Ours is cold (no render kept, no test module
compiled), after a change of the chart (no render kept) or warm (nothing has changed).
Both check values.schema.json; neither checks Kubernetes' schemas here.
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
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT, cache
from scout_chat.core.tools import tool

# gpt-oss-20b is gpt-oss with another model, local-two-engines contains local-node-port, gpt-oss-observed adds few objects.
LEFT_OUT = ("gpt-oss-20b", "local-node-port", "gpt-oss-observed")
ROUNDS = 7
PER_OBJECT = 12
# What people assert: of each object the first value of each of these, then values spread evenly over it.
AREAS = (r"\.image$", "[sS]elector", "[pP]orts", r"\.env\.|^data\.", "[a-z]Probe", "resources", "[sS]ecurityContext", "args|command", "annotations", "rules")


class Assertion(NamedTuple):
    keys: tuple[str | int, ...]
    how: str  # as helm-unittest calls it: equal, exists, matchRegex
    expected: object = None

    def yaml(self) -> dict:
        path = "".join(f".{key}" if re.fullmatch(r"[A-Za-z]\w*", str(key)) else f"[{key!r}]" for key in self.keys).lstrip(".")
        return {self.how: {"path": path} | {"equal": {"value": self.expected}, "matchRegex": {"pattern": self.expected}}.get(self.how, {})}

    def python(self) -> str:
        parent, last, expected = "body" + "".join(f"[{key!r}]" for key in self.keys[:-1]), repr(self.keys[-1]), repr(self.expected)
        forms = {"equal": "{0}[{1}] == {2}", "exists": "{1} in {0}", "matchRegex": "re.search({2}, {0}[{1}])"}
        return "assert " + forms[self.how].format(parent, last, expected)


def objects_of(case: Case, chart: Path) -> list[tuple[str, str, str, list[Assertion]]]:
    """Template, kind, name, assertions."""
    command = [tool("helm"), "template", case.release, str(chart), "--namespace", case.namespace, "--include-crds", "--kube-version", case.kubernetes]
    command += [f"--api-versions={version}" for version in case.api_versions] + case.options()
    manifest = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documents = re.finditer(r"^# Source: [^/]+/(\S+)\n(?:(?!---$).*\n)+", manifest, re.MULTILINE)
    found = [(match[1], body) for match in documents if (body := kubeyaml.load(match[0]))]
    return [(template, body["kind"], body["metadata"]["name"], list(assertions(body))) for template, body in found]


def assertions(body: dict) -> Iterator[Assertion]:
    values = dict(leaves(body))
    areas = [next((keys for keys in values if re.search(area, ".".join(map(str, keys)))), ("kind",)) for area in AREAS]
    spread = list(values)[:: max(1, len(values) // (PER_OBJECT - len(set(areas))))]
    for number, keys in enumerate(list(dict.fromkeys([*areas, *spread]))[:PER_OBJECT]):
        value, how = values[keys], ("equal", "equal", "exists", "matchRegex")[number % 4]
        if body["kind"] == "Secret" and keys[0] == "data" and isinstance(value, str):  # some are generated: another one in each render
            yield Assertion(keys, "matchRegex", "^[A-Za-z0-9+/]*=*$")
        elif isinstance(keys[-1], str) and (how == "exists" or "\n" in str(value)):  # helm-unittest's equal overlooks space before a line's end
            yield Assertion(keys, "exists")
        elif isinstance(value, str) and value and how == "matchRegex":
            yield Assertion(keys, how, "^" + re.escape(value.splitlines()[0][:20]))
        else:
            yield Assertion(keys, "equal", value)


def leaves(node: object, keys: tuple = ()) -> Iterator[tuple[tuple, object]]:
    if not isinstance(node, dict | list) or not node:
        yield keys, node
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from leaves(value, (*keys, key))


CONFTEST = """
from functools import cache
from pathlib import Path
from scout_chat.render import render, render_all
from scout_chat.scenarios import scenario
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


def write(folder: Path, found: dict[str, list]) -> None:
    """The test modules; and as suites: a test per scenario, the same with ``not: true`` in each, a suite per template with a test per object."""
    for part in ("modules", "joined", "inverted", "split"):
        (folder / part).mkdir()
    (folder / "modules/conftest.py").write_text(CONFTEST.format(chart=str(folder / "packed"), names=list(found)))
    for scenario, objects in found.items():
        case, names = scenarios()[scenario], Counter((template, name) for template, _, name, _ in objects)
        capabilities = dict(zip(("majorVersion", "minorVersion"), case.kubernetes.split("."), strict=True)) | {"apiVersions": list(case.api_versions)}
        common = {"suite": scenario, "values": list(map(str, case.files())), "release": {"name": case.release, "namespace": case.namespace}}
        split, whole, lines = {}, [], ["import re", "from conftest import one"]
        for template, kind, name, some in objects:
            # A selector is one path and one value: kind and name together cannot be asked for.
            path, value = ("kind", kind) if names[template, name] > 1 else ("metadata.name", name)
            place = {"template": template, "documentSelector": {"path": path, "value": value}}
            asserts = [one.yaml() for one in some]
            split.setdefault(template, []).append({"it": f"{kind} {name}", "asserts": asserts} | place)
            whole += [one | place for one in asserts]
            lines += [f"def test_{re.sub('[^A-Za-z0-9]', '_', f'{kind}_{name}')}():", f"    body = one({scenario!r}, {kind!r}, {name!r})"]
            lines += [f"    {one.python()}" for one in some]
        joined, inverted = ({"**": [{"it": scenario, "asserts": [one | extra for one in whole]}]} for extra in ({}, {"not": True}))
        for part, suites in {"joined": joined, "inverted": inverted, "split": split}.items():
            texts = [kubeyaml.dump(common | {"capabilities": capabilities, "includeCrds": True, "templates": [key], "tests": suites[key]}) for key in suites]
            (folder / part / f"{scenario}_test.yaml").write_text("---\n".join(texts))
        (folder / f"modules/test_{scenario.replace('-', '_')}.py").write_text("\n".join(lines))


class Bench:
    """Both tools, over copies of the chart in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHART, folder / "packed")
        archives.unpack(CHART, folder / "unpacked")
        (folder / "cache").mkdir()
        (folder / "cache/bin").symlink_to(cache("bin", "x").parent)

    def run(self, status: int, *command: str) -> str:
        """What it prints."""
        env = os.environ | {"SCOUT_CHAT_CACHE": str(self.folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
        result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert result.returncode == status, f"{' '.join(command)}: {result.returncode}\n{(result.stdout + result.stderr)[-5000:]}"
        return result.stdout

    def theirs(self, suites: str, status: int = 0) -> str:
        return self.run(status, tool("helm-unittest"), "--strict", "-f", f"../{suites}/*_test.yaml", str(self.folder / "unpacked"))

    def ours(self, *options: str, status: int = 0) -> str:
        pytest = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
        return self.run(status, *pytest, *(options or ("-n", "2")), str(self.folder / "modules"))

    def check(self, count: int, objects: int) -> None:
        """Both run every assertion; both see one changed value, in the same number of objects."""
        passed = re.search(r"(\d+) assertions passed", self.ours("-p", "no:xdist", "-o", "enable_assertion_pass_hook=true"))[1]
        # It prints only what fails, so this is a run with `not: true` in each.
        failed = re.findall(r"^\s+- asserts\[\d+\] NOT `\w+` fail", self.theirs("inverted", 1), re.MULTILINE)
        assert int(passed) == len(failed) == count, f"{count} assertions are written; {passed} and {len(failed)} run"
        assert f"{objects} passed, {objects} total" in self.theirs("split") and f"{objects} passed" in self.ours()
        for chart in ("packed", "unpacked"):
            values = self.folder / chart / "values.yaml"
            shutil.copy(values, self.folder / "values.kept")
            values.write_text(re.sub(r"(?ms)^(open-webui:.*?^    tag: )\S+", r"\g<1>0.0.1", values.read_text(), count=1))
        ours, theirs = (re.search(r"(?:Tests: +|^)(\d+) failed", text, re.MULTILINE)[1] for text in (self.ours(status=1), self.theirs("split", 1)))
        assert ours == theirs and re.search("Tests: +[1-9][0-9]* failed", self.theirs("joined", 1)), f"one changed value: {ours} and {theirs} tests fail"
        print(f"One changed value in the chart: {ours} tests fail, of each.\n")
        for chart in ("packed", "unpacked"):
            shutil.copy(self.folder / "values.kept", self.folder / chart / "values.yaml")


def timed(run: Callable[[], object], *without: Path) -> tuple[float, float]:
    """Seconds: wall, and of processors, by every process that it started. These folders are taken away before."""
    for path in without:
        shutil.rmtree(path, ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    archives.vendor()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        found = {name: objects_of(case, bench.folder / "unpacked") for name, case in scenarios().items() if name not in LEFT_OUT}
        write(bench.folder, found)
        how = Counter(one.how for objects in found.values() for *_, some in objects for one in some)
        count, objects = how.total(), sum(map(len, found.values()))
        print(f"{count} assertions ({dict(how)}) on {objects} objects of {len(found)} scenarios, without {' and '.join(LEFT_OUT)}.")
        bench.check(count, objects)
        renders, compiled = bench.folder / "cache/renders", bench.folder / "modules/__pycache__"
        runs: dict[str, tuple] = {
            "ours, cold": (bench.ours, renders, compiled),
            "helm-unittest, a test per scenario": (lambda: bench.theirs("joined"),),
            "ours, chart changed": (bench.ours, renders),
            "ours, warm": (bench.ours,),
            "ours, cold, without xdist": (alone := lambda: bench.ours("-p", "no:xdist"), renders, compiled),
            "helm-unittest, a test per object": (lambda: bench.theirs("split"),),
            "ours, chart changed, without xdist": (alone, renders),
            "ours, warm, without xdist": (alone,),
        }
        rounds = [{name: timed(*run) for name, run in runs.items()} for _ in range(ROUNDS)]
    theirs = [name for name in runs if name.startswith("helm-unittest")]
    print(f"Medians of {ROUNDS} rounds on {os.cpu_count()} cores. Ratio: wall time of helm-unittest by that of the run, in the same round (least to most).\n")
    print("| run | wall, s | CPU, s |", *(f"{name.split(', ')[1]}: ratio |" for name in theirs), end="\n|---|---|---|---|---|\n")
    for name in runs:
        ratios = [[one[base][0] / one[name][0] for one in rounds] for base in theirs]
        cells = [f"{median(one[name][index] for one in rounds):.2f}" for index in (0, 1)]
        print(f"| {' | '.join([name, *cells, *(f'{median(some):.2f} ({min(some):.2f} to {max(some):.2f})' for some in ratios)])} |")


if __name__ == "__main__":
    main()
