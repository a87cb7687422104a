"""Owns how a small file is replaced so that a crash leaves the old one or the new one, never a mixture. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import tempfile
from pathlib import Path

from specrun.errors import StorageFailure, StoreError

__all__ = ["LIFT_FILE_BOUND", "atomic_write", "is_of_storage", "storage_failure", "sync_folder"]

LIFT_FILE_BOUND = "lift the bound with: ulimit -f unlimited"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_STORAGE = _FULL | _FORBIDDEN | {errno.EFBIG, errno.EIO, errno.ESTALE}


def atomic_write(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` (text as UTF-8): temporary file beside it, fsync, rename, fsync of the folder.

    Raises StoreError for a full disk, a read-only folder and every other refusal of the file system; `path` is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise storage_failure(path, error) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the file system can (some cannot, and say so)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_of_storage(error: OSError, store: Path) -> bool:
    """Whether a disk is full, or a file system refused something below a store; where no path is told, by the error's number alone."""
    if error.errno in _FULL or not isinstance(error.filename, str | os.PathLike):
        return error.errno in _OF_STORAGE
    return Path(error.filename).absolute().is_relative_to(store.absolute())


def storage_failure(path: Path, error: OSError) -> StoreError:
    """The error of a refused write, with what a person can do about it."""
    what = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _FULL:
        return StorageFailure(
            f"{path}: cannot be written: {what}",
            code="disk-full",
            hint=f"free some space on the disk of {path.parent}, or keep records elsewhere with --store DIR; `specrun apply` then goes on",
        )
    if error.errno == errno.EFBIG:
        return StorageFailure(
            f"{path}: cannot be written: {what}{_largest_file()}",
            code="file-too-large",
            hint=f"{LIFT_FILE_BOUND}, or keep records on a file system for larger files with --store DIR; `specrun apply` then goes on",
        )
    if error.errno in _FORBIDDEN:
        return StorageFailure(
            f"{path}: cannot be written: {what}",
            code="store-not-writable",
            hint=f"make {path.parent} writable, or keep records elsewhere with --store DIR",
        )
    return StoreError(f"{path}: {what}", code="store-failed", hint="check the disk, then run `specrun store doctor`")


def _largest_file() -> str:
    """The bound that this process has on the size of files, in words, where it has one."""
    bound, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return "" if bound == resource.RLIM_INFINITY else f", where files are bounded to {bound:,} bytes"


def _umask() -> int:
    """The process's mask, read from /proc where it can be read without changing it for a moment."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
