"""How long a thread of a tensor operation waits awake for the others. Torch-free: it must speak before torch is imported."""

from __future__ import annotations

from collections.abc import MutableMapping

SPIN_COUNT = 3_000
"""Turns of GNU OpenMP's waiting loop, some microseconds in all. By default it waits milliseconds and so burns the very core that the thread
it waits for needs. Fewer turns are better beside a busy process still, but cost a tenth on a quiet machine (docs/benchmarks.md)."""

_USERS_OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def let_waiting_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Ask OpenMP for short spins, unless the user has said how to wait. Without effect once torch is loaded; never changes a result."""
    if not any(name in environment for name in _USERS_OWN):
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
