"""The streams a command speaks on: made safe at entry, and the answer of an apply, whose exit code must survive a closed one."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from specrun.errors import SpecrunError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Unheard(io.FileIO):
    """A file that nobody has to read: what can no longer be written there is let go, for good."""

    def write(self, data: ReadableBuffer, /) -> Any:
        """Write, or turn to the null device when that fails: the reader has gone, or the disk is full."""
        try:
            return super().write(data)
        except OSError:
            _silence(self.fileno())
            return memoryview(data).nbytes


def open_streams() -> None:
    """Put the null device in the place of closed standard streams, and let standard error fail unseen.

    A descriptor below 3 that stays closed would be taken by the next file that is opened, and be written to as a stream.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Not closed here: they live as long as the process, as the streams that they replace.
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows an escape for a letter it lacks; it ends no command.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr.flush()
    raw = Unheard(sys.stderr.fileno(), "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=sys.stderr.encoding, errors=sys.stderr.errors, line_buffering=True
    )  # fmt: skip


def answer(text: str, *, exit_code: int) -> int:
    """Print what an apply has to say; returns the exit code, which a reader who has gone does not change.

    Raises SpecrunError where the answer could not be written and nothing else has failed.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        close_output()
    except OSError as error:
        close_output()
        if exit_code == 0:
            raise SpecrunError(f"standard output: {error.strerror}; the run itself is complete", code="output-not-written",
                               hint="apply again prints it; nothing is run twice") from error  # fmt: skip
    return exit_code


def close_output() -> None:
    """Let nothing more be written where no one reads: the reader of our output has gone, which is no failure."""
    with contextlib.suppress(OSError, ValueError):
        _silence(sys.stdout.fileno())


def _silence(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
