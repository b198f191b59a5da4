"""Proves: a chart archive from any source is used only with its pinned sha256, errors name it, and unpacking changes nothing.

It does not prove that the upstream charts are good.
"""

import re
import shutil
import tarfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from scout_chat.chart import archives
from scout_chat.chart.render import RenderError, render
from scout_chat.chart.scenarios import scenario
from scout_chat.chat.install import helm
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, sha256
from scout_chat.core.pins import ChartPin, pins

CONTENT = b"a chart archive"


@pytest.fixture
def chart_folder(tmp_path: Path) -> Path:
    """An empty folder in place of charts/scout-chat."""
    (tmp_path / "chart").mkdir()
    return tmp_path / "chart"


@pytest.fixture
def one_chart(own_cache: Path, chart_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One pinned chart, and a mirror folder that has its archive. Returns the mirror."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "demo-1.0.0.tgz").write_bytes(CONTENT)
    pin = ChartPin(version="1.0.0", sha256=sha256(mirror / "demo-1.0.0.tgz"), repository="https://charts.invalid")
    monkeypatch.setattr(archives, "pins", lambda: type("Pins", (), {"charts": {"demo": pin}}))
    monkeypatch.setattr(archives, "CHART", chart_folder)
    return mirror


def test_the_error_for_a_missing_archive_names_it_its_digest_and_its_sources(one_chart: Path) -> None:
    with pytest.raises(archives.ChartsMissing) as missing:
        archives.resolve(download=False)
    assert "demo-1.0.0.tgz" in str(missing.value) and "sha256" in str(missing.value)
    assert "SCOUT_CHAT_CHARTS" in missing.value.hint


def test_the_mirror_fills_the_cache_and_the_chart(one_chart: Path, chart_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_CHAT_CHARTS", str(one_chart))
    (archive,) = archives.vendor(download=False)
    assert archive.source == "SCOUT_CHAT_CHARTS"
    assert (own_cache / "charts/demo-1.0.0.tgz").read_bytes() == CONTENT
    assert (chart_folder / "charts/demo-1.0.0.tgz").read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["cache", "chart"])
def test_a_damaged_archive_is_named_and_kept(where: str, one_chart: Path, chart_folder: Path, own_cache: Path) -> None:
    folder = own_cache / "charts" if where == "cache" else chart_folder / "charts"
    folder.mkdir(parents=True)
    (folder / "demo-1.0.0.tgz").write_bytes(CONTENT + b"?")
    with pytest.raises(UserError, match=rf"{folder}/demo-1.0.0.tgz is damaged or another build: its sha256 is"):
        archives.resolve(download=False)
    assert (folder / "demo-1.0.0.tgz").read_bytes() == CONTENT + b"?"


def test_an_archive_of_another_version_is_refused(one_chart: Path, chart_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_CHAT_CHARTS", str(one_chart))
    (chart_folder / "charts").mkdir()
    (chart_folder / "charts/demo-0.9.0.tgz").write_bytes(CONTENT)
    with pytest.raises(UserError, match=r"demo-0.9.0.tgz is not the pinned version \(demo-1.0.0.tgz\)"):
        archives.vendor(download=False)


def test_a_mirror_that_is_not_a_folder_is_named(one_chart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_CHAT_CHARTS", "/no/such/folder")
    with pytest.raises(UserError, match="SCOUT_CHAT_CHARTS names /no/such/folder, which is not a folder"):
        archives.resolve(download=False)


@pytest.mark.charts
def test_several_processes_at_once_fill_one_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes fill one empty cache from the chart's folder; each gets verified archives."""
    with ProcessPoolExecutor(4) as pool:
        results = list(pool.map(archives.resolve, [print] * 4, [False] * 4))
    assert len({tuple(archive.path for archive in archives) for archives in results}) == 1
    for archive in results[0]:
        assert sha256(archive.path) == pins().charts[archive.name].sha256
    assert not [path for path in (own_cache / "charts").iterdir() if path.suffix not in (".tgz", ".lock") and path.name != ".lock"]


@pytest.mark.charts
def test_the_lock_file_fits_the_dependencies(tmp_path: Path) -> None:
    """Helm itself compares the digest in Chart.lock with Chart.yaml, before it looks for the repositories."""
    shutil.copytree(CHART, tmp_path / "chart")
    with pytest.raises(RenderError) as refused:
        helm("dependency", "build", str(tmp_path / "chart"), kubeconfig=Path("/dev/null"))
    assert "out of sync" not in str(refused.value)
    lock = tmp_path / "chart/Chart.lock"
    lock.write_text(lock.read_text().replace("sha256:5", "sha256:6"))
    with pytest.raises(RenderError, match="out of sync"):
        helm("dependency", "build", str(tmp_path / "chart"), kubeconfig=Path("/dev/null"))


@pytest.mark.charts
def test_the_unpacked_copy_has_the_files_of_the_archives(tmp_path: Path) -> None:
    """Every file of the archives is in it unchanged, except the subcharts' own subcharts and tests, and the dependencies on these."""
    archives.unpack(CHART, tmp_path / "scout-chat")
    for archive in archives.resolve(download=False):
        with tarfile.open(archive.path) as tar:
            members = [member for member in tar if member.isfile() and not re.match(r"[^/]+/(charts|tests|ci)/", member.name)]
            for member in members:
                copy = (tmp_path / "scout-chat/charts" / member.name).read_bytes()
                file = tar.extractfile(member)
                assert file
                if member.name == f"{archive.name}/Chart.yaml":
                    whole, kept = kubeyaml.load(file.read().decode()), kubeyaml.load(copy.decode())
                    assert {**kept, "dependencies": whole["dependencies"]} == whole
                else:
                    assert copy == file.read(), member.name


@pytest.mark.charts
@pytest.mark.parametrize("name", ["gpt-oss-observed", "external-replicas"])
def test_the_unpacked_copy_renders_what_the_packed_chart_does(name: str) -> None:
    packed, unpacked = ([item for item in render(scenario(name), cached=cached) if item.kind != "Secret"] for cached in (False, True))
    assert packed == unpacked
