"""A Hub on the loopback interface with one dataset, or one of the ways a Hub fails. Holds no test.

Run as a program it starts the server, loads the dataset through the source and prints one line of JSON:

    python hub_double.py MODE CACHE [OPTIONS AS JSON]

MODE: serve, refused, hang, captive, or an HTTP status with the Hub's error code, such as 404:RepoNotFound. "serve,refused"
loads twice, the second time without the Hub. CACHE: folder of the libraries' caches.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "owner/corpus"
README = (
    "---\nconfigs:\n"
    "- config_name: small\n  default: true\n  data_files:\n"
    "  - {split: train, path: small/train.jsonl}\n  - {split: validation, path: small/validation.jsonl}\n"
    "- config_name: other\n  data_files:\n  - {split: train, path: other/train.jsonl}\n---\n"
)
ROWS = {"small/train": ["one", "", "two"], "small/validation": ["three"], "other/train": ["four"]}
FILES = {"README.md": README.encode()} | {
    f"{name}.jsonl": "".join(json.dumps({"text": text, "number": 1}) + "\n" for text in rows).encode() for name, rows in ROWS.items()
}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, as far as `datasets` asks."""

    mode = "serve"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.mode == "hang":
            time.sleep(60)
        if self.mode == "captive":
            return self._send(200, b"<html>log in to the network</html>")
        if self.mode != "serve" and path != "/":
            status, _, code = self.mode.partition(":")
            return self._send(int(status), b"{}", {"X-Error-Code": code} if code else {})
        return self._serve(path)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names http.server looks for

    def _serve(self, path: str) -> None:
        resolve, api = f"/datasets/{NAME}/resolve/", f"/api/datasets/{NAME}"
        if path.startswith(resolve):
            revision, _, name = path.removeprefix(resolve).partition("/")
            if revision not in ("main", COMMIT):
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            if name not in FILES:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_blob(FILES[name])}"'}
            return self._send(200, FILES[name], headers)
        if path.startswith(f"{api}/tree/"):
            folder = path.removeprefix(f"{api}/tree/").partition("/")[2]
            return self._send_json([_entry(name) for name in FILES if name.startswith(folder)])
        if path.startswith(f"{api}/paths-info/"):
            length = int(self.headers.get("Content-Length", 0))
            asked = json.loads(self.rfile.read(length)).get("paths", [])
            return self._send_json([_entry(name) for name in FILES if name in asked])
        if path.startswith(api):
            siblings = [{"rfilename": name} for name in FILES]
            return self._send_json({"id": NAME, "sha": COMMIT, "private": False, "gated": False, "tags": [], "siblings": siblings})
        return self._send(200 if path == "/" else 404, b"{}", {} if path == "/" else {"X-Error-Code": "RepoNotFound"})

    def _send_json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if os.environ.get("HUB_DOUBLE_LOG"):
            print(self.command, self.path, status, file=sys.stderr)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _blob(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _entry(name: str) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(FILES[name]), "oid": _blob(FILES[name])}


def main(modes: str, cache: str, options: str = "{}") -> None:
    """Start the server, load once for each mode, print what came of it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ.update(HF_HOME=cache, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HUB_DISABLE_XET="1")
    from specrun.errors import DataError
    from specrun.sources.contract import SourceRequest, load_text
    from specrun.sources.huggingface import reach
    from specrun.sources.huggingface.options import Options

    reach.PROBE_SECONDS = 1.0
    given = {"kind": "huggingface", "path": NAME, **json.loads(options)}
    column = given.pop("column", "text")
    for mode in modes.split(","):
        if mode == "refused":
            server.shutdown()
            server.server_close()
        Hub.mode = mode
        started = time.monotonic()
        try:
            loaded = load_text(Options(**given), SourceRequest(Path(cache), lambda _: None, column))
            outcome: dict[str, Any] = {
                "splits": {name: list(split) for name, split in loaded.splits.items()},
                "facts": dict(loaded.facts),
                "variant": loaded.variant,
            }
        except DataError as error:
            outcome = {"error": type(error).__name__, "code": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps(outcome | {"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
