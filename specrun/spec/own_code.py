"""Imports parts of a user's own, `package.module:Name`, where someone has allowed their module, and never otherwise.

The only place that imports what a spec names. A module is imported once: what it held then is what runs, whatever its files become
meanwhile; `forget_changed` lets the next plan look anew. What children import must be the same: they compare digests.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from specrun.spec.nearest import listed, nearest
from specrun.spec.own_files import OwnFiles, files_of
from specrun.spec.own_path import Permission


class Refused(Exception):
    """A part of a user's own that cannot be used: a code, the fact, and the remedy, to be told at the place of its kind."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True, slots=True, eq=False)
class OwnCode:
    """An imported module, equal to itself alone. digest: of all files that it was made from."""

    module: ModuleType
    files: OwnFiles
    digest: str


_imported: dict[str, OwnCode] = {}


def load(path: str, permission: Permission) -> tuple[Any, OwnCode]:
    """What a path names, and the code it lies in. Raises: Refused."""
    name, _, attribute = path.partition(":")
    if not permission.allows(name):
        raise Refused("code-not-allowed", f"{path} is code of your own, and only you can allow it to run",
                      f"if you trust it, add --allow-code {name} to the command")  # fmt: skip
    if name not in _imported:
        here = _search()
        files = files_of(name, here)
        if files is None:
            raise _no_module(name)
        if not files.local and here.joinpath(*name.split(".")).with_suffix(".py").is_file():
            raise Refused("module-of-another-place", f"Python finds an installed {name} before the one in {here}",
                          "give your file a name that no installed package has")  # fmt: skip
        _imported[name] = OwnCode(_import(name, files), files, files.digest())
    own = _imported[name]
    if not hasattr(own.module, attribute):
        raise _no_name(path, own.module)
    return getattr(own.module, attribute), own


def forget_changed() -> None:
    """Drop modules whose files are no longer those that were imported, so that the next use imports them anew."""
    for name, own in list(_imported.items()):
        now = files_of(name, _search())
        if now is None or now.digest() != own.digest:
            del _imported[name]
            here = {*own.files.named.values(), *(now.named.values() if now else ())}
            for other, module in list(sys.modules.items()):
                if getattr(module, "__file__", None) is not None and Path(str(module.__file__)).resolve() in here:
                    del sys.modules[other]


def _search() -> Path:
    """The current folder, where modules are looked for. It comes last: what lies in it stands for no library."""
    here = Path.cwd().resolve()
    if str(here) not in sys.path:
        sys.path.append(str(here))
    return here


def _import(name: str, files: OwnFiles) -> ModuleType:
    importlib.invalidate_caches()
    _drop_bytecode(files)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output may hold one JSON document
            module = importlib.import_module(name)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - whatever code of the user's raises
        raise _fails(name, failure, files.named.values()) from None
    return module


def _drop_bytecode(files: OwnFiles) -> None:
    """Compiled files count as current for as long as size and second of their source agree, which is too coarse where results are kept."""
    if files.local:
        for file in files.named.values():
            with contextlib.suppress(OSError, NotImplementedError):
                Path(importlib.util.cache_from_source(str(file))).unlink()


def _fails(name: str, failure: BaseException, files: Iterable[Path]) -> Refused:
    own, what = set(files), f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
    place = name
    if isinstance(failure, SyntaxError) and failure.filename:
        place, what = f"{_shown(Path(failure.filename))}:{failure.lineno}", f"{type(failure).__name__}: {failure.msg}"
    else:
        frames = [frame for frame in traceback.extract_tb(failure.__traceback__) if Path(frame.filename).resolve() in own]
        if frames:
            place = f"{_shown(Path(frames[-1].filename))}:{frames[-1].lineno}"
    missing = failure.name if isinstance(failure, ModuleNotFoundError) else None
    hint = f"install {missing.partition('.')[0]}, or do without it" if missing else f"mend {place}; it must be possible to import {name}"
    return Refused("code-fails-on-import", f"{place}: {what}", hint)


def _no_module(name: str) -> Refused:
    here = Path.cwd()
    first = name.partition(".")[0]
    known = sorted({*(file.stem for file in here.glob("*.py")), *(folder.name for folder in here.iterdir() if any(folder.glob("*.py")))})
    if first in known and "." in name:
        folder = here.joinpath(*name.split(".")[:-1])
        near = nearest(name.rpartition(".")[2], sorted(file.stem for file in folder.glob("*.py")) if folder.is_dir() else ())
        near = None if near is None else f"{name.rpartition('.')[0]}.{near}"
    else:
        near = nearest(first, known)
        near = None if near is None else ".".join((near, *name.split(".")[1:]))
    hint = f"did you mean {near}?" if near else "modules are looked for in the current folder, then among what is installed"
    return Refused("no-such-module", f"there is no module {name} in {here}, nor an installed one", hint)


def _no_name(path: str, module: ModuleType) -> Refused:
    _, _, name = path.partition(":")
    known = sorted(key for key, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__)
    near = nearest(name, known)
    hint = f"did you mean {module.__name__}:{near}?" if near else f"its classes are {listed(known, 'and')}" if known else "it has no class"
    return Refused("no-such-name", f"{_shown(Path(str(module.__file__)))} has no {name}", hint)


def _shown(file: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(file.resolve().relative_to(Path.cwd().resolve()))
    return str(file)
