"""Locks on step keys, held by a process and released by the kernel when it dies: no stale lock can be left behind.

A lock's file may be removed by whoever holds it. What was locked is therefore compared with what is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from specrun.errors import LockedError
from specrun.records.place import command_on

_POLL_SECONDS = 0.2


@contextmanager
def hold(path: Path, *, what: str) -> Iterator[None]:
    """Take the lock or raise LockedError at once, naming who holds it. what: the step or run, for the message."""
    descriptor = _try(path)
    if descriptor is None:
        raise LockedError(f"{what} is being worked on by another apply{_holder(path)}", code="locked",
                          hint=f"wait for it to end, or follow it with: {command_on(path.parent.parent, 'runs', 'list')}")  # fmt: skip
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def wait_for(path: Path, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Take the lock, waiting for whoever holds it; on_wait is called once, with who that is."""
    descriptor = _try(path)
    if descriptor is None:
        on_wait(_holder(path).strip())
        while descriptor is None:
            time.sleep(_POLL_SECONDS)
            descriptor = _try(path)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def removing(path: Path) -> Iterator[bool]:
    """Hold a lock that nobody else does, and remove its file at the end; yields False where somebody does, or there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        mine = _locked(descriptor, path)
        yield bool(mine)
        if mine:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _try(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        mine = _locked(descriptor, path)
        if mine:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": time.strftime("%H:%M:%S")}).encode(), 0)
            return descriptor
        os.close(descriptor)
        if mine is None:
            return None


def _locked(descriptor: int, path: Path) -> bool | None:
    """Lock an open file: True when it is the one at its path, False when that was removed meanwhile, None when it is held."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
    except (OSError, ValueError):
        return ""
    return f" (process {holder['pid']}, since {holder['since']})"
