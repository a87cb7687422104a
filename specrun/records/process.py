"""Owns the identity of a process, so that a process id that was given out again is not taken for the old one. Standard library only."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["host_name", "process_is_alive", "same_machine", "this_process"]


def host_name() -> str:
    """This machine's name."""
    return platform.node() or "host"


def this_process() -> dict[str, Any]:
    """Host, boot, process namespace, id and start time (clock ticks since boot; None where /proc is absent)."""
    return {**_place(), "pid": os.getpid(), "process_start": _start_ticks(os.getpid())}


def same_machine(identity: Mapping[str, Any]) -> bool:
    """Whether an identity's process id means something here: same host, same boot, same namespace of processes."""
    return all(identity.get(key) == value for key, value in _place().items())


def process_is_alive(identity: Mapping[str, Any]) -> bool:
    """Whether the very process of an identity of this machine still runs."""
    pid = identity.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if Path("/proc/self/stat").exists():
        start = _start_ticks(pid)
        return start is not None and start == identity.get("process_start")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> dict[str, str | None]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    return {
        "host": host_name(),
        "boot": boot.read_text(encoding="ascii").strip() if boot.exists() else None,
        "namespace": str(namespace.readlink()) if namespace.is_symlink() else None,
    }


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat; None for a process that is gone or has ended and waits for its parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])
