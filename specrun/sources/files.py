"""Finds the files that a path or glob of a spec means, and says what stands where one is missing. Standard library only."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from specrun.spec.nearest import nearest

_WILD = frozenset("*?[")
_BLOCK = 1 << 20
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_CLOSE = 0.25
"""A name of the Hub is like a folder's only where it can hardly be another dataset's: edits as a share of the name."""


def is_address(given: str) -> bool:
    """Whether a path names something elsewhere: `https://...`."""
    return _ADDRESS.match(given) is not None


def located(given: str, base: Path) -> Path:
    """A path as a spec writes it; `~` is the home folder, relative paths start at base."""
    return base / Path(given).expanduser()


def why_unusable(given: str, base: Path) -> str | None:
    """Why no file can have a path, whether one is there or not; None where it could."""
    try:
        located(given, base).stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except ValueError:
        return "it holds a NUL character"
    except RuntimeError:
        return "the home folder of that user is not known"
    return None


def is_glob(given: str, base: Path) -> bool:
    """Whether a path is a pattern: it has a wildcard and is not the name of something that exists."""
    return bool(_WILD & set(given)) and not located(given, base).exists()


def matches(given: str, base: Path) -> tuple[Path, ...]:
    """Local files that a path or glob means, sorted; `**` crosses folders. Empty where there are none."""
    if is_address(given):
        return ()
    if not is_glob(given, base):
        path = located(given, base)
        return (path,) if path.is_file() else ()
    pattern = str(Path(given).expanduser())
    rooted = pattern if Path(pattern).is_absolute() else f"{glob.escape(str(base))}/{pattern}"
    return tuple(sorted(path for found in glob.iglob(rooted, recursive=True) if (path := Path(found)).is_file()))  # noqa: PTH207 - patterns may be absolute


def real_paths(files: Iterable[Path]) -> Iterator[Path]:
    """Where each file leads. A folder is followed once, not once a file."""
    folders: dict[Path, Path] = {}
    for file in files:
        if file.is_symlink():
            yield file.resolve()
        else:
            if file.parent not in folders:
                folders[file.parent] = file.parent.resolve()
            yield folders[file.parent] / file.name


def nearest_existing(path: Path) -> str | None:
    """What a missing path was probably meant to be: the likest name in the deepest folder on its way that exists."""
    wanted = path
    while not wanted.parent.is_dir():
        if wanted.parent == wanted:
            return None
        wanted = wanted.parent
    try:
        names = [entry.name for entry in wanted.parent.iterdir()]
    except OSError:
        return None
    near = nearest(wanted.name, names)
    return None if near is None else str(wanted.parent / near)


def nearest_below(root: Path, name: str) -> str | None:
    """The folder `owner/name` below root that a missing one was probably meant to be, relative to root; None where none is like it."""
    *owners, last = name.split("/")
    parent = root
    for owner in owners:
        exact = parent / owner
        near = owner if exact.is_dir() else nearest(owner, _folders(parent), reach=_CLOSE)
        if near is None:
            return None
        parent /= near
    near = last if owners and (parent / last).is_dir() else nearest(last, _folders(parent), reach=_CLOSE)
    return (parent / near).relative_to(root).as_posix() if near is not None else None


def _folders(parent: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    except OSError:
        return []


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Every file below a folder but hidden ones, sorted."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)))


def digest_files(files: Iterable[tuple[str, Path]]) -> str:
    """sha256 over names and contents, in order."""
    whole = hashlib.sha256()
    for name, path in files:
        content = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                content.update(block)
        whole.update(f"{name}\0{content.hexdigest()}\n".encode())
    return whole.hexdigest()
