"""Options of the `text` source: plain UTF-8 files."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """Files by path or glob. Relative paths start at the spec's folder, or the current folder for values of `--set`.

    A mapping gives the splits: {train: ..., validation: ...}; a single path is one stretch, to be cut by `data.split`.
    """

    factory: ClassVar[str] = "specrun.sources.text.build:build"
    kind: Literal["text"] = option(impact="weights", description="Plain text files.")
    path: str | tuple[str, ...] | dict[str, str | tuple[str, ...]] = option(
        impact="runtime",  # what the files hold enters keys as a digest; where they lie does not
        description="File, glob, list of them, or a mapping from split to them.",
    )
    documents: Literal["files", "lines", "paragraphs"] = option(
        "files", impact="weights", description="What a document is: a whole file, a line, or a stretch between blank lines."
    )
    encoding: str = option("utf-8", impact="weights", description="Encoding of the files, by its Python name; decoding is strict.")
