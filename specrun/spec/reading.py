"""Opens a spec: a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from specrun.errors import UsageError
from specrun.spec.text import MAX_BYTES, shown_name

STDIN = "-"
UNREADABLE = "unreadable-spec"
"""Code of what is said of a spec that cannot be opened."""

READ_BYTES = MAX_BYTES + 1
"""Enough to see that a file is too large."""


class Text(NamedTuple):
    """The bytes of a spec. name: as diagnostics show it; folder: where its relative paths start."""

    name: str
    data: bytes
    folder: Path


def read_source(source: Path | str) -> Text:
    """Read a spec whole. Raises: UsageError for what cannot be opened, naming the nearest file."""
    if str(source) == STDIN:
        return Text("<stdin>", sys.stdin.buffer.read(READ_BYTES), Path())
    if not str(source):
        raise UsageError("the path of the spec is empty", code=UNREADABLE, hint="name a YAML file, or - for standard input")
    path = Path(source)
    try:
        return Text(shown_name(str(source)), read_start(path), path.parent)
    except IsADirectoryError:
        inside = neighbours(path)
        hint = f"name a file in it, such as {path / inside[0]}" if inside else "`specrun init` writes a spec to start from"
        raise UsageError(f"{source} is a folder, not a spec", code=UNREADABLE, hint=hint) from None
    except OSError as error:
        from specrun.spec.nearest import nearest

        near = nearest(path.name, neighbours(path.parent))
        hint = f"did you mean {path.parent / near}?" if near else "`specrun init` writes a spec to start from"
        raise UsageError(f"{source}: {error.strerror or error}", code=UNREADABLE, hint=hint) from None
    except ValueError:  # a NUL in the name
        raise UsageError(f"{str(source)!r} is not a path", code=UNREADABLE, hint="name a YAML file") from None


def read_start(path: Path) -> bytes:
    """The bytes of a file, but not many more than a spec may have: an endless file must not fill the memory."""
    with path.open("rb") as file:
        return file.read(READ_BYTES)


def neighbours(folder: Path) -> list[str]:
    """Names of the YAML files in a folder, sorted; none where it cannot be read."""
    try:
        return sorted(p.name for p in folder.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        return []
