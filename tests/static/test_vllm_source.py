"""Proves: the source of a vLLM release comes from the package index with the pinned digest, and failures are explained.

Does not prove that the source runs: tests/cluster/test_engine.py does.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from scout_chat.core.errors import UserError
from scout_chat.core.paths import sha256
from scout_chat.core.pins import pins
from scout_chat.vllm import source

from tests.support.file_server import serving

FILES = {"vllm/__init__.py": b"", "vllm/v1/kv.py": b"BLOCK = 16", "tests/vllm/big.py": b"", "vllm.egg-info/PKG-INFO": b"", "setup.py": b""}


@pytest.fixture
def index(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package index with vLLM 0.33.0, which is pinned."""
    folder = tmp_path / "www"
    (folder / "vllm").mkdir(parents=True)
    archive = folder / "vllm-0.33.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"vllm-0.33.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    digest = sha256(archive)
    pinned = pins()
    gpu = pinned.engine.gpu.model_copy(update={"source": digest})
    monkeypatch.setattr(source, "pins", lambda: pinned.model_copy(update={"engine": pinned.engine.model_copy(update={"gpu": gpu})}))
    with serving(folder) as address:
        names = ("vllm-0.33.0.whl", "vllm-0.33.0.tar.gz", "vllm-0.34.0.whl")
        files = [{"filename": name, "url": f"{address}/{name}", "hashes": {"sha256": digest}} for name in names]
        (folder / "vllm" / "index.html").write_text(json.dumps({"files": files}))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{address}/")
        yield folder


def test_the_package_alone_is_unpacked(index: Path) -> None:
    folder = source.folder("v0.33.0")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {"vllm/__init__.py", "vllm/v1/kv.py"}
    assert {path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")} == {folder.name}
    # The second call needs no index.
    (index / "vllm" / "index.html").unlink()
    assert source.folder("v0.33.0") == folder


def test_an_archive_that_is_not_the_listed_one_is_not_used(index: Path) -> None:
    (index / "vllm-0.33.0.tar.gz").write_bytes(b"another")
    with pytest.raises(UserError, match=r"vllm-0.33.0.tar.gz is not the file that the package index lists: its sha256 differs"):
        source.folder("v0.33.0")


def test_a_listed_archive_that_is_not_the_pinned_one_is_not_downloaded(index: Path) -> None:
    listing = index / "vllm" / "index.html"
    listing.write_text(listing.read_text().replace(source.find("v0.33.0").sha256, "0" * 64))
    (index / "vllm-0.33.0.tar.gz").unlink()
    with pytest.raises(UserError, match=r"the source archive of vLLM v0.33.0 has the sha256 0{64}, but schema/pins.yaml has"):
        source.folder("v0.33.0")


def test_a_release_without_a_source_archive_is_an_error(index: Path) -> None:
    with pytest.raises(UserError, match=r"the Python package index has no vllm-0.34.0.tar.gz") as error:
        source.find("v0.34.0")
    assert error.value.hint == "The newest there are vllm-0.33.0.tar.gz."


@pytest.mark.parametrize("answer", ["<html>no JSON</html>", "{}"])
def test_an_index_that_answers_something_else_is_an_error(index: Path, answer: str) -> None:
    (index / "vllm" / "index.html").write_text(answer)
    with pytest.raises(UserError, match="the Python package index does not list the files of vllm") as error:
        source.find("v0.33.0")
    assert "UV_DEFAULT_INDEX" in error.value.hint


def test_an_index_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the Python package index does not list the files of vllm"):
        source.find("v0.33.0")
