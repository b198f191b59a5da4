"""Download and verify a model's weights into the Hugging Face cache before an engine starts (docs/operate/weights.md).

    python3 prefetch.py openai/gpt-oss-120b --revision main --ignore 'original/*'

Reads HF_HOME (/data), HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE as vLLM does. An interrupted run can be repeated: a file is written as
blobs/<checksum>.part, which the next run resumes, and is renamed once its size and checksum are right.
Exits with 0, or with one line that says what to do, and: 2 arguments, 3 no access, 4 not found, 5 no network, 6 disk full, 7 wrong
content, 8 offline and incomplete.
"""

import argparse
import concurrent.futures
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

os.environ.setdefault("HF_HOME", "/data")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    build_hf_headers,
    logging,
)

ACCESS, MISSING, NETWORK, DISK, CORRUPT, OFFLINE = range(3, 9)
# vLLM 0.32 takes the first format that a repository has, and of Mistral's two copies the consolidated one.
FORMATS = ["consolidated*.safetensors", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf"]
# Copies that vLLM does not load.
NEVER = [
    *("original/*", "metal/*", "onnx/*", "openvino/*", "coreml/*"),
    *("*.onnx", "*.onnx_data", "*.h5", "*.msgpack", "*.tflite", "*.ckpt", "*.ot"),
]
# The Hugging Face Hub serves larger files only over Xet.
LARGEST_OVER_HTTP = 50 * 10**9
CONNECTIONS = 8
GB = 10**9


class Fail(Exception):
    """An error that ends the run: one sentence, and the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class File:
    """A file of the repository. ``digest``: sha256 of a large file, git's checksum of a small one, or empty if the hub sends none."""

    name: str
    size: int
    digest: str
    large: bool

    def is_right(self, path: Path) -> bool:
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if not self.digest:
            return True
        found = hashlib.sha256() if len(self.digest) == 64 else hashlib.sha1(b"blob %d\0" % self.size)
        with path.open("rb") as stream:
            while chunk := stream.read(8 << 20):
                found.update(chunk)
        return found.hexdigest() == self.digest


def say(text: str) -> None:
    print(text, flush=True)


def matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern + "*" if pattern.endswith("/") else pattern) for pattern in patterns)


def choose(names: list[str], allow: list[str], ignore: list[str]) -> list[str]:
    """Return the files to download: the weights in one format, or those that `allow` matches, and every other file that is not ignored."""
    names = [name for name in names if not matches(name, ignore)]
    weights = [name for name in names if matches(name, FORMATS + NEVER)]
    if allow:
        chosen = [name for name in weights if matches(name, allow)]
    else:
        weights_of = [[name for name in weights if matches(name, [form]) and not matches(name, NEVER)] for form in FORMATS]
        chosen = next((found for found in weights_of if any("/" not in name for name in found)), [])
    return chosen and [name for name in names if name in chosen or name not in weights]


class Prefetch:
    def __init__(self, options: argparse.Namespace) -> None:
        self.repository, self.revision = options.repository, options.revision
        self.allow, self.ignore, self.patience = sorted(options.allow), sorted(options.ignore), options.patience
        self.endpoint = constants.ENDPOINT
        self.folder = Path(constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"
        self.blobs = self.folder / "blobs"
        self.marker = self.folder / "prefetch.json"
        self.trusted: dict[str, list] = {}  # verified files, as in the marker: name to size and checksum
        self.lock = threading.Lock()
        self.busy: dict[str, threading.Lock] = {}
        self.commit = ""

    def run(self) -> None:
        self.blobs.mkdir(parents=True, exist_ok=True)
        with self.alone():
            if self.is_there():
                return say(f"{self.repository} {self.revision} ({self.commit[:12]}) was downloaded and verified before: nothing to do")
            files = self.list_files()
            self.clear_litter()
            # Files that an earlier run verified are not read again.
            missing = [file for file in files if not self.is_verified(file)]
            self.check_room(missing)
            self.fetch_all(files, missing)
            # The reference is written last, so that no engine uses an incomplete snapshot.
            if self.revision != self.commit:
                self.write(self.folder / "refs" / self.revision, self.commit)
            self.note(complete=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the volume's lock: of several engines that share it, one downloads and the others wait."""
        with (self.folder / ".prefetch.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another pod is downloading to this volume: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                say(f"this volume does not support locks ({error}): continuing without")
            yield

    # Without the network

    def path(self, name: str) -> Path:
        return self.folder / "snapshots" / self.commit / name

    def is_there(self) -> bool:
        """Return whether the marker is complete for this revision and these patterns, and each of its files has its size."""
        with suppress(OSError, ValueError, KeyError):
            marker = json.loads(self.marker.read_text())
            self.commit, self.trusted = marker["commit"], marker["files"]
            same = [marker[key] for key in ("revision", "allow", "ignore")] == [self.revision, self.allow, self.ignore]
            gone = [name for name, (size, _) in self.trusted.items() if not self.has_size(name, size)]
            if same and marker["complete"] and not gone:
                return True
            if gone:
                say(f"{gone[0]} is missing or has another size than when it was verified")
        return False

    def has_size(self, name: str, size: int) -> bool:
        path = self.path(name)
        return path.is_file() and path.stat().st_size == size

    def is_verified(self, file: File) -> bool:
        return self.trusted.get(file.name) == [file.size, file.digest] and self.has_size(file.name, file.size)

    def note(self, complete: bool = False) -> None:
        known = {"repository": self.repository, "revision": self.revision, "commit": self.commit, "allow": self.allow, "ignore": self.ignore}
        self.write(self.marker, json.dumps({**known, "complete": complete, "files": self.trusted}, indent=1))

    def write(self, path: Path, text: str) -> None:
        """Write the file completely or not at all, even if the node loses power."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)

    def check_offline(self) -> None:
        """Check the volume without the network: by the marker, or else that config.json and every weight file of an index exist."""
        if self.is_there():
            return say(f"offline: {self.repository} {self.revision} ({self.commit[:12]}) was downloaded and verified before")
        reference = self.folder / "refs" / self.revision
        self.commit = reference.read_text().strip() if reference.is_file() else self.revision
        root = self.path("")
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        weights = [name for name in choose(names, self.allow, self.ignore) if matches(name, FORMATS)]
        lacking = [] if {"config.json", "params.json"} & set(names) else ["config.json"]
        indices = [json.loads(self.path(name).read_text()) for name in names if name.endswith(".index.json")]
        shards = [set(index.get("weight_map", {}).values()) - set(names) for index in indices]
        if shards and all(shards) and not any(matches(name, FORMATS[:1]) for name in weights):
            lacking += sorted(min(shards, key=len))
        if lacking or not weights:
            what = f"lacks {', '.join(lacking[:3])}" if names and lacking else "has no weights"
            raise Fail(OFFLINE, f"HF_HUB_OFFLINE is set, but {root} {what}: fill the volume (docs/operate/weights.md), or let this pod reach the Hugging Face Hub once")
        say(f"offline: {self.repository} {self.revision} ({self.commit[:12]}) has {len(weights)} weight files, whose checksums are unknown")

    # With the network

    def list_files(self) -> list[File]:
        def ask():
            return HfApi().model_info(self.repository, revision=self.revision, files_metadata=True, timeout=30)

        info = self.patiently(f"asking {self.endpoint}", ask)
        if info.sha != self.commit:
            self.commit, self.trusted = info.sha, {}
        of_name = {item.rfilename: item for item in info.siblings}
        chosen = choose(list(of_name), self.allow, self.ignore)
        if not chosen:
            raise Fail(MISSING, f"{self.repository} has no weights that match --allow and --ignore: it has {', '.join(sorted(of_name)[:12])}")
        self.trusted = {name: known for name, known in self.trusted.items() if name in chosen}
        files = []
        for item in map(of_name.get, chosen):
            digest = (item.lfs.sha256 if item.lfs else item.blob_id) or ""
            if item.size is None:
                raise Fail(NETWORK, f"{self.endpoint} sends no file sizes for {self.repository}: use a mirror of the Hugging Face Hub that does")
            files.append(File(item.rfilename, item.size, digest, bool(item.lfs)))
        if unknown := [file.name for file in files if not file.digest]:
            say(f"{self.endpoint} sends no checksum for {len(unknown)} files: only their size is verified")
        total = sum(file.size for file in files)
        say(f"{self.repository} {self.revision} is {self.commit[:12]}: {len(files)} of {len(of_name)} files, {total / GB:.2f} GB")
        return files

    def clear_litter(self) -> None:
        """Remove partial files of an interrupted download, which huggingface_hub neither resumes nor removes."""
        for path in self.blobs.glob("*.incomplete"):
            if time.time() - path.stat().st_mtime > 600:
                say(f"removing {path.name}, {path.stat().st_size / GB:.2f} GB of a download that cannot be resumed")
                path.unlink(missing_ok=True)

    def have(self, file: File) -> int:
        """Return the bytes of the file on the volume, complete or not."""
        for path in (self.path(file.name), self.blob(file), self.part(file)):
            with suppress(OSError):
                return min(path.stat().st_size, file.size)
        return 0

    def blob(self, file: File) -> Path:
        return self.blobs / (file.digest or "unknown")

    def part(self, file: File) -> Path:
        return self.blob(file).with_suffix(".part")

    def check_room(self, missing: list[File]) -> None:
        need = sum(file.size - self.have(file) for file in missing)
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise Fail(DISK, f"{need / GB:.2f} GB are still to be downloaded, but the volume has {free / GB:.2f} GB free: raise engine.pvcStorage, or delete files on the volume")

    def fetch_all(self, files: list[File], missing: list[File]) -> None:
        start, total = sum(map(self.have, files)), sum(file.size for file in files)
        if start:
            say(f"{start / GB:.2f} GB are already on the volume")
        began, said = time.monotonic(), 0.0
        self.busy = {file.digest: threading.Lock() for file in missing}
        pool = concurrent.futures.ThreadPoolExecutor(CONNECTIONS)
        # Large files first, so that no large file is left for the end.
        waiting = {pool.submit(self.fetch, file) for file in sorted(missing, key=lambda file: -file.size)}
        while waiting:
            done, waiting = concurrent.futures.wait(waiting, timeout=1, return_when=concurrent.futures.FIRST_EXCEPTION)
            for future in done:
                future.result()
            if not waiting or time.monotonic() - said >= 10:
                said = time.monotonic()
                have = sum(map(self.have, files))
                say(f"{progress(have, total, have - start, said - began)}; {len(self.trusted)} of {len(files)} files verified")

    def fetch(self, file: File) -> None:
        """Download and verify the file. Wrong content is deleted and downloaded once more."""
        path = self.path(file.name)
        # Two names of the same content are one download.
        with self.busy[file.digest]:
            for attempt in (1, 2):
                if file.is_right(path) if path.is_file() else self.patiently(file.name, lambda: self.download(file), lambda: self.have(file)):
                    break
                for wrong in (path.resolve(), path, self.blob(file), self.part(file)):
                    wrong.unlink(missing_ok=True)
                if attempt == 2:
                    proxy = f"check the proxy or the mirror at {self.endpoint}"
                    raise Fail(CORRUPT, f"{file.name} was downloaded twice, and twice its checksum was not {file.digest}: {proxy}")
                say(f"{file.name} has a wrong checksum: deleted it, downloading it again")
        with self.lock:
            self.trusted[file.name] = [file.size, file.digest]
            self.note()

    def download(self, file: File) -> bool:
        """Download the file, and return whether its content is right."""
        streamed = file.large and file.size <= LARGEST_OVER_HTTP
        if streamed and not self.stream(file):
            return False
        # Links an existing blob into the snapshot, or downloads it.
        path = hf_hub_download(self.repository, file.name, revision=self.commit)
        return streamed or file.is_right(Path(path))

    def stream(self, file: File) -> bool:
        """Resume blobs/<checksum>.part. huggingface_hub restarts every file, so this keeps the part and only transfers with it."""
        url, part = hf_hub_url(self.repository, file.name, revision=self.commit), self.part(file)
        metadata, headers = get_hf_file_metadata(url), build_hf_headers()
        blob = self.blobs / (metadata.etag or file.digest)
        if blob.exists():
            return file.is_right(blob)
        if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # the token is for the hub, not for its CDN
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        with part.open("ab") as stream:
            http_get(metadata.location, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
            stream.flush()
            os.fsync(stream.fileno())
        if not file.is_right(part):
            return False
        part.replace(blob)
        return True

    def patiently(self, what: str, action: Callable, came: Callable[[], int] = lambda: 0):
        """Repeat the action after network errors, until nothing has been received for `patience` seconds."""
        delay, have, deadline = 2, came(), time.monotonic() + self.patience
        while True:
            try:
                return action()
            except Exception as error:
                reason = self.network_reason(error)
                if (now := came()) > have:
                    delay, have, deadline = 2, now, time.monotonic() + self.patience
                if time.monotonic() + delay > deadline:
                    raise Fail(NETWORK, f"{what}: {reason}. Can this pod reach {self.endpoint} (proxy, networkPolicy.weightsTo, HF_ENDPOINT)?") from None
                say(f"{what}: {reason}; retrying in {delay} s")
                time.sleep(delay)
                delay = min(2 * delay, 60)

    def network_reason(self, error: Exception) -> str:
        """Return the network error as text. Raises Fail, or the error itself, if it is another error."""
        if isinstance(error, Fail):
            raise error
        chain = [item for item in (error, error.__cause__, error.__context__) if item]
        page, token = f"{self.endpoint}/{self.repository}", "HF_TOKEN in the init container's env and hf_token of the engine"
        for item in chain:
            status = getattr(getattr(item, "response", None), "status_code", 0)
            if isinstance(item, GatedRepoError):
                had = "the token's account has not accepted the licence" if os.environ.get("HF_TOKEN") else "there is no token"
                raise Fail(
                    ACCESS, f"{self.repository} is gated and {had}: accept the licence at {page}, then set {token} from a Secret with that account's token"
                )
            if isinstance(item, RevisionNotFoundError):
                raise Fail(MISSING, f"{self.repository} has no revision {self.revision}: see {page}/tree/main, and set engine.modelRevision, for example main")
            if isinstance(item, RepositoryNotFoundError):
                raise Fail(MISSING, f"{page} does not exist, or is private and needs a token: check modelURL, or set {token} from a Secret")
            if status in (401, 403):
                raise Fail(ACCESS, f"{self.endpoint} refuses the token (status {status}): renew it in the Secret that {token} use")
            if status == 404:
                raise Fail(MISSING, f"{self.endpoint} has no {urlsplit(str(item.response.url)).path}")
            if status and status < 500 and status not in (408, 416, 429):
                raise Fail(NETWORK, f"{self.endpoint} answers with status {status}: check whether it is a Hugging Face Hub, and whether a proxy refuses")
            if isinstance(item, OSError) and item.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Fail(DISK, "the volume is full: raise engine.pvcStorage, or delete files on it")
            if isinstance(item, OSError) and item.filename:
                raise Fail(DISK, f"the volume cannot be written: {item}")
        outside = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "ssl", "huggingface_hub"}
        if isinstance(error, (OSError, HfHubHTTPError)) or type(error).__module__.partition(".")[0] in outside:
            cause = error.__cause__ or error
            text = " ".join(str(cause).split()) or type(cause).__name__
            return text if len(text) <= 200 else f"{text[:90]} ... {text[-100:]}"
        raise error


def progress(have: int, total: int, came: int, seconds: float) -> str:
    rate = max(came, 0) / max(seconds, 0.001)
    left = f", {duration((total - have) / rate)} left" if rate > 0 and have < total else ""
    # 100 % means complete.
    share = 100 if have >= total else min(99, have * 100 // total)
    return f"{share:3d} %  {have / GB:.2f} of {total / GB:.2f} GB, {rate / 10**6:.1f} MB/s{left}"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def main() -> int:
    parser = argparse.ArgumentParser(description="Download and verify a model's weights.", allow_abbrev=False)
    parser.add_argument("repository", help="owner/name on the hub")
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    parser.add_argument("--allow", action="append", default=[], metavar="PATTERN", help="download only these weights; small files are always downloaded")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN", help="skip these files, in addition to those that vLLM does not load")
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS", help="how long to retry while nothing is received")
    run = Prefetch(parser.parse_args())
    logging.set_verbosity_error()
    try:
        run.check_offline() if constants.HF_HUB_OFFLINE else run.run()
    except Fail as fail:
        say(f"error: {fail}")
        return fail.status
    except OSError as error:
        say(f"error: the volume cannot be used: {error}")
        return DISK
    return 0


if __name__ == "__main__":
    # Process 1 of a container has no default handler for this signal, so Kubernetes would wait for the grace period.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    # Do not wait for running transfers.
    os._exit(main())
