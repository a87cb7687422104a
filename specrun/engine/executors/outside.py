"""Owns what the processes of a step make of signals that reach them past the one that started them, as where a scheduler signals every
process of a job. The run is asked to end by its parent alone, through the pipe; a scheduler asks the parent too.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
LEFT_TO_TORCHRUN = "SIGHUP,SIGQUIT"
"""What torchrun may handle: it would end all workers by any other."""
_PARENT_SECONDS = 2.0
"""So long before or after SIGTERM the parent passes one on that was sent to all. Otherwise it is torchrun's, as a worker was lost."""


def leave_to_parent() -> None:
    """Ignore what asks to end, in torchrun's own process. Its workers, which inherit it otherwise, begin as processes do."""
    for number in (*_ASKING, signal.SIGHUP):  # that one until torchrun takes it over, which it does with its first workers
        signal.signal(number, _ignore)


class Asked:
    """Whether the parent has asked to end, and when. `note` is called as it does."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._noted = threading.Condition()
        self._at = -float("inf")

    def note(self, number: int) -> None:
        """The parent has passed on a signal."""
        with self._noted:
            self.number = self.number or number
            self._at = time.monotonic()
            self._noted.notify_all()

    def about_now(self) -> bool:
        """Whether the parent asks within moments, or has just done so. Waits for it where it has not."""
        begun = time.monotonic()
        with self._noted:
            return self._noted.wait_for(lambda: self._at >= begun - _PARENT_SECONDS, _PARENT_SECONDS)


def heed_parent_alone(asked: Asked) -> None:
    """Ignore what asks to end, in a worker, but SIGTERM where the parent does not ask too: then end at once, whatever is under way. To be
    called in the main thread."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in _ASKING:
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)  # calls of libraries go on
    # A handler would wait for the end of a call such as a collective that another worker never joins.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        while numbers := os.read(reading, 64):
            if signal.SIGTERM in numbers and not asked.about_now():
                os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="specrun-outside", daemon=True).start()


def _ignore(*_: object) -> None:
    """A handler, as what is ignored by the system would be ignored by processes that this one starts too."""
