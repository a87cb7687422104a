"""Files that a text source is given more than once. Opens none of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.sources.files import matches, why_unusable
from specrun.spec.section import Problem
from specrun.spec.shape import valid_items

if TYPE_CHECKING:
    from specrun.sources.text.options import Options

_Seen = dict[Path, tuple[str, str]]
"""Where a file leads -> the split and the pattern that gave it first."""


def repeated_files(options: Options, path: tuple[str, ...], base: Path) -> Iterator[Problem]:
    """Files that two patterns match: read once in a split, and the same text on both sides of a comparison in two splits."""
    seen: _Seen = {}
    for split, patterns in options.patterns().items():
        for index, pattern in valid_items(patterns):
            at = pattern_path(options, path, split, index)
            files = matches(pattern, base) if why_unusable(pattern, base) is None else ()
            yield from _repeated(seen, split, pattern, files, at)
            for file in files:
                seen.setdefault(file.resolve(), (split, pattern))


def pattern_path(options: Options, path: tuple[str, ...], split: str, index: int) -> tuple[str | int, ...]:
    """The key of a pattern in the spec. path: of the source."""
    by_split = isinstance(options.path, dict)
    written: Any = options.path[split] if isinstance(options.path, dict) else options.path
    return (*path, "path", *((split,) if by_split else ()), *((index,) if not isinstance(written, str) else ()))


def _repeated(seen: _Seen, split: str, pattern: str, files: tuple[Path, ...], at: tuple[str | int, ...]) -> Iterator[Problem]:
    again = [(file, *seen[file.resolve()]) for file in files if file.resolve() in seen]
    for same_split in (True, False):
        found = [(file, before) for file, other, before in again if (other == split) is same_split]
        if not found:
            continue
        file, before = found[0]
        what = f"{file.name} is" if len(found) == 1 else f"{len(found)} files are, such as {file.name},"
        if same_split:
            message = f"{what} in {before!r} already; a file is read once"
            yield Problem(at, "file-listed-twice", message, f"remove {pattern!r}, or what is in both", "warning")
        else:
            other = seen[file.resolve()][0]
            message = f"{what} in the {other} split already; what is in both makes the {split} figures too good"
            yield Problem(at, "file-in-two-splits", message, f"take it out of {other} or {split}", "warning")
