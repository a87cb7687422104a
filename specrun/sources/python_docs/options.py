"""Options of the `python_docs` source: English prose that ships with Python itself."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.spec.section import Part, option

_SKIPPED = frozenset({"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "turtledemo"})
"""Folders without documentation of the library: tests, programs, and what others installed."""


class Options(Part):
    """The documentation topics behind Python's `help()` and the standard library's docstrings: offline, anywhere.

    The text belongs to the Python version that runs; its version and digest enter the record.
    """

    factory: ClassVar[str] = "specrun.sources.python_docs.build:build"
    kind: Literal["python_docs"] = option(impact="weights", description="Documentation text of the Python that runs.")
    include: tuple[Literal["topics", "docstrings"], ...] = option(
        ("topics",),
        impact="weights",
        description="Which text: the topics of help(), the docstrings of the standard library, or both.",
        min_length=1,
    )

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """None: the text belongs to Python, whose version and digest `identity` gives."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The Python version, and digests of the files that the text comes from."""
        facts: dict[str, Any] = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
        if "topics" in self.include:
            path = topics_file()
            facts["topics"] = hashlib.sha256(path.read_bytes()).hexdigest() if path is not None else None
        if "docstrings" in self.include:
            listing = "\n".join(f"{name} {path.stat().st_size}" for name, path in library_files())
            facts["library"] = hashlib.sha256(listing.encode()).hexdigest()
        return facts

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much text: about the size of the topics' file, and a tenth of the library's source."""
        path = topics_file() if "topics" in self.include else None
        topics = path.stat().st_size if path is not None else 0
        docstrings = sum(file.stat().st_size for _, file in library_files()) // 10 if "docstrings" in self.include else 0
        return {WHOLE: Extent(topics + docstrings)} if topics + docstrings else {}


def topics_file() -> Path | None:
    """The module of documentation topics; None where a distribution left it out."""
    try:
        found = importlib.util.find_spec("pydoc_data.topics")
    except ModuleNotFoundError:
        return None
    return Path(found.origin) if found is not None and found.origin is not None else None


def library_files() -> list[tuple[str, Path]]:
    """Source files of the standard library with their names relative to it, sorted by name."""
    root = sysconfig.get_path("stdlib")
    found: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith("config-")]
        paths = (Path(folder, name) for name in names if name.endswith(".py"))
        found.extend((path.relative_to(root).as_posix(), path) for path in paths)
    return sorted(found)
