"""Builds the `text` source: files decoded strictly, cut into documents as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from specrun.sources.contract import Documents, LoadedText, SourceRequest
from specrun.sources.decoding import decoded_blocks
from specrun.sources.source_files import find_files
from specrun.sources.text.options import Options


def build(options: Options, request: SourceRequest) -> LoadedText:
    """Files by split. Raises SourceUnavailable for missing files and DataError for a split whose files hold nothing.

    What is wrong inside a file (bytes that do not decode, binary content) is raised when the file is read.
    """
    found = find_files(options, request)
    splits = {split: _documents(of_split, options) for split, of_split in found.by_split.items()}
    facts = {"encoding": options.encoding, "documents": options.documents, **found.facts}
    return LoadedText(splits, facts, found.warnings, found.variant)


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
