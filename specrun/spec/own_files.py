"""Which files a module of a user's own is made of, and their digest, which enters the keys of the steps that run it.

A module in a regular package counts with every .py file of that package. Beside that, what a file of the current folder imports from
the current folder counts, whichever way it is found. Nothing is imported here: names are read off the text.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """named: file by dotted name; local: whether they lie in the current folder."""

    named: dict[str, Path]
    local: bool

    def digest(self) -> str:
        """sha256 of names and contents, hexadecimal: the same wherever the folder lies. A file that is gone counts as empty."""
        whole = hashlib.sha256()
        for name, file in sorted(self.named.items()):
            content = file.read_bytes() if file.is_file() else b""
            whole.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        return whole.hexdigest()


def files_of(module: str, here: Path) -> OwnFiles | None:
    """The files of a module; None where there is none of that name. here: the current folder, resolved."""
    first, *rest = module.split(".")
    spec = _found(first)
    if spec is None:
        return None
    root, folders = _places(spec)
    own = _below(folders, first, rest) if rest else _own_file(spec)
    if own is None or root is None:
        return None
    named = {module: own}
    if spec.origin is not None and folders:
        named |= {_name(file, root): file for file in folders[0].rglob("*.py") if file.is_file()}
    local = here == root or any(file.is_relative_to(here) and "site-packages" not in file.parts for file in named.values())
    return OwnFiles(_with_imported(named, here) if local else named, local)


def _found(first: str) -> ModuleSpec | None:
    """Where Python finds a top-level name, without importing it."""
    try:
        return importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None


def _places(spec: ModuleSpec) -> tuple[Path | None, list[Path]]:
    """The folder that the top-level name lies in, and, of a package, its own folders."""
    folders = [Path(place).resolve() for place in spec.submodule_search_locations or ()]
    if folders:
        return folders[0].parent, folders
    own = _own_file(spec)
    return (None if own is None else own.parent), []


def _own_file(spec: ModuleSpec) -> Path | None:
    """The file of a module or a regular package; None for one that is built in, compiled, or a folder alone."""
    return Path(spec.origin).resolve() if spec.origin and spec.origin.endswith(".py") else None


def _below(folders: list[Path], first: str, rest: list[str]) -> Path | None:
    return next((file for folder in folders if (file := _file(folder.parent, [first, *rest])) is not None), None)


def _file(root: Path, names: list[str]) -> Path | None:
    """The file of a dotted name below a folder."""
    place = root.joinpath(*names)
    return next((file.resolve() for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _with_imported(named: dict[str, Path], here: Path) -> dict[str, Path]:
    """The files, and those of the current folder that they import, and so on."""
    known, open_, whole = (
        dict(named),
        list(named.items()),
        {name for name in named if "." not in name and named[name].name == "__init__.py"},
    )
    # Of a whole package, only what it imports from beside it is new; to parse every file of a large one takes seconds.
    beside = re.compile("|".join(rf"\b{name}\b" for name in sorted(_top_names(here) - whole)) or r"(?!)")
    while open_:
        name, file = open_.pop()
        if name.partition(".")[0] in whole and not beside.search(file.read_text(encoding="utf-8", errors="replace")):
            continue
        for other in _imports(name, file):
            parts = other.split(".")
            for length in range(1, len(parts) + 1):
                part, found = ".".join(parts[:length]), _file(here, parts[:length])
                if found is not None and part not in known and found.is_relative_to(here):
                    known[part] = found
                    open_.append((part, found))
    return known


def _top_names(here: Path) -> set[str]:
    """What can be imported from a folder."""
    names = {entry.stem if entry.suffix == ".py" else entry.name for entry in here.iterdir() if entry.suffix == ".py" or entry.is_dir()}
    return {name for name in names if name.isidentifier()}


def _imports(name: str, file: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it; nothing where it cannot be read as Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names)) if base else (alias.name for alias in node.names)
