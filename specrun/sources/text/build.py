"""Builds the `text` source: files decoded strictly, cut into documents as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from specrun.errors import DataError
from specrun.sources.contract import Documents, LoadedText, SourceRequest, SourceUnavailable
from specrun.sources.files import is_glob, located, matches
from specrun.sources.text.decoding import decoded_blocks
from specrun.sources.text.options import Options


def build(options: Options, request: SourceRequest) -> LoadedText:
    """Files by split. Raises SourceUnavailable for missing files and DataError for a split whose files hold nothing.

    What is wrong inside a file (bytes that do not decode, binary content) is raised when the file is read.
    """
    for patterns in options.patterns().values():
        for pattern in patterns:
            if not matches(pattern, request.base_folder):
                raise _nothing_there(pattern, request.base_folder)
    files = options.files(request.base_folder)
    for split, of_split in files.items():
        if not any(file.stat().st_size for file in of_split):
            names = ", ".join(str(file) for file in of_split[:3])
            raise DataError(f"{names}: every file of split {split!r} is empty", code="empty-corpus", hint="name files that hold text")
    splits = {split: _documents(of_split, options) for split, of_split in files.items()}
    facts = {
        "encoding": options.encoding,
        "documents": options.documents,
        "files": {split: [file.name for file in of_split[:20]] for split, of_split in files.items()},
        "file_count": sum(len(of_split) for of_split in files.values()),
        "bytes": sum(file.stat().st_size for of_split in files.values() for file in of_split),
    }
    return LoadedText(splits, facts)


def _nothing_there(pattern: str, base: Path) -> SourceUnavailable:
    path = located(pattern, base)
    if path.is_dir():
        return SourceUnavailable(f"{path} is a folder", code="folder-not-file", hint=f"name its files, such as {pattern}/*.txt")
    what = "matches no file" if is_glob(pattern, base) else "does not exist"
    return SourceUnavailable(f"{path} {what}", code="missing-file", hint="check data.source.path")


def _documents(files: Sequence[Path], options: Options) -> Documents:
    cut = _CUTS[options.documents]

    def read() -> Iterator[str]:
        for file in files:
            yield from cut(decoded_blocks(file, options.encoding))

    return Documents(read)


def whole(blocks: Iterable[str]) -> Iterator[str]:
    """The file as one document."""
    yield "".join(blocks)


def lines(blocks: Iterable[str]) -> Iterator[str]:
    """Each line with its line ending; lines of white space alone belong to none."""
    return (line for line in _lines(blocks) if not line.isspace())


def paragraphs(blocks: Iterable[str]) -> Iterator[str]:
    """Each run of lines that are not blank, with their line endings."""
    paragraph: list[str] = []
    for line in _lines(blocks):
        if not line.isspace():
            paragraph.append(line)
        elif paragraph:
            yield "".join(paragraph)
            paragraph = []
    if paragraph:
        yield "".join(paragraph)


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    r"""Lines end at \n alone: a carriage return or another separator of Unicode stays inside its line."""
    begun: list[str] = []
    for block in blocks:
        first, *others = block.split("\n")
        begun.append(first)
        for other in others:
            yield "".join(begun) + "\n"
            begun = [other]
    if last := "".join(begun):
        yield last


_CUTS: dict[str, Callable[[Iterable[str]], Iterator[str]]] = {"files": whole, "lines": lines, "paragraphs": paragraphs}
