"""Proves: the real chart-testing installs the chart with each values file of its ``ci`` folder, runs the chart's test, and upgrades to it from
the previous chart and from itself. Nothing is left of its releases. A skipped upgrade fails the test, although chart-testing passes.

One run of ``ct install --upgrade`` does all of it, in its own namespaces. The upstream charts come from a chart repository that the test
serves on a loopback address. The previous chart is that of the newest commit with another chart. Its version becomes the one just before
this chart's, because chart-testing skips an upgrade from 0.3 to 0.4, and the values of REMOVED become its defaults.

Does not prove: that the public chart repositories answer; that an upgrade accepts a removed value (it is refused).
"""

import json
import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scout_chat.cluster.one_node.node import OneNode
from scout_chat.cluster.provider import Provider
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.tools import tool
from scout_chat.maintain import lint

from tests.support.chart_repository import FOLDER, GitRepository, git, previous_revision, served_archives

pytestmark = [pytest.mark.charts, pytest.mark.usefixtures("one_node")]

# Values that the changelog lists as removed. chart-testing upgrades with the previous chart's values file, which may still name them. As
# defaults of the previous chart they apply to the installation and not to the upgrade.
REMOVED = ("global.chat.auth.demo",)

# The commands of chart-testing for one release, in order.
UPGRADE_FROM_PREVIOUS = ("install previous", "test", "upgrade current", "test", "uninstall")
UPGRADE_FROM_ITSELF = ("install current", "test", "upgrade current", "test", "uninstall")
INSTALL = ("install current", "test", "uninstall")

# The node has no image of production-stack's router.
ROUTER = "--set=global.llm.router=vllm-router,vllmRouter.image.repository=scout-chat/vllm-router"

# How long Helm waits for pods; an engine takes a minute on two cores. ct.yaml has 20 minutes for machines that pull images.
TIMEOUT = "--timeout 8m"


@dataclass(frozen=True)
class Run:
    """Output of a successful chart-testing. With --debug it has the commands."""

    output: str

    def releases(self, values: str) -> list[tuple[str, ...]]:
        """Return the steps of each release that was installed with the values file, in order."""
        steps: defaultdict[str, list[str]] = defaultdict(list)
        for command, release, rest in re.findall(r"^>>> helm (install|upgrade|test|uninstall) (\S+) (.*)$", self.output, re.MULTILINE):
            chart, *options = rest.split()
            if command == "install" and Path(options[options.index("--values") + 1] if "--values" in options else "").name != values:
                continue
            if command == "install" or release in steps:
                revision = "previous" if chart.startswith("ct-previous-revision") else "current"
                steps[release].append(f"{command} {revision}" if command in ("install", "upgrade") else command)
        return [tuple(taken) for taken in steps.values()]

    def namespaces(self) -> list[str]:
        """Return the namespaces that chart-testing created."""
        return re.findall(r"^>>> kubectl \S+ create namespace (\S+)$", self.output, re.MULTILINE)


@pytest.fixture(scope="module")
def environment(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which chart-testing finds helm and kubectl. Helm has its own home."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("helm", "kubectl"):
        (folder / name).symlink_to(tool(name))
    homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return os.environ | homes | {"KUBECONFIG": str(provider.kubeconfig()), "PATH": os.pathsep.join([str(folder), os.environ["PATH"]])}


def ct_install(repository: GitRepository, environment: dict[str, str], config: str) -> Run:
    """Run ``ct install --upgrade`` for the charts that the last commit changes. Fails if it fails, and prints its output."""
    (repository.root / "ct.yaml").write_text(config)
    command = [tool("ct"), "install", "--config=ct.yaml", "--upgrade", "--debug", f"--helm-extra-args={TIMEOUT}"]
    process = subprocess.run(command, cwd=repository.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800)
    print(process.stdout)
    assert process.returncode == 0, "chart-testing failed; its output is in the captured stdout"
    return Run(process.stdout)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_archives(tmp_path_factory.mktemp("archives")) as url:
        yield url


@pytest.fixture(scope="module")
def revision() -> str:
    """The commit with the chart to upgrade from."""
    if not (found := previous_revision()):
        pytest.skip("the history has no other chart to upgrade from (git fetch --unshallow)")
    print(f"the upgrade is from the chart of {git(ROOT, 'log', '-1', '--format=%h %s', found)}")
    return found


@pytest.fixture(scope="module")
def run(revision: str, environment: dict[str, str], archives: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of chart-testing. origin/main has the previous chart; this one is checked out."""
    repository = GitRepository(tmp_path_factory.mktemp("checkout"))
    repository.copy_revision(revision)
    version = kubeyaml.load((CHART / "Chart.yaml").read_text())["version"]
    repository.set_version(f"{version.split('-')[0]}-0.previous")
    print(f"moved to its defaults: {repository.move_to_defaults(REMOVED)}")
    repository.depend_on(archives)
    repository.commit("previous")
    repository.publish()
    repository.copy_working_tree()
    repository.depend_on(archives)
    repository.commit("current")
    config = kubeyaml.load((ROOT / "ct.yaml").read_text()) | {"chart-repos": [f"archives={archives}"], "helm-extra-set-args": ROUTER}
    return ct_install(repository, environment, kubeyaml.dump(config))


@pytest.fixture(params=[file.name for file in lint.ci_values()])
def values(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_chart_installs_and_passes_its_test(values: str, run: Run) -> None:
    assert run.releases(values).count(INSTALL) == 1


def test_it_upgrades_from_itself(values: str, run: Run) -> None:
    assert run.releases(values).count(UPGRADE_FROM_ITSELF) == 1


def test_it_upgrades_from_the_previous_chart(values: str, revision: str, run: Run) -> None:
    if not git(ROOT, "ls-tree", revision, f"{FOLDER}/ci/{values}"):
        pytest.skip(f"{values} is new: the previous chart has nothing to install with it")
    assert run.releases(values).count(UPGRADE_FROM_PREVIOUS) == 1


def test_every_release_ran_the_test_of_the_chart(run: Run) -> None:
    """`helm test` also passes for a chart without a test. At the end chart-testing prints the log of every pod."""
    assert len(run.namespaces()) >= 2
    for release in run.namespaces():
        assert re.search(rf"^>>> kubectl \S+ logs {release}-test-chat ", run.output, re.MULTILINE)


def test_nothing_is_left_of_its_releases(run: Run) -> None:
    """What helm uninstall keeps (the chat's volume, the Secret, the weights) goes with the namespace."""
    if left := left_of(run.namespaces()):
        OneNode().kubectl("wait", "--for=delete", *left, "--timeout=60s")
    assert left_of(run.namespaces()) == []


def left_of(namespaces: list[str]) -> list[str]:
    """Return the namespaces that still exist, and the volumes that were claimed from them, as kind/name."""
    objects = json.loads(OneNode().kubectl("get", "namespaces,persistentvolumes", "--output=json"))["items"]
    spaces = [item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"]
    volumes = {item["metadata"]["name"]: item["spec"].get("claimRef", {}).get("namespace") for item in objects if item["kind"] == "PersistentVolume"}
    return [
        *(f"namespace/{name}" for name in spaces if name in namespaces),
        *(f"persistentvolume/{name}" for name, namespace in volumes.items() if namespace in namespaces),
    ]


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small}\n"


@pytest.mark.parametrize(
    ("previous", "template", "upgraded"),
    [
        pytest.param("0.2.0", CONFIG_MAP, True, id="as-it-should-be"),
        # "Upgrade testing for release ... skipped because of previous revision installation error"
        pytest.param("0.2.0", '{{ fail "on purpose" }}', False, id="previous-chart-does-not-install"),
        # "Skipping upgrade test of ..."
        pytest.param("0.1.0", CONFIG_MAP, False, id="breaking-version"),
    ],
)
def test_an_upgrade_that_chart_testing_skips_is_noticed(previous: str, template: str, upgraded: bool, environment: dict[str, str], tmp_path: Path) -> None:
    """Shown with a chart of one ConfigMap. chart-testing passes each time."""
    repository = GitRepository(tmp_path)
    for version, text in ((previous, template), ("0.2.1", CONFIG_MAP)):
        (repository.chart / "templates").mkdir(parents=True)
        (repository.chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: small\nversion: {version}\n")
        (repository.chart / "templates/small.yaml").write_text(text)
        repository.commit(version)
        if version == previous:
            repository.publish()
    run = ct_install(repository, environment, f"chart-dirs: [{FOLDER.parent}]\n")
    assert run.releases("").count(INSTALL) == run.releases("").count(UPGRADE_FROM_ITSELF) == 1
    assert (UPGRADE_FROM_PREVIOUS in run.releases("")) == upgraded
