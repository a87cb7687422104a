"""What the workers of a step tell the process that started them: one JSON document a line, through the pipe they all inherit.

Through the pipe that they inherit as standard input they are told of signals, of which each reads one byte; and it ends with the
process at its other end.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun import events
from specrun.events import Event
from specrun.records.atomic import storage_failure

_STDIN, _STDOUT, _STDERR = 0, 1, 2
ORPHANED = 3
"""Exit code of a worker whose parent has gone."""


class Wire:
    """The worker's end. Whatever else the process prints goes to standard error, or to a file of its own."""

    def __init__(self) -> None:
        self._out = os.dup(_STDOUT)
        sys.stdout.flush()
        os.dup2(_STDERR, _STDOUT)
        self._lock = threading.Lock()

    def print_to(self, log: Path) -> None:
        """Have what the process prints go to a file from here on. Raises: StoreError for one that cannot be written."""
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with log.open("ab") as file:
                os.dup2(file.fileno(), _STDOUT)
                os.dup2(file.fileno(), _STDERR)
        except OSError as error:
            raise storage_failure(log, error) from error

    def send(self, **document: Any) -> None:
        """Tell one thing. What a worker that was killed had half told ends with the line before it."""
        line = f"\n{json.dumps(document)}\n".encode()
        with self._lock:
            while line:
                line = line[os.write(self._out, line) :]

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        self.send(event={"type": type(event).__name__, **asdict(event)})


def as_event(document: Mapping[str, Any]) -> Event:
    """What `Wire.emit` passed on."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items() if name != "type"}
    event: Event = getattr(events, document["type"])(**fields)
    return event


def listen_to_parent(on_signal: Callable[[int], None]) -> None:
    """End this process at once when the one that started it and its like has ended, or says so by closing the pipe, as torchrun does then.
    on_signal: called once, in another thread, with the number of a signal that was passed on."""

    def watch() -> None:
        if number := os.read(_STDIN, 1):
            on_signal(number[0])
            closed = select.poll()
            closed.register(_STDIN, 0)  # not read any more: the other bytes are for the others
            closed.poll()
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="specrun-parent", daemon=True).start()


class Lines:
    """The other end: whole documents out of pieces of the pipe."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The documents that end in a piece. A line that is none was cut off."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                document = json.loads(line) if line else None
            except ValueError:
                continue
            if isinstance(document, dict):
                yield document
