"""Digests of a source's local files for the key of the step that reads them. Standard library only.

A file counts with the part it plays (its split and its place), so that two files that change places change the key, while a
file that is only moved or renamed does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from specrun.spec.section import Part


def input_digests(
    source: Part,
    *,
    base: Path,
    data_root: Path | None,
    digest_all: Callable[[Sequence[Path]], Mapping[Path, str]],
) -> dict[str, str]:
    """Path -> what enters the key for it: the parts it plays and the digest of its content."""
    options: Any = source
    files: tuple[Path, ...] = options.local_inputs(base=base, data_root=data_root)
    digests = digest_all(files)
    roles: dict[Path, list[str]] = {}
    if hasattr(options, "input_roles"):
        for role, file in options.input_roles(base=base, data_root=data_root):
            roles.setdefault(file, []).append(role)
    return {str(file): ",".join([*roles.get(file, ()), digests[file]]) for file in files}
