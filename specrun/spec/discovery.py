"""Finds the specs in folders. A YAML file is taken for a spec when it has `version` and `task` at its top level, or extends one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from specrun.errors import UsageError
from specrun.spec.text import MAX_BYTES

_KEY = rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])([\"']?)%s\1\s*:"
_VERSION = re.compile(_KEY % b"version")
_TASK = re.compile(_KEY % b"task")
_EXTENDS = re.compile(_KEY % b"extends" + rb"[^\r\n]*\.ya?ml\b")
_SUFFIXES = {".yaml", ".yml"}
SPEC_KEYS = "version and task, or extends, at the top level"
"""What a YAML file in a searched folder must have to be taken for a spec, in words."""


class Search(NamedTuple):
    """What was found. files: to check, in order, each once; skipped: YAML files in searched folders that are no specs."""

    files: list[str]
    skipped: list[str]


def find_specs(paths: Sequence[str]) -> Search:
    """The files to check. Files that are named are taken as they are; folders are searched.

    Hidden folders are left out, links to folders are not followed. Raises: UsageError for a folder without a spec.
    """
    found: dict[str, None] = {}
    others: dict[str, None] = {}
    for path in paths:
        if path != "-" and Path(path).is_dir():
            inside = dict.fromkeys(_yaml_files(path))
            specs = [name for name in inside if looks_like_spec(Path(name))]
            if not specs:
                count = f"; {len(inside)} other YAML file{'s' if len(inside) > 1 else ''}" if inside else ""
                raise UsageError(f"{path}: no spec in this folder{count}", code="no-spec-found",
                                 hint=f"specs are .yaml files with {SPEC_KEYS}; name a file to check it whatever it holds")  # fmt: skip
            found |= dict.fromkeys(specs)
            others |= inside
        else:
            found[path] = None
    return Search(list(found), [name for name in others if name not in found])


def _yaml_files(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root) / name
            if path.suffix in _SUFFIXES and not name.startswith("."):
                yield str(path)


def looks_like_spec(path: Path) -> bool:
    """Whether a file has the keys that open a spec. An unreadable file counts, so that its error is told."""
    try:
        with path.open("rb") as file:
            head = file.read(MAX_BYTES)
    except OSError:
        return True
    return bool((_VERSION.search(head) and _TASK.search(head)) or _EXTENDS.search(head))
