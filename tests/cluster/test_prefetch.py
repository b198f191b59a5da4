"""Proves: the script of weights.prefetch downloads the files that vLLM loads and no other, and resumes where it was killed. For wrong content,
a wrong token, a full volume and a hub that does not answer it fails with one sentence.

The client is the real huggingface_hub, in the release of the vLLM image; the hub is a program of the tests. Does not prove that
huggingface.co answers as this hub does.
"""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from scout_chat.core.paths import CHART

from tests.support.hub import COMMIT, Hub, sha256

SCRIPT = CHART / "files" / "prefetch.py"
REPOSITORY = "example/small"
random.seed(0)
SHARDS = {f"model-0000{number}-of-00002.safetensors": random.randbytes(3_000_000 + number) for number in (1, 2)}
INDEX = json.dumps({"weight_map": {f"layer.{number}": name for number, name in enumerate(SHARDS)}}).encode()
SMALL = {"config.json": b"{}", "tokenizer.json": random.randbytes(20_000), "model.safetensors.index.json": INDEX}
COPIES = {"original/model.safetensors": b"o" * 20_000, "metal/model.bin": b"m" * 20_000, "pytorch_model.bin": b"b" * 20_000, "model.gguf": b"g" * 20_000}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub({REPOSITORY: {**SMALL, **SHARDS, **COPIES}}).running() as hub:
        yield hub


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_") and not name.lower().endswith("_proxy")}
    return clean | {"HF_HOME": str(home), "HF_ENDPOINT": hub.url, **more}


def prefetch(hub: Hub, home: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run the script; return its exit status and output."""
    command = [sys.executable, str(SCRIPT), *(arguments or (REPOSITORY,)), "--patience", "3"]
    result = subprocess.run(command, env=environment(hub, home, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert "Traceback" not in result.stdout, result.stdout
    return result.returncode, result.stdout


def folder(home: Path, repository: str = REPOSITORY) -> Path:
    return home / "hub" / f"models--{repository.replace('/', '--')}"


def snapshot(home: Path) -> dict[str, bytes]:
    root = folder(home) / "snapshots" / COMMIT
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def last(output: str) -> str:
    return output.splitlines()[-1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prefetch", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_downloads_the_right_files_and_no_other(hub: Hub, tmp_path: Path) -> None:
    status, output = prefetch(hub, tmp_path)
    assert status == 0, output
    assert snapshot(tmp_path) == SMALL | SHARDS
    assert hub.names() == (SMALL | SHARDS).keys()
    assert (folder(tmp_path) / "refs/main").read_text() == COMMIT
    assert last(output).startswith("100 %") and "5 of 5 files verified" in last(output)
    assert list((folder(tmp_path) / "blobs").glob("*.part")) == []


def test_the_engine_finds_them_without_the_network(hub: Hub, tmp_path: Path) -> None:
    """vLLM with HF_HUB_OFFLINE=1 asks the library for the snapshot of main."""
    prefetch(hub, tmp_path)
    ask = f"import huggingface_hub; print(huggingface_hub.snapshot_download('{REPOSITORY}', local_files_only=True, ignore_patterns='*'))"
    hub.forget()
    found = subprocess.run([sys.executable, "-c", ask], env=environment(hub, tmp_path, HF_HUB_OFFLINE="1"), capture_output=True, text=True)
    assert found.stdout.strip() == str(folder(tmp_path) / "snapshots" / COMMIT), found.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("names", "arguments", "chosen"),
    [
        (["config.json", "a.bin", "b.pt"], {}, ["config.json", "a.bin"]),
        (["config.json", "weights.pt"], {}, ["config.json", "weights.pt"]),
        (["config.json", "q4.gguf"], {}, ["config.json", "q4.gguf"]),
        (["params.json", "consolidated.safetensors", "model-1.safetensors"], {}, ["params.json", "consolidated.safetensors"]),
        (["params.json", "consolidated.safetensors", "model-1.safetensors"], {"allow": ["model*"]}, ["params.json", "model-1.safetensors"]),
        (["config.json", "a.safetensors", "2_Dense/model.safetensors"], {}, ["config.json", "a.safetensors", "2_Dense/model.safetensors"]),
        (["config.json", "a.safetensors", "extra/a.safetensors"], {"ignore": ["extra/*"]}, ["config.json", "a.safetensors"]),
        (["config.json", "a.safetensors", "README.md"], {"ignore": ["*.md"]}, ["config.json", "a.safetensors"]),
        (["config.json", "original/a.safetensors", "a.onnx"], {}, []),
        (["config.json", "onnx/a.onnx"], {"allow": ["onnx/*"]}, ["config.json", "onnx/a.onnx"]),
    ],
)  # fmt: skip
def test_it_chooses_the_weights_that_vllm_loads(script: ModuleType, names: list[str], arguments: dict[str, list[str]], chosen: list[str]) -> None:
    assert script.choose(names, **({"allow": [], "ignore": []} | arguments)) == chosen


def test_a_second_run_reads_neither_the_hub_nor_the_weights(hub: Hub, tmp_path: Path) -> None:
    prefetch(hub, tmp_path)
    hub.forget()
    # Wrong content of the right size: reading it would fail.
    blob = folder(tmp_path) / "blobs" / sha256(SHARDS["model-00001-of-00002.safetensors"])
    blob.write_bytes(b"x" * blob.stat().st_size)
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and "nothing to do" in output and hub.requests == []
    # Other patterns have another marker, and verified files are not read again.
    status, output = prefetch(hub, tmp_path, REPOSITORY, "--ignore", "*.md")
    assert status == 0 and hub.log == [], output


def test_a_missing_or_damaged_file_is_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    prefetch(hub, tmp_path)
    hub.forget()
    (folder(tmp_path) / "blobs" / sha256(SHARDS["model-00002-of-00002.safetensors"])).write_bytes(b"short")
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and "is missing or has another size" in output
    assert hub.names() == {"model-00002-of-00002.safetensors"} and snapshot(tmp_path) == SMALL | SHARDS


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_resumes_where_it_was_killed(hub: Hub, tmp_path: Path, end: signal.Signals) -> None:
    """The second run asks for the rest of the unfinished file, and for no byte of a finished one."""
    big = "model-00001-of-00001.safetensors"
    content = random.randbytes(30_000_000)
    hub.repositories[REPOSITORY] = {**SMALL, big: content, "small.safetensors": b"s" * 20_000}
    hub.rate = 20_000_000
    process = subprocess.Popen([sys.executable, str(SCRIPT), REPOSITORY], env=environment(hub, tmp_path), stdout=subprocess.DEVNULL)
    part = folder(tmp_path) / "blobs" / f"{sha256(content)}.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 10_000_000) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(end)
    process.wait(5)
    kept = part.stat().st_size
    assert 10_000_000 <= kept < len(content) and not (folder(tmp_path) / "refs/main").exists()
    hub.forget()
    hub.rate = 0
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and "already on the volume" in output
    assert [(asked.name, asked.start) for asked in hub.log] == [(big, kept)]
    assert hub.sent() == len(content) - kept
    assert snapshot(tmp_path)[big] == content


def test_a_broken_transfer_is_resumed(hub: Hub, tmp_path: Path) -> None:
    """The library writes 10 MiB at a time, so up to 10 MiB come twice."""
    hub.repositories[REPOSITORY]["model.safetensors"] = random.randbytes(24_000_000)
    hub.cut["model.safetensors"] = 1
    status, output = prefetch(hub, tmp_path)
    assert status == 0, output
    first, second = [asked for asked in hub.log if asked.name == "model.safetensors"]
    assert first.sent == 12_000_000 and second.start == 10 * 2**20


def test_wrong_bytes_are_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    hub.broken = {"model-00001-of-00002.safetensors": 1, "config.json": 1}
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and output.count("has a wrong checksum: deleted it") == 2
    assert snapshot(tmp_path) == SMALL | SHARDS


@pytest.mark.parametrize("name", ["model-00002-of-00002.safetensors", "config.json"])
def test_bytes_that_stay_wrong_fail_with_the_files_name(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.broken[name] = 9
    status, output = prefetch(hub, tmp_path)
    assert status == 7 and last(output).startswith(f"error: {name} was downloaded twice")
    assert len([asked for asked in hub.log if asked.name == name]) == 2
    assert name not in snapshot(tmp_path) and not (folder(tmp_path) / "refs/main").exists()


def test_what_the_engine_downloaded_itself_is_verified(hub: Hub, tmp_path: Path) -> None:
    """On a volume from before: the right file stays, the wrong one is replaced."""
    root, blobs = folder(tmp_path) / "snapshots" / COMMIT, folder(tmp_path) / "blobs"
    root.mkdir(parents=True)
    blobs.mkdir()
    right, wrong = SHARDS
    for name, content in ((right, SHARDS[right]), (wrong, b"x" * len(SHARDS[wrong]))):
        (blobs / sha256(SHARDS[name])).write_bytes(content)
        (root / name).symlink_to(f"../../blobs/{sha256(SHARDS[name])}")
    litter = blobs / f"{'0' * 64}.1a2b3c4d.incomplete"
    litter.write_bytes(b"x")
    os.utime(litter, (0, 0))
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and f"{wrong} has a wrong checksum" in output
    assert right not in hub.names() and wrong in hub.names() and not litter.exists()
    assert snapshot(tmp_path) == SMALL | SHARDS


def test_two_names_of_one_content_are_one_download(hub: Hub, tmp_path: Path) -> None:
    name = next(iter(SHARDS))
    hub.repositories[REPOSITORY][f"sub/{name}"] = SHARDS[name]
    hub.rate = 6_000_000
    status, output = prefetch(hub, tmp_path)
    assert status == 0 and hub.sent(name) + hub.sent(f"sub/{name}") == len(SHARDS[name]), output
    assert snapshot(tmp_path) == SMALL | SHARDS | {f"sub/{name}": SHARDS[name]}


def test_two_at_once_are_one_download(hub: Hub, tmp_path: Path) -> None:
    hub.rate = 3_000_000
    command = [sys.executable, str(SCRIPT), REPOSITORY]
    both = [subprocess.Popen(command, env=environment(hub, tmp_path), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = sorted((process.communicate()[0] for process in both), key=len)
    assert [process.returncode for process in both] == [0, 0]
    assert "waiting for it" in outputs[0] and "nothing to do" in outputs[0]
    assert hub.sent() == sum(map(len, (SMALL | SHARDS).values()))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "is gated and there is no token: accept the licence at {url}/example/small, then set HF_TOKEN in the init container"),
        ("hf_other", "the token's account has not accepted the licence: accept the licence at {url}/example/small"),
        ("hf_bad", "{url} refuses the token (status 401): renew it in the Secret that HF_TOKEN"),
    ],
)
def test_a_gated_model_without_access_fails_with_the_remedy(hub: Hub, tmp_path: Path, token: str, words: str) -> None:
    hub.gated = True
    status, output = prefetch(hub, tmp_path, **({"HF_TOKEN": token} if token else {}))
    assert status == 3 and words.format(url=hub.url) in last(output)


def test_a_token_goes_to_the_hub_and_not_to_its_cdn(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    status, output = prefetch(hub, tmp_path, HF_TOKEN="hf_good")
    assert status == 0, output
    assert {asked.token for asked in hub.log if asked.name == "config.json"} == {True}
    assert {asked.token for asked in hub.log if asked.name in SHARDS} == {False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["example/none"], "/example/none does not exist, or is private and needs a token"),
        ([REPOSITORY, "--revision", "v9"], "has no revision v9"),
        ([REPOSITORY, "--ignore", "*"], "has no weights that match --allow and --ignore"),
        ([REPOSITORY, "--allow", "*.npz"], "has no weights that match --allow and --ignore"),
    ],
)
def test_a_missing_repository_revision_or_weights_fails(hub: Hub, tmp_path: Path, arguments: list[str], words: str) -> None:
    status, output = prefetch(hub, tmp_path, *arguments)
    assert status == 4 and words in last(output)


def test_an_unknown_argument_fails(hub: Hub, tmp_path: Path) -> None:
    assert prefetch(hub, tmp_path, REPOSITORY, "--revison", "main")[0] == 2


def test_a_hub_that_is_down_is_asked_again_for_a_while(hub: Hub, tmp_path: Path) -> None:
    hub.down = True
    status, output = prefetch(hub, tmp_path)
    assert status == 5 and "retrying in 2 s" in output and len(hub.requests) > 1
    assert last(output).startswith(f"error: asking {hub.url}: ") and "networkPolicy.weightsTo" in last(output)


def test_a_refused_connection_fails_with_the_address(hub: Hub, tmp_path: Path) -> None:
    status, output = prefetch(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:1")
    assert status == 5 and "Connection refused" in output and last(output).startswith("error: asking http://127.0.0.1:1")


def test_offline_it_accepts_the_files_on_the_volume(hub: Hub, tmp_path: Path) -> None:
    status, output = prefetch(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert status == 8 and "has no weights: fill the volume" in last(output)
    prefetch(hub, tmp_path)
    hub.forget()
    status, output = prefetch(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert status == 0 and "was downloaded and verified before" in output
    # A volume that was filled by hand has no marker.
    (folder(tmp_path) / "prefetch.json").unlink()
    status, output = prefetch(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert status == 0 and "2 weight files, whose checksums are unknown" in output
    (folder(tmp_path) / "snapshots" / COMMIT / "model-00002-of-00002.safetensors").unlink()
    status, output = prefetch(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert status == 8 and "lacks model-00002-of-00002.safetensors" in last(output)
    assert hub.requests == []


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "volume"
    target.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(target)], capture_output=True).returncode:
        pytest.skip("a small volume needs the right to mount")
    yield target
    subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_volume_that_is_too_small_fails_before_the_download(hub: Hub, small_volume: Path) -> None:
    status, output = prefetch(hub, small_volume)
    assert status == 6 and "6.0" not in last(output) and "0.01 GB are still to be downloaded, but the volume has 0.00 GB free" in last(output)
    assert hub.log == []


def test_a_volume_that_fills_up_during_the_download_fails(hub: Hub, small_volume: Path) -> None:
    hub.repositories[REPOSITORY] = {"config.json": b"{}", "model.safetensors": random.randbytes(3_000_000)}
    hub.rate = 1_000_000
    process = subprocess.Popen([sys.executable, str(SCRIPT), REPOSITORY], env=environment(hub, small_volume), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not hub.log and time.monotonic() < deadline:
        time.sleep(0.05)
    (small_volume / "theirs").write_bytes(b"x" * 2_000_000)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 6 and last(output).startswith("error: the volume is full")


def test_progress_has_amount_speed_and_time_left(script: ModuleType) -> None:
    assert script.progress(13 * 10**9, 65 * 10**9, 13 * 10**9, 130) == " 20 %  13.00 of 65.00 GB, 100.0 MB/s, 8 min 40 s left"
    assert script.progress(65 * 10**9 - 1, 65 * 10**9, 0, 1) == " 99 %  65.00 of 65.00 GB, 0.0 MB/s"
    assert script.duration(7325) == "2 h 2 min"
