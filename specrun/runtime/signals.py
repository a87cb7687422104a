"""Signals that ask a run to end. The first is noted, for training to finish its step and save; the second stops at once.

Where no one polls (a data step), the first already stops: there is nothing to save that is not saved by renames.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopNow(BaseException):
    """Raised in the main thread where a signal is not, or no longer, waited for. Derives from BaseException as KeyboardInterrupt does."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class StopSignals:
    """Listens while it is entered. `requested()` is the number of the first signal, or None."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._polite = False

    def requested(self) -> int | None:
        """Number of the signal that asked the run to end, or None."""
        return self._number

    @contextmanager
    def listening(self) -> Iterator[StopSignals]:
        """Take the signals over, and hand them back at the end. Does nothing outside the main thread, where Python forbids it."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in _ASKING}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def polite(self) -> Iterator[None]:
        """Inside, the first signal is only noted: the code polls `requested()` and saves before it ends."""
        self._polite = True
        try:
            yield
        finally:
            self._polite = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._polite and self._number is None:
            self._number = number
            return
        raise StopNow(number)
