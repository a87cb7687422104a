"""How much memory this process has used at most."""

from __future__ import annotations

import torch

from specrun.runtime.peak import peak_resident_bytes


def peak_memory_bytes(kind: str) -> int:
    """The largest use so far: of the device's memory by tensors for `cuda`, of the whole process for `cpu`."""
    if kind == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return peak_resident_bytes()


def restart_peak(kind: str) -> None:
    """Count the peak of a `cuda` device from here on, with nothing kept of what is free. That of a process can only grow."""
    if kind == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
