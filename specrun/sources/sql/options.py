"""Options of the `sql` source: rows that a query makes of local files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.sources.file_options import FileOptions
from specrun.spec.bounds import found
from specrun.spec.section import Problem, apart, option
from specrun.spec.shape import valid_items
from specrun.spec.units import ByteSize

if TYPE_CHECKING:
    from specrun.spec.document import Spec

READERS: Mapping[str, str] = {
    ".parquet": "read_parquet({files})",
    ".csv": "read_csv({files}, sample_size = -1)",
    ".tsv": "read_csv({files}, sample_size = -1)",
    ".json": "read_json({files}, sample_size = -1)",
    ".jsonl": "read_json({files}, sample_size = -1)",
    ".ndjson": "read_json({files}, sample_size = -1)",
}
"""What reads a file, by the end of its name without .gz. Types of columns are found over whole files."""
_VIEW = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
Query = Annotated[str, Field(min_length=1, max_length=100_000)]


class Options(FileOptions):
    """The query is one SELECT of DuckDB's SQL; it sees the files of `path` as tables and nothing else.

    Its rows are kept as they come; ORDER BY says in which order where the query does more than choose and change rows.
    """

    factory: ClassVar[str] = "specrun.sources.sql.build:build"
    suffix: ClassVar[str] = ".parquet"
    splits_key: ClassVar[str] = "query"
    isolated: ClassVar[bool] = True

    kind: Literal["sql"] = option(impact="weights", description="A query over local files.")
    path: dict[str, str | tuple[str, ...]] = option(
        impact="runtime",  # what the files hold enters keys as a digest; where they lie does not
        description="Mapping from the name of a table to its files, by path, glob, address or a list of them: Parquet, CSV or JSON.",
        examples=[{"trips": "data/trips/*.parquet", "zones": "data/zones.csv"}],
        min_length=1,
        max_length=1000,
    )
    query: Query | dict[str, Query] = option(
        impact="weights",
        description="SELECT whose rows are the data, or a mapping from split to one.",
        examples=["SELECT * FROM trips WHERE distance > 0"],
        min_length=1,
    )
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="For tasks on text: whether a row is a document, or all rows of a split joined make one."
    )
    memory: ByteSize = option(
        "1 GiB", impact="runtime", description="Memory that the query may take; what it needs beyond goes to the disk.", examples=["4 GiB"]
    )

    def queries(self) -> Mapping[str, str]:
        """The query of each split."""
        return self.query if isinstance(self.query, dict) else {WHOLE: self.query}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """Nothing: how much a query gives, only running it would tell."""
        return {}

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """Files that are not there; one in two tables is no mistake."""
        from specrun.sources.existence import missing_files

        yield from missing_files(self, path, base, severity, repeated=False)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Files that nothing reads, and what any source of files may have."""
        yield from apart(self._format_problems(path), super().problems(spec, path))

    def _format_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for view, patterns in self.patterns().items():
            if not _VIEW.fullmatch(view):
                message = f"{found(view)} cannot be a table's name"
                yield Problem((*path, "path", view), "unusable-name", message, "use letters, digits and _, such as trips")
            given = {reader_of(pattern.partition("?")[0]) for _, pattern in valid_items(patterns)}
            if None in given or len(given) > 1:
                what = "ends in none of the known ways" if None in given else "are of several formats"
                message = f"the files of {view} {what}"
                hint = f"name files of one format: {', '.join(READERS)}, or .gz of them"
                yield Problem((*path, "path", view), "unknown-format", message, hint)


def reader_of(name: str) -> str | None:
    """The end of a file's name that says what reads it; None where nothing does."""
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in READERS if plain.endswith(suffix)), None)
