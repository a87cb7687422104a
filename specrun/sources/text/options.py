"""Options of the `text` source: plain UTF-8 files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.sources.extent import Extent
from specrun.sources.file_options import FileOptions
from specrun.sources.text_encodings import encoding_problems
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(FileOptions):
    """Files of text alone: their documents have no columns."""

    factory: ClassVar[str] = "specrun.sources.text.build:build"
    has_columns: ClassVar[bool] = False
    suffix: ClassVar[str] = ".txt"
    holds: ClassVar[str] = "text"

    kind: Literal["text"] = option(impact="weights", description="Plain text files.")
    documents: Literal["files", "lines", "paragraphs"] = option(
        "files",
        impact="weights",
        description="What a document is: a whole file, a line, or a stretch between blank lines; each with its line endings.",
    )
    encoding: str = option("utf-8", impact="weights", description="Encoding of the files, by its Python name; decoding is strict.")

    def _extent(self, files: tuple[Path, ...]) -> Extent:
        size = sum(file.stat().st_size for file in files)
        if self.documents == "files":
            return Extent(size, len(files))
        breaks, read_bytes = self.breaks(files[0], rb"\n" if self.documents == "lines" else rb"\n\s*\n")
        return Extent(size, max(1.0, size * breaks / read_bytes)) if read_bytes else Extent(size, 1.0)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """An unknown encoding, and what any source of files may have."""
        yield from apart(self._encoding_problems(path), super().problems(spec, path))

    def _encoding_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from encoding_problems(self.encoding, path)
