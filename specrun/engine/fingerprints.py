"""Digests of local files, remembered by what the file system says of them, so that a plan need not read unchanged data again.

A file is taken as unchanged when its path, size, modification time (ns) and inode are. A file that was modified within
RACY_SECONDS of the moment it was read is never remembered: a second write in the same tick of the clock would go unseen
(git calls these entries racy). Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from specrun.errors import DataError, StoreError
from specrun.records.atomic import atomic_write

FORMAT_VERSION = 1
RACY_SECONDS = 2.0
_MOST_ENTRIES = 100_000

_Known = dict[str, list[Any]]
"""Absolute path -> [size, mtime_ns, inode, sha256]."""


class Fingerprints:
    """sha256 of files. cache_file may be missing, damaged or unwritable: then files are read again.

    Writers in several processes take turns on a lock beside the file and keep one another's entries.
    """

    def __init__(self, cache_file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._cache_file = cache_file
        self._clock = clock
        self._known: _Known | None = None

    def digest(self, path: Path) -> str:
        """sha256 of one file, hexadecimal. Raises DataError where it cannot be read."""
        return self.digest_all([path])[path]

    def digest_all(self, paths: Iterable[Path]) -> dict[Path, str]:
        """sha256 of each file; the cache is written once. Raises DataError where one cannot be read."""
        if self._known is None:
            self._known = _read(self._cache_file)
        digests: dict[Path, str] = {}
        fresh: _Known = {}
        for path in paths:
            digests[path], entry = self._look(path, self._known)
            if entry is not None:
                fresh[str(path.absolute())] = entry
        if fresh:
            self._known |= fresh
            self._remember(fresh)
        return digests

    def _look(self, path: Path, known: _Known) -> tuple[str, list[Any] | None]:
        """The digest, and an entry to remember where there is a new one that can be trusted."""
        try:
            found = _facts(path.stat())
            entry = known.get(str(path.absolute()))
            if entry is not None and entry[:3] == found:
                return str(entry[3]), None
            with path.open("rb") as stream:
                before = _facts(os.fstat(stream.fileno()))
                digest = _sha256(stream)
                after = _facts(os.fstat(stream.fileno()))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}", code="unreadable-file", hint="check the path and its permissions") from error
        settled = before == after and self._clock() - after[1] / 1e9 > RACY_SECONDS
        return digest, [*after, digest] if settled else None

    def _remember(self, fresh: _Known) -> None:
        # A cache that cannot be kept costs time, not correctness: the files are read again.
        with contextlib.suppress(OSError, StoreError), _locked(self._cache_file):
            merged = _read(self._cache_file) | fresh
            newest = dict(list(merged.items())[-_MOST_ENTRIES:])
            atomic_write(self._cache_file, json.dumps({"format_version": FORMAT_VERSION, "files": newest}))


def _facts(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _sha256(stream: Any) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(cache_file: Path) -> _Known:
    """What the file remembers; nothing where it is missing, damaged or of another version."""
    try:
        document = json.loads(cache_file.read_bytes())
        if document["format_version"] != FORMAT_VERSION:
            return {}
        return {path: entry for path, entry in document["files"].items() if _is_entry(entry)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_entry(entry: Any) -> bool:
    whole = isinstance(entry, list) and len(entry) == 4
    return whole and all(isinstance(part, int) for part in entry[:3]) and isinstance(entry[3], str) and len(entry[3]) == 64


@contextlib.contextmanager
def _locked(cache_file: Path) -> Iterator[None]:
    """Hold the lock beside the cache; the file system frees it when the process dies."""
    descriptor = os.open(cache_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
