"""Files that a source is given more than once. Opens none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.sources.files import is_address, real_paths, why_unusable
from specrun.spec.section import Problem
from specrun.spec.shape import valid_items

if TYPE_CHECKING:
    from specrun.sources.file_options import FileOptions

FilesOf = Callable[[str], tuple[Path, ...]]
"""A pattern -> the files that it matches. Asked several times for each."""
_Seen = dict[Path, tuple[str, str]]
"""Where a file leads -> the split and the pattern that gave it first."""


def repeated_files(options: FileOptions, path: tuple[str, ...], base: Path, files: FilesOf) -> Iterator[Problem]:
    """Files that two patterns match: read once in a split, and the same text on both sides of a comparison in two splits."""
    seen: _Seen = {}
    given = [(split, index, pattern) for split, patterns in options.patterns().items() for index, pattern in valid_items(patterns)]
    if len(given) < 2:
        return  # so that one pattern of many files costs a walk alone
    for split, index, pattern in given:
        found = files(pattern) if not is_address(pattern) and why_unusable(pattern, base) is None else ()
        real = tuple(real_paths(found))
        yield from _repeated(seen, split, pattern, tuple(zip(found, real, strict=True)), pattern_path(options, path, split, index))
        for place in real:
            seen.setdefault(place, (split, pattern))


def pattern_path(options: FileOptions, path: tuple[str, ...], split: str, index: int) -> tuple[str | int, ...]:
    """The key of a pattern in the spec. path: of the source."""
    by_split = isinstance(options.path, dict)
    written: Any = options.path[split] if isinstance(options.path, dict) else options.path
    return (*path, "path", *((split,) if by_split else ()), *((index,) if not isinstance(written, str) else ()))


def _repeated(seen: _Seen, split: str, pattern: str, files: Sequence[tuple[Path, Path]], at: tuple[str | int, ...]) -> Iterator[Problem]:
    """files: each as it was found, and where it leads."""
    again = [(file, *seen[real]) for file, real in files if real in seen]
    for same_split in (True, False):
        found = [(file, other, before) for file, other, before in again if (other == split) is same_split]
        if not found:
            continue
        file, other, before = found[0]
        what = f"{file.name} is" if len(found) == 1 else f"{len(found)} files are, such as {file.name},"
        if same_split:
            message = f"{what} in {before!r} already; a file is read once"
            yield Problem(at, "file-listed-twice", message, f"remove {pattern!r}, or what is in both", "warning")
        else:
            message = f"{what} in the {other} split already; what is in both makes the {split} figures too good"
            yield Problem(at, "file-in-two-splits", message, f"take it out of {other} or {split}", "warning")
