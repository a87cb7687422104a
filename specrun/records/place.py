"""Owns which paths can be a store, and where the stores of smoke runs lie. Standard library only; changes nothing.

What a person mistook (a file, a folder of something else) is a UsageError, exit 2; what the machine refuses is a StoreError, exit 1.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from specrun.errors import StoreError, UsageError

__all__ = ["DEFAULT_STORE", "SMOKE_FOLDER", "check_place", "command_on", "smoke_stores", "store_of", "unreadable"]

DEFAULT_STORE = Path(".specrun")
"""Where records go when nobody says: a folder in the current one."""

SMOKE_FOLDER = "smoke"
"""Folder inside a store that holds the stores of smoke runs, and nothing that could be mistaken for history."""

_MARKS = {"store.json", "CURRENT", "fingerprints.json"}
"""Any of these makes a folder a store; so do the files of a run in `runs/`."""

_LAYOUT = {"steps", "results", "runs", "run-keys", "locks", "active", "merge.lock", "fingerprints.lock", SMOKE_FOLDER}
"""A folder with some of these and nothing else is a store in the making, or one whose making was cut short."""

_UNFINISHED = re.compile(r"\.(store\.json|CURRENT|fingerprints\.json)\..+\.part|\.writable-\d+|\.(store|spill)-.+")
"""What a process leaves at the top of a store when it is killed, and what others see there while it works."""

_OF_NO_ACCOUNT = {".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
_ELSEWHERE = "choose another folder with --store DIR or SPECRUN_STORE, such as --store .specrun"
_SHOWN = 3


def store_of(text: str | Path) -> Path:
    """The store that an option names. Raises UsageError `bad-store` for an empty text, which would mean the current folder."""
    if not str(text).strip():
        raise UsageError("--store is empty", code="bad-store", hint="name a folder, such as --store .specrun; for this folder: --store .")
    return Path(text)


def check_place(store: Path) -> None:
    """See that a path is a store, an empty folder, or nothing yet.

    Raises UsageError `store-not-a-folder`, `not-a-store`, `bad-store`; StoreError `store-not-readable`.
    """
    try:
        names = sorted(path.name for path in store.iterdir())
    except FileNotFoundError:
        if store.is_symlink():
            raise UsageError(f"{store} is a link to nothing", code="store-not-a-folder", hint=_ELSEWHERE) from None
        return
    except NotADirectoryError:
        file = next((place for place in (store, *store.parents) if place.exists()), store)
        raise UsageError(f"{file} is a file, not a folder, so it is no store", code="store-not-a-folder", hint=_ELSEWHERE) from None
    except (ValueError, OSError) as error:
        raise _refusal(store, error) from error
    telling = [name for name in names if name not in _OF_NO_ACCOUNT and not _UNFINISHED.fullmatch(name)]
    if telling and not _is_store(store, telling):
        raise _stranger(store, [name for name in telling if name not in _LAYOUT])


def command_on(store: Path, *words: str) -> str:
    """A command line that can be pasted: `specrun` with these words, and with the store where it is not the usual one."""
    usual = Path(os.environ.get("SPECRUN_STORE", "").strip() or DEFAULT_STORE)
    where = [] if store.absolute() == usual.absolute() else ["--store", str(store)]
    return shlex.join(["specrun", *words, *where])


def smoke_stores(store: Path) -> list[Path]:
    """The stores of smoke runs inside a store, oldest first."""
    return sorted(path for path in (store / SMOKE_FOLDER).glob("*") if path.is_dir() and not path.is_symlink())


def _is_store(store: Path, names: Iterable[str]) -> bool:
    if not _MARKS.isdisjoint(names) or _LAYOUT.issuperset(names):
        return True
    return any(True for pattern in ("run.json", "events-*.jsonl", "final.json") for _ in (store / "runs").glob(f"*/{pattern}"))


def _stranger(store: Path, names: Sequence[str]) -> UsageError:
    """What is said of a folder of something else: what is there, and the store that may have been meant."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:_SHOWN])
    what = shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    above = [place for place in store.absolute().parents[:2] if (place / "store.json").is_file()]
    below = [store / ".specrun"] if (store / ".specrun").is_dir() else []
    near = [f"did you mean --store {shlex.quote(str(place))}?" for place in (*above, *below)]
    hint = near[0] if near else f"{_ELSEWHERE}; a new or empty folder becomes a store"
    return UsageError(f"{store} is not a store; it holds {what}", code="not-a-store", hint=hint)


def _refusal(store: Path, error: OSError | ValueError) -> StoreError | UsageError:
    if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        return UsageError(f"{str(store)[:80]!r} cannot be a folder: {why}", code="bad-store", hint=_ELSEWHERE)
    return unreadable(store, error)


def unreadable(path: Path, error: OSError) -> StoreError:
    """The error of a store, or a file of it, that the machine does not let be read."""
    locked = next((place for place in (path, *path.parents) if os.access(place, os.F_OK)), path)
    return StoreError(
        f"{path} cannot be read: {(error.strerror or str(error)).lower()}",
        code="store-not-readable",
        hint=f"make {locked} readable with: chmod u+rwX {shlex.quote(str(locked))}; or {_ELSEWHERE}",
    )
