"""The streams a command speaks on. Neither can end a command: what cannot be written is let go, and remembered for the exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from specrun.errors import SpecrunError


class Stream(io.FileIO):
    """A file that may stop listening: once a write has failed, what follows goes to the null device.

    failure: of the first write that failed, else None. spoken: whether anything was written.
    """

    failure: OSError | None = None
    spoken = False

    def write(self, data: ReadableBuffer, /) -> Any:
        """Write, or let go what cannot be written: the reader has gone, or the disk is full."""
        self.spoken = True
        try:
            return super().write(data)
        except OSError as error:
            self.failure = self.failure or error
            _silence(self.fileno())
            return memoryview(data).nbytes


def open_streams() -> None:
    """Put the null device in the place of closed standard streams, and let output and standard error fail unseen.

    A descriptor below 3 that stays closed would be taken by the next file that is opened, and be written to as a stream.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Not closed here: they live as long as the process, as the streams that they replace.
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    # A terminal of another encoding shows an escape for a letter it lacks; it ends no command.
    sys.stdout = _opened(sys.stdout, errors="backslashreplace")
    sys.stderr = _opened(sys.stderr, errors=None)


def _opened(stream: Any, *, errors: str | None) -> Any:
    """The stream over a file that cannot fail; a stream that is no file (a notebook's, a test's) stays what it is."""
    if stream is None:
        return open(os.devnull, "w")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = Stream(stream.fileno(), "w", closefd=False)
    by_line = errors is None or stream.line_buffering or stream.write_through
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=errors or stream.errors, line_buffering=by_line)


def columns_of(stream: Any, *, at_most: int) -> int:
    """Columns of the terminal that a stream goes to, so many at most; as many where it goes to none."""
    try:
        return min(at_most, os.get_terminal_size(stream.fileno()).columns or at_most)
    except (OSError, ValueError):
        return at_most


def has_listener() -> bool:
    """Whether someone may still read standard output; where not, what is written piece by piece need not go on."""
    stream = _under(sys.stdout)
    return stream is None or stream.failure is None


def has_answered() -> bool:
    """Whether anything was printed on standard output, so that no second document may follow. False where it cannot be known."""
    stream = _under(sys.stdout)
    _flush()
    return stream is not None and stream.spoken


def unwritten() -> SpecrunError | None:
    """What kept the answer from being written whole. A reader who has gone is no failure: it may have seen enough."""
    from specrun.errors import SpecrunError

    error = _flush()
    stream = _under(sys.stdout)
    error = stream.failure if stream is not None else error
    if error is None or isinstance(error, BrokenPipeError):
        return None
    return SpecrunError(f"standard output: {error.strerror}; the command itself is complete", code="output-not-written",
                        hint="give it a place with room and run it again; apply runs nothing twice")  # fmt: skip


def _flush() -> OSError | None:
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:  # closed
        return None
    return None


def _under(stream: Any) -> Stream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Stream) else None


def _silence(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
