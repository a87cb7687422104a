"""Readings that the operating system gives of this process and its machine. What cannot be read is absent, never 0."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from specrun.runtime.peak import peak_resident_bytes

_CGROUP = Path("/sys/fs/cgroup")
_SHORTEST_SECONDS = 0.1
"""Processor time over a shorter stretch says nothing: the kernel counts the machine's in hundredths of a second."""


class ProcessReadings:
    """Processor and memory of this process and of the machine. Processor use is over the time since the reading before."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._began()

    def __call__(self) -> dict[str, float]:
        """Readings by metric. A process that keeps two cores busy is at 200 percent, a machine whose cores are all busy at 100."""
        values = {
            "system/process_rss_bytes": float(self._process.memory_info().rss),
            "system/process_rss_peak_bytes": float(peak_resident_bytes()),
            "system/memory_available_bytes": float(available_memory_bytes()),
        }
        seconds = time.perf_counter() - self._since
        if seconds >= _SHORTEST_SECONDS:
            values["system/process_cpu_percent"] = 100 * (time.process_time() - self._process_seconds) / seconds
            values["system/cpu_percent"] = psutil.cpu_percent()
            self._began()
        return values

    def _began(self) -> None:
        psutil.cpu_percent()
        self._since, self._process_seconds = time.perf_counter(), time.process_time()


def available_memory_bytes() -> int:
    """Memory that may still be taken without swapping: of the machine, and of what its control group grants."""
    available: int = psutil.virtual_memory().available
    return min([available, *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    """What control groups of version 2 and 1 leave; pages of files that they could drop count as free."""
    for folder, limit, used, cache in (
        (_CGROUP, "memory.max", "memory.current", "inactive_file"),
        (_CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            granted, taken = (int((folder / name).read_text()) for name in (limit, used))
            droppable = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines()).get(cache, "0")
            yield max(0, granted - taken + int(droppable))
        except (OSError, ValueError):  # another version's file, or "max"
            continue
