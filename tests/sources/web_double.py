"""A server on the loopback interface that gives one file, or fails in one of the ways servers fail. Holds no test.

Run as a program it starts the server, loads the file through a source once for each mode, and prints one line of JSON for each:

    python web_double.py MODES FOLDER [OPTIONS AS JSON]

MODES, with commas between them: serve; changed (another content); cut (half of it, and the rest where it is asked for); cut-always;
no-range (half of it at first, and no rest); page; busy (503 at first, then serves); moved (a redirection); down (no server at all);
or an HTTP status. With a ! after it what was fetched before is forgotten first.
"""

from __future__ import annotations

import http.server
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

CONTENT = b"a,text\n" + b"".join(b"%d,row %d\n" % (row, row) for row in range(2000))
CHANGED = b"a,text\n1,changed\n"


class Web(http.server.BaseHTTPRequestHandler):
    """Answers as its mode says. asked: every request with its range."""

    mode = "serve"
    asked: list[str | None] = []  # noqa: RUF012 - one server, one list

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        begin = self.headers.get("Range")
        self.asked.append(begin)
        again = len(self.asked) > 1
        if self.mode.isdecimal() or (self.mode == "busy" and not again):
            return self._send(int(self.mode) if self.mode.isdecimal() else 503, b"")
        if self.mode == "moved" and self.path != "/new.csv":
            return self._send(302, b"", Location="/new.csv")
        if self.mode == "page":
            return self._send(200, b"<html>log in</html>", content_type="text/html")
        content = CHANGED if self.mode == "changed" else CONTENT
        tag = f'"{len(content)}"'
        if self.headers.get("If-None-Match") == tag:
            return self._send(304, b"", ETag=tag)
        if begin is not None and self.mode != "no-range":
            start = int(begin.removeprefix("bytes=").partition("-")[0])
            return self._send(206, content[start:], cut=self.mode == "cut-always", ETag=tag)
        cut = self.mode == "cut-always" or (self.mode in ("cut", "no-range") and not again)
        return self._send(200, content, cut=cut, ETag=tag)

    def _send(self, status: int, body: bytes, *, cut: bool = False, content_type: str = "text/csv", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": content_type, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True


def main(modes: str, folder: str, options: str = "{}") -> None:
    """Start the server, load once for each mode, print what came of it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from specrun.errors import DataError
    from specrun.sources import download
    from specrun.sources.contract import SourceRequest, load_text
    from specrun.sources.csv.options import Options

    download.PAUSES_SECONDS = (0.0, 0.0)
    address = f"http://127.0.0.1:{server.server_port}/data.csv?token=x"
    for given in modes.split(","):
        mode = given
        if mode.endswith("!"):
            shutil.rmtree(Path(folder, "downloads"), ignore_errors=True)
        mode = mode.removesuffix("!")
        if mode == "down":
            server.shutdown()
            server.server_close()
        Web.mode = mode
        Web.asked.clear()
        try:
            request = SourceRequest(Path(folder), lambda _: None, downloads=Path(folder, "downloads"))
            loaded = load_text(Options(kind="csv", path=address, **json.loads(options)), request)
            rows = list(loaded.splits["whole"])
            outcome: dict[str, Any] = {"rows": len(rows), "last": rows[-1], "facts": dict(loaded.facts), "variant": loaded.variant,
                                       "warnings": [code for code, _ in loaded.warnings]}  # fmt: skip
        except DataError as error:
            outcome = {"error": type(error).__name__, "code": error.code, "message": error.message, "hint": error.hint}
        left = sorted(path.name for path in Path(folder).rglob("*.part"))
        print(json.dumps(outcome | {"asked": Web.asked, "left": left}))


if __name__ == "__main__":
    main(*sys.argv[1:])
