"""What the C library does with memory that is freed. Torch-free.

glibc gives it back to the system at once where a block is large or lies on top of the heap, and a training step frees and asks for the
same tensors each time: thousands of pages a step are then mapped, zeroed and unmapped, which is a twentieth of a small model's step on a
CPU and a third of a larger one's (docs/benchmarks.md). Kept, they are there for the next step; the largest use grows by some percent.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of mallopt's settings, as <malloc.h> numbers them."""

_LARGEST_IN_HEAP = (1 << 30, 32 << 20)
"""Bytes from which a block is mapped for itself. Releases of glibc before 2.35 refuse the first."""
_GROWTH = 64 << 20
"""Bytes that the heap grows by beyond what is asked for: room that is not touched costs nothing."""

_USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed_memory(environment: Mapping[str, str]) -> bool:
    """Have this process keep memory that it frees, for what it asks for next. Returns whether the C library does: not where it is
    another than glibc, and not where the user has said in the environment how it shall work. Never changes a result."""
    mallopt = _function("mallopt")
    if mallopt is None or _user_has_spoken(environment):
        return False
    if not any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_IN_HEAP):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, -1)) and bool(mallopt(_TOP_PAD, _GROWTH))


def give_back_freed_memory() -> None:
    """Return to the system what is freed and kept, where the C library can."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _user_has_spoken(environment: Mapping[str, str]) -> bool:
    return any(name in environment for name in _USERS_OWN) or "glibc.malloc." in environment.get("GLIBC_TUNABLES", "")


def _function(name: str) -> ctypes._NamedFuncPointer | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # a program without loadable libraries; Windows
        return None
