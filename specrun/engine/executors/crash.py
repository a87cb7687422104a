"""Owns the words for a step whose process ended without an answer: how it ended, what it said last, what to do."""

from __future__ import annotations

import re
import resource
import signal

from specrun.engine.executors.deaths import by_what
from specrun.errors import SpecrunError
from specrun.plan import figures

_FRAME = re.compile(r"\s|#\s*$|=+|.*\[0x[0-9a-f]+\]$|Traceback |note: run with ")
"""Lines of a stack, of Python's or a library's, and what surrounds them: they tell nobody what happened."""
_MEMORY = re.compile(
    r"out of memory|cannot allocate memory|memory allocation of|MemoryError\b|bad_alloc|can't allocate memory", re.IGNORECASE
)
_SHOWN = 200


def step_crashed(kind: str, *, stderr: str, code: int) -> SpecrunError:
    """The error for a step of a kind. stderr: what its process said; code: what it returned, the negative of a signal that ended it."""
    lines = [line.strip("# \t") for line in stderr.splitlines() if line.strip() and not _FRAME.match(line)]
    memory = next((line for line in lines if _MEMORY.search(line)), None)
    if memory is not None:
        return SpecrunError(f"the memory did not suffice for the {kind} step: {memory[:_SHOWN]}", code="out-of-memory", hint=_more_memory())
    if code == -signal.SIGKILL:
        return SpecrunError(f"the {kind} step was killed (SIGKILL), as the system does when memory runs out", code="step-crashed",
                            hint=_more_memory())  # fmt: skip
    said = lines[-1][:_SHOWN] if lines else "it said nothing"
    return SpecrunError(f"the {kind} step ended {by_what(code)}: {said}", code="step-crashed",
                        hint=f"what was finished before it is kept; {_AGAIN}")  # fmt: skip


_AGAIN = "apply again repeats this step alone"


def _more_memory() -> str:
    """The remedy: an address space that is bounded is used up long before the memory is."""
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bound != resource.RLIM_INFINITY:
        return (
            f"the address space is bounded to {figures.size(bound)}, and libraries reserve far more of it than they use (drawing charts "
            f"64 GiB): lift the bound (ulimit -v unlimited); {_AGAIN}"
        )
    return f"free some memory; what was finished before it is kept, and {_AGAIN}"
