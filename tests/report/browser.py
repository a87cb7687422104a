"""A headless Chromium driven over two pipes: no socket, no driver, no network. Imported by tests, holds none."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9", "--remote-debugging-pipe",
)  # fmt: skip
"""The proxy does not exist: a request that left would fail, and be seen."""


def executable() -> str | None:
    """Path of a Chromium, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab. events: everything the browser said so far that was no answer."""

    def __init__(self, write: int, read: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._write, self._read, self._buffer, self._number, self._session = write, read, b"", 0, ""

    def new_tab(self) -> None:
        """Leave the tab for a fresh one, of which nothing has been heard yet."""
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.events.clear()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, page: Path, *, width: int = 1280, height: int = 2400, dark: bool = False) -> None:
        """Load a file and wait until it has loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Save what the tab shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    @property
    def problems(self) -> list[str]:
        """Errors and warnings of the console, refusals of the page's policy, exceptions."""
        found = []
        for event in self.events:
            method, given = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(str(given["exceptionDetails"]))
            elif method == "Log.entryAdded":
                found.append(given["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
                found.append(str(given["args"]))
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for, but for data within it; those that its policy stopped before they left are not among them."""
        given = [(event["method"], event["params"]) for event in self.events if event.get("method", "").startswith("Network.")]
        stopped = {
            about["requestId"] for method, about in given if method == "Network.loadingFailed" and about.get("blockedReason") == "csp"
        }
        sent = [about for method, about in given if method == "Network.requestWillBeSent" and about["requestId"] not in stopped]
        return [url for about in sent if not (url := about["request"]["url"]).startswith("data:")]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            found = os.read(self._read, 1 << 20)
            assert found, "the browser has gone"
            self._buffer += found
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, ended at the end."""
    found = executable()
    assert found is not None
    to_browser, from_browser = os.pipe(), os.pipe()

    # The protocol wants commands on descriptor 3 and answers on 4, whatever numbers the pipes have.
    taken, given = (fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (to_browser[0], from_browser[1]))
    actions = [
        (os.POSIX_SPAWN_DUP2, taken, 3), (os.POSIX_SPAWN_DUP2, given, 4),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = os.posix_spawn(found, [found, *OPTIONS, f"--user-data-dir={profile}", "about:blank"], os.environ, file_actions=actions)
        for descriptor in (taken, given, to_browser[0], from_browser[1]):
            os.close(descriptor)
        try:
            yield Browser(to_browser[1], from_browser[0])
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(to_browser[1])
            os.close(from_browser[0])
