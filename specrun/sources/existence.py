"""Checks that the files a spec names are there, and each once, before any step runs. Opens none of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specrun.sources.files import is_address, is_glob, located, matches, nearest_below, nearest_existing, why_unusable
from specrun.sources.overlap import pattern_path, repeated_files
from specrun.spec.bounds import found
from specrun.spec.nodes import INVALID
from specrun.spec.section import Problem, apart
from specrun.spec.shape import valid_items

if TYPE_CHECKING:
    from specrun.sources.file_options import FileOptions
    from specrun.spec.document import Spec

_Role = Literal["source", "fallback", "tokenizer"]
BaseFolder = Callable[[str], Path]
"""Dotted key of the spec -> folder that a relative path there starts from."""


def file_problems(spec: Spec, base_folder: BaseFolder, data_root: Path | None) -> Iterator[Problem]:
    """Every local file and folder of the sources, the tokenizer and the model that does not exist, or is named twice.

    A part that reads files says so by `file_problems(path, base, data_root, severity)` of its options.
    Where a fallback is given, what its source lacks is a warning: the fallback will be used, and said so.
    """
    of_data = (_missing(spec, role, base_folder, data_root) for role in ("source", "fallback", "tokenizer"))
    yield from apart(*of_data, _missing_model(spec, base_folder, data_root))


def _missing(spec: Spec, role: _Role, base_folder: BaseFolder, data_root: Path | None) -> Iterator[Problem]:
    data = spec.data  # here, where `apart` takes care of one that is invalid
    options: Any = getattr(data, role)
    path = ("data", role)
    severity = "error" if role != "source" or data.__dict__.get("fallback", INVALID) is None else "warning"
    if hasattr(options, "file_problems"):
        yield from options.file_problems(path, base_folder(".".join((*path, "path"))), data_root, severity)


def _missing_model(spec: Spec, base_folder: BaseFolder, data_root: Path | None) -> Iterator[Problem]:
    options: Any = spec.model
    if hasattr(options, "file_problems"):
        yield from options.file_problems(("model",), base_folder("model.name"), data_root, "error")


def missing_files(options: FileOptions, path: tuple[str, ...], base: Path, severity: str, *, repeated: bool = True) -> Iterator[Problem]:
    """Paths that cannot be one, that lead to no file, or to one that is named already. path: of the source in the spec; repeated: whether
    it matters that a file is named twice."""
    files = cache(lambda pattern: matches(pattern, base))  # a walk over folders, for both
    for split, patterns in options.patterns().items():
        for index, pattern in valid_items(patterns):
            at = pattern_path(options, path, split, index)
            if is_address(pattern):
                continue
            if (why := why_unusable(pattern, base)) is not None:
                yield _no_path(pattern, why, at)
            elif not files(pattern):
                yield _no_file(pattern, base, at, severity, options)
    if repeated:
        yield from repeated_files(options, path, base, files)


def _no_path(given: str, why: str, at: tuple[str | int, ...]) -> Problem:
    return Problem(at, "not-a-path", f"{found(given)} cannot be a path: {why}", "use a path such as data/corpus.txt")


def _no_file(pattern: str, base: Path, at: tuple[str | int, ...], severity: str, options: FileOptions) -> Problem:
    path = located(pattern, base)
    if is_glob(pattern, base):
        hint = _near(path) or f"write a pattern that matches files, such as *{options.suffix}"
        return Problem(at, "empty-glob", f"{pattern!r} matches no file under {base}", hint, severity)
    if path.is_dir():
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        suffix = Path(files[0]).suffix if files else options.suffix
        hint = f"name its files, such as {pattern.rstrip('/')}/*{suffix}"
        return Problem(at, "folder-not-file", f"{pattern!r} is a folder; a {options.kind} source reads files", hint, severity)
    message = f"{pattern!r} does not exist; looked for {_from_here(path)}"
    return Problem(at, "missing-file", message, _other_file(path, at, options.suffix), severity)


def _other_file(path: Path, at: tuple[str | int, ...], suffix: str) -> str:
    """The --set that names another file. Its paths start in the current folder, as the one that is suggested does."""
    key, near = ".".join(str(name) for name in at if isinstance(name, str)), nearest_existing(path)
    in_list = isinstance(at[-1], int)
    settable = all(name == name.strip() and name and not {".", "="} & set(name) for name in at if isinstance(name, str))
    if near is None:
        if not settable:
            return f"name a file that exists, such as data/corpus{suffix}"
        return f"give another with: --set {shlex.quote(f'{key}=[PATH, ...]' if in_list else f'{key}=PATH')}"
    there = _from_here(Path(near))
    return f"did you mean {there}?" + ("" if in_list or not settable else f" give it with: --set {shlex.quote(f'{key}={there}')}")


def _from_here(path: Path) -> Path:
    """Where a path leads, without detours: from the current folder if it is below it, else from the root."""
    there, here = path.resolve(), Path.cwd()
    return there.relative_to(here) if there.is_relative_to(here) else there


def missing_dataset(options: Any, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
    """A folder of a dataset that is not there. options: of a `huggingface` source."""
    at = (*path, "path")
    if data_root is not None and not data_root.is_dir():
        message = f"--data-root {data_root} is not a folder"
        yield Problem(at, "missing-data-root", message, _near(data_root) or "name a folder that holds <owner>/<name>/", severity)
    elif (why := why_unusable(options.path, base)) is not None:
        yield _no_path(options.path, why, at)
    elif not options.is_hub_name and options.folder(base=base, data_root=data_root) is None and "://" not in options.path:
        folder = located(options.path, base)
        message = f"{options.path!r} is not a folder; looked for {folder}"
        yield Problem(at, "missing-folder", message, _near(folder) or "name a folder with the Hub's layout, or owner/name", severity)
    elif options.is_hub_name and options.folder(base=base, data_root=data_root) is None:
        yield from _on_the_hub(options.path, at, data_root or base)


def _on_the_hub(name: str, at: tuple[str, ...], root: Path) -> Iterator[Problem]:
    """A name of the Hub that is very like a folder at hand. root: where folders are looked for."""
    near = nearest_below(root, name)
    if near is not None:
        message = f"{name!r} is not under {root}, so it is looked for on the Hub"
        yield Problem(at, "looked-for-on-hub", message, f"did you mean {near}?", "warning")


def _near(path: Path) -> str | None:
    near = nearest_existing(path)
    return f'did you mean "{near}"?' if near is not None else None
