"""Options of the `text` source: plain UTF-8 files."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from encodings.aliases import aliases
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.sources.files import matches, real_paths
from specrun.spec.bounds import found
from specrun.spec.nearest import listed, nearest
from specrun.spec.section import Part, Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Pattern = str | tuple[str, ...]
_BEGINNING_BYTES = 1 << 18
_NOT_OF_TEXTS = frozenset({"undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
"""What Python lists as text encodings, and no file is written in."""


class Options(Part):
    """Files by path or glob. Relative paths start at the spec's folder, or the current folder for values of `--set`.

    A mapping gives the splits: {train: ..., validation: ...}; a single path is one stretch, to be cut by `data.split`.
    """

    factory: ClassVar[str] = "specrun.sources.text.build:build"
    kind: Literal["text"] = option(impact="weights", description="Plain text files.")
    path: str | tuple[str, ...] | dict[str, str | tuple[str, ...]] = option(
        impact="runtime",  # what the files hold enters keys as a digest; where they lie does not
        description="File, glob, list of them, or a mapping from split to them.",
        examples=["data/corpus.txt"],
        min_length=1,
    )
    documents: Literal["files", "lines", "paragraphs"] = option(
        "files",
        impact="weights",
        description="What a document is: a whole file, a line, or a stretch between blank lines; each with its line endings.",
    )
    encoding: str = option("utf-8", impact="weights", description="Encoding of the files, by its Python name; decoding is strict.")

    def patterns(self) -> Mapping[str, tuple[str, ...]]:
        """Paths and globs as they are written, by split."""
        by_split = self.path if isinstance(self.path, dict) else {WHOLE: self.path}
        return {split: (given,) if isinstance(given, str) else tuple(given) for split, given in by_split.items()}

    def files(self, base: Path) -> Mapping[str, tuple[Path, ...]]:
        """The files of each split, in the order they are read: as the patterns stand, those of a glob by name, each once."""
        found = self.patterns().items()
        return {split: _each_once(file for pattern in given for file in matches(pattern, base)) for split, given in found}

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """The files that decide the result, sorted."""
        return tuple(sorted({file for files in self.files(base).values() for file in files}))

    def input_roles(self, *, base: Path, data_root: Path | None) -> tuple[tuple[str, Path], ...]:
        """The files with the part each plays, whatever it is called: its split and its place in it."""
        return tuple((f"{split}/{place}", file) for split, files in self.files(base).items() for place, file in enumerate(files))

    def identity(self) -> dict[str, Any]:
        """Facts beyond options and files that decide the result: none."""
        return {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much text, from the files' sizes; how many lines or paragraphs, from the beginning of the first file."""
        return {split: self._extent(files) for split, files in self.files(base).items() if files}

    def _extent(self, files: tuple[Path, ...]) -> Extent:
        size = sum(file.stat().st_size for file in files)
        if self.documents == "files":
            return Extent(size, len(files))
        with files[0].open("rb") as stream:
            beginning = stream.read(_BEGINNING_BYTES)
        breaks = len(re.findall(rb"\n" if self.documents == "lines" else rb"\n\s*\n", beginning))
        return Extent(size, max(1.0, size * breaks / len(beginning))) if beginning else Extent(size, 1.0)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """An unknown encoding, and splits that do not go together with `data.split`."""
        yield from apart(self._encoding_problems(path), self._split_problems(spec, path))

    def _encoding_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if not _is_text_encoding(self.encoding):
            named = {*aliases.values(), "utf-8", "utf-16", "latin-1"}
            near = nearest(self.encoding, sorted(name for name in named if _is_text_encoding(name)))
            hint = f'did you mean "{near}"?' if near else "use utf-8, utf-16, latin-1, cp1252 or another text encoding of Python"
            yield Problem((*path, "encoding"), "unknown-encoding", f"{found(self.encoding)} is not a text encoding", hint)

    def _split_problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        at, split = ("data", "split"), spec.data.split
        if path != ("data", "source"):
            return
        if split.kind == "given" and not isinstance(self.path, dict):
            yield Problem(
                at,
                "split-not-given",
                "split given takes the splits from the source, but data.source.path is one stretch of text",
                "use split: {kind: ratio, validation: 0.1}, or make path a mapping: {train: ..., validation: ...}",
            )
        elif split.kind == "given" and isinstance(self.path, dict):
            for role in ("train", "validation", "test"):
                name = getattr(split, role)
                if name is not None and name not in self.path:
                    near = nearest(name, self.path)
                    hint = f'did you mean "{near}"?' if near else f"add {name} to data.source.path"
                    there = listed(sorted(self.path), "and")
                    yield Problem((*at, role), "missing-split", f"data.source.path has no split {name!r}; it has {there}", hint)
        elif isinstance(self.path, dict):
            yield Problem(
                at,
                "splits-already-given",
                f"split {split.kind} cuts one stretch of text, but data.source.path names splits: {', '.join(sorted(self.path))}",
                "use split: {kind: given, train: train, validation: validation}, or make path one file, glob or list",
            )


def _is_text_encoding(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return codec._is_text_encoding and codec.name.replace("-", "_") not in _NOT_OF_TEXTS  # noqa: SLF001 - the only sign of one


def _each_once(files: Iterable[Path]) -> tuple[Path, ...]:
    """Files without those that lead where one before them does."""
    found: dict[Path, Path] = {}
    given = tuple(files)
    for file, real in zip(given, real_paths(given), strict=True):
        found.setdefault(real, file)
    return tuple(found.values())
