"""Signals that ask a run to end. The first is noted, for training to finish its step and save; the second stops at once.

Where no one polls (a data step), the first already stops: there is nothing to save that is not saved by renames. SIGTERM and SIGUSR1
announce a SIGKILL, so that the wait for the end of a step has an end of its own, the grace; of Ctrl-C, a person decides.

Python calls a handler between two of its own instructions, which is seconds away in the middle of a long step. A thread is told
of signals as they arrive, by `signal.set_wakeup_fd`: it answers at once, and counts those that a handler would take for one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_SAME_SECONDS = 0.25
"""Signals so close are one: `timeout` and many a wrapper send theirs to the process and again to its group."""

_ANSWER_SECONDS = 0.05
_ANNOUNCING = (signal.SIGTERM, signal.SIGUSR1)
_HUNG_SECONDS = 5.0
"""After the grace, Python's own code has so long to end; a call that does not return is left by ending the process."""


class StopNow(BaseException):
    """Raised in the main thread where a signal is not, or no longer, waited for. Derives from BaseException as KeyboardInterrupt does.

    late: no step came to its end within the grace.
    """

    def __init__(self, number: int, *, late: bool = False) -> None:
        super().__init__(f"signal {number}")
        self.number = number
        self.late = late


class StopSignals:
    """Listens while it is entered. `requested()` is the number of the first signal, or None.

    on_request: called once, in another thread, as the first signal arrives where it is waited for. grace_seconds: from a signal that
    announces a SIGKILL to the end at once, where `requested` has not told of it by then. end_process: ends it without Python's help.
    """

    def __init__(
        self,
        *,
        on_request: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        grace_seconds: float | None = None,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self._on_request = on_request
        self._grace_seconds, self._end_process = grace_seconds, end_process
        self._heeded, self._left = threading.Event(), threading.Event()
        self._late = False
        self._number: int | None = None
        self._polite = False
        self._arrivals = _Arrivals(clock)

    def requested(self) -> int | None:
        """Number of the signal that asked the run to end, or None. Raises StopNow where a second one came meanwhile."""
        number = self.pending()
        if number is not None:
            self._heeded.set()
        return number

    def pending(self) -> int | None:
        """As `requested`, for whoever passes it on to another process: until `requested` is asked, no step has come to its end."""
        if self._number is not None and self._arrivals.count > 1:
            raise StopNow(self._number)
        return self._number

    @contextmanager
    def listening(self) -> Iterator[StopSignals]:
        """Take the signals over, and hand them back at the end. Does nothing outside the main thread, where Python forbids it."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        with self._told_at_once():
            before = {number: signal.signal(number, self._handle) for number in _ASKING}
            try:
                yield self
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    @contextmanager
    def polite(self) -> Iterator[None]:
        """Inside, the first signal is only noted: the code polls `requested()` and saves before it ends."""
        self._left.clear()
        self._polite = True
        try:
            yield
        finally:
            self._polite = False
            self._left.set()

    @contextmanager
    def _told_at_once(self) -> Iterator[None]:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        watcher = threading.Thread(target=self._watch, args=(reading,), name="specrun-signals", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(writing)
            watcher.join()
            os.close(reading)

    def _watch(self, reading: int) -> None:
        """Answer signals until the other end is closed."""
        while numbers := os.read(reading, 64):
            for number in numbers:
                self._watch_one(number)

    def _watch_one(self, number: int) -> None:
        if number in _ASKING and self._polite and self._arrivals.add() == 1:
            self._on_request(number)
            if number in _ANNOUNCING and self._grace_seconds is not None:
                threading.Thread(target=self._watch_grace, args=(number,), name="specrun-grace", daemon=True).start()

    def _watch_grace(self, number: int) -> None:
        """End what has not come to the end of its step when the grace is over."""
        if self._heeded.wait(self._grace_seconds) or self._left.is_set():
            return
        self._late = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # its handler raises, and ends a wait that it is in
        if not self._left.wait(_HUNG_SECONDS) and not self._heeded.is_set():
            self._end_process(128 + number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._late and self._polite:
            raise StopNow(number, late=True)
        if self._polite and self._number is not None:
            time.sleep(_ANSWER_SECONDS)  # the thread knows, in a moment, whether this is a second one
        if not self._polite or self._arrivals.count > 1:
            raise StopNow(number)
        self._number = self._number or number


class _Arrivals:
    """How many signals have arrived; those that follow another one at once are no more than it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_at: float | None = None
        self.count = 0

    def add(self) -> int | None:
        """Count one more; returns which it is, None for the echo of the one before."""
        now = self._clock()
        if self._last_at is not None and now - self._last_at < _SAME_SECONDS:
            return None
        self._last_at = now
        self.count += 1
        return self.count
