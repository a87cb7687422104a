"""Owns what is told of a process of several that ended without a word of its own: torchrun's log has how."""

from __future__ import annotations

import re
import signal
from pathlib import Path

_FAILED = re.compile(rb"failed \(exitcode: (-?\d+)\) local_rank: (\d+) ")
"""What torchrun logs of the first process that it found to have ended so."""


class Deaths:
    """Reads torchrun's log as it grows, from where it ends now. first_rank: of the workers of this machine. port_in_use: whether it told
    that it cannot listen where the machines are to meet, as far as it was read."""

    def __init__(self, log: Path, *, first_rank: int = 0) -> None:
        self._log, self._first_rank = log, first_rank
        self.port_in_use = False
        self._read = log.stat().st_size if log.exists() else 0

    def newest(self) -> tuple[str, int] | None:
        """How the newest process ended that torchrun tells of since it was asked last, in words, and its exit code."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return None
        text = text[: text.rfind(b"\n") + 1]  # the rest of a line is still to be written
        self._read += len(text)
        self.port_in_use |= b"EADDRINUSE" in text
        found = _FAILED.findall(text)
        if not found:
            return None
        code = int(found[-1][0])
        return f"rank {self._first_rank + int(found[-1][1])} {how_it_ended(code)}", code


def how_it_ended(code: int) -> str:
    """The end of a process in words. code: what it returned, the negative of a signal that ended it."""
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), as the system does when memory runs out"
    return f"ended {by_what(code)}"


def by_what(code: int) -> str:
    """Exit code or signal."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
