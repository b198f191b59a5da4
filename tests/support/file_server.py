"""An HTTP server on loopback for the files of a folder, as a release server or a package index has them."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves files and parts of them, and records the requested ranges."""

    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if wanted := self.headers.get("Range"):
            self.ranges.append(wanted)
            rest = Path(self.translate_path(self.path)).read_bytes()[int(wanted[6:-1]) :]
            self.send_response(206)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the folder and yield the server's address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder)) as httpd:
        # By default the server takes up to half a second to stop.
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
