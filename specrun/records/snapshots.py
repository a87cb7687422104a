"""Owns the files of the snapshot: generations, the CURRENT pointer, the merge lock and the markers of pending runs. No DuckDB here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from specrun.errors import StoreError
from specrun.records.atomic import atomic_write, storage_failure, sync_folder
from specrun.records.place import check_place

__all__ = ["Listing", "current", "generation_of", "list_runs", "merge_lock", "no_store", "publish", "remove_markers", "scratch_file"]

_NAME = re.compile(r"store-(\d{6,})\.duckdb")
_SCRATCH = ".store-"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the store's folders say. runs: every id, of a folder and no link; active: those with a process's marker;
    markers: files that a merge may remove."""

    runs: frozenset[str]
    active: frozenset[str]
    markers: tuple[str, ...]

    @property
    def marked(self) -> frozenset[str]:
        """The runs of those markers."""
        return frozenset(marker.partition("~")[0] for marker in self.markers)


def no_store(store: Path) -> StoreError:
    """The error of a store that does not exist."""
    return StoreError(f"there is no store at {store}", code="no-store", hint="run `specrun apply SPEC` first, or name one with --store DIR")


def list_runs(store: Path) -> Listing:
    """Read the folders. To be called before `current`: a merge in between then only makes the snapshot newer than the list."""
    active, markers = set(), []
    for name in _names(store / "active"):
        if name.startswith("."):
            continue
        if "~" in name:
            markers.append(name)
        else:
            active.add(name)
    runs = frozenset(name for name in _names(store / "runs", folders=True) if not name.startswith("."))
    return Listing(runs, frozenset(active), tuple(sorted(markers)))


def remove_markers(store: Path, markers: tuple[str, ...]) -> None:
    """Remove the very markers whose records a published snapshot holds."""
    for name in markers:
        with contextlib.suppress(OSError):
            (store / "active" / name).unlink()


def current(store: Path) -> Path | None:
    """The snapshot to read; None when there is none yet."""
    try:
        name = (store / "CURRENT").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_failure(store / "CURRENT", error) from error
    path = store / name
    return path if _NAME.fullmatch(name) and path.is_file() else None


def generation_of(path: Path | None) -> int:
    """The number of a generation; 0 for none."""
    match = _NAME.fullmatch(path.name) if path is not None else None
    return int(match[1]) if match else 0


def scratch_file(store: Path) -> Path:
    """Where the holder of the lock makes the next generation; what a killed one left there is removed."""
    for path in store.glob(f"{_SCRATCH}*"):
        path.unlink(missing_ok=True)
    return store / f"{_SCRATCH}{os.getpid()}.duckdb"


def publish(store: Path, scratch: Path) -> Path:
    """Make a finished file the current generation, then remove those before the previous one, which readers may be opening."""
    newest = max((generation_of(path) for path in store.glob("store-*.duckdb")), default=0)
    target = store / f"store-{newest + 1:06d}.duckdb"
    previous = current(store)
    try:
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        scratch.rename(target)
    except OSError as error:
        raise storage_failure(target, error) from error
    sync_folder(store)
    atomic_write(store / "CURRENT", target.name + "\n")
    for path in store.glob("store-*.duckdb"):
        if path not in {target, previous}:
            with contextlib.suppress(OSError):
                path.unlink()
    return target


@contextlib.contextmanager
def merge_lock(store: Path) -> Iterator[bool]:
    """Hold the lock of the one process that merges; gives False at once when another holds it or the store is read-only."""
    check_place(store)
    if not store.is_dir():
        raise no_store(store)
    try:
        descriptor = os.open(store / "merge.lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _names(folder: Path, *, folders: bool = False) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not folders or entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise storage_failure(folder, error) from error
