"""Options of the `csv` source: tables as text, a row a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.sources.file_options import FileOptions
from specrun.sources.text_encodings import encoding_problems
from specrun.sources.value_types import ValueType
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Options(FileOptions):
    """Types of columns hold for all files: a column is of the first of integer, number, boolean, date, time that each of its values in
    each file is, else text."""

    factory: ClassVar[str] = "specrun.sources.csv.build:build"
    suffix: ClassVar[str] = ".csv"

    kind: Literal["csv"] = option(impact="weights", description="Tables as text, such as .csv, .tsv and .csv.gz.")
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="For tasks on text: whether a row is a document, or all rows of a split joined make one."
    )
    delimiter: str = option(",", impact="weights", description="Character between two values.", examples=["\t"], min_length=1, max_length=1)
    quote: str | None = option(
        '"',
        impact="weights",
        description="Character around a value with delimiters or line ends in it, doubled inside; null means there is none.",
        min_length=1,
        max_length=1,
    )
    names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)] | None = option(
        None, impact="weights", description="Names of the columns where the files have no header; absent means the first line is one."
    )
    encoding: str = option("utf-8", impact="weights", description="Encoding of the files, by its Python name; decoding is strict.")
    missing: tuple[str, ...] = option(
        ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"),
        impact="weights",
        description="Words that stand for a missing value, unless they are in quotes.",
        max_length=100,
    )
    types: dict[str, ValueType] = option(
        {}, impact="weights", description="Types of columns that shall not be found from their values, by name.", examples=[{"zip": "text"}]
    )
    decimal: Literal[".", ","] = option(".", impact="weights", description="Character between a number's whole part and its fraction.")
    time_format: str | None = option(
        None,
        impact="weights",
        description="How dates and times are written, by the signs of strptime; absent means ISO 8601, such as 2024-12-31 23:59:00.",
        examples=["%d/%m/%Y %H:%M"],
        min_length=1,
    )

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """An unknown encoding, characters that cannot be told apart, and what any source of files may have."""
        yield from apart(self._encoding(path), self._characters(path), self._names(path), super().problems(spec, path))

    def _encoding(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from encoding_problems(self.encoding, path)

    def _characters(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for name, sign in (("delimiter", self.delimiter), ("quote", self.quote)):
            if sign is not None and (sign in "\r\n\0" or not sign.isascii()):
                hint = 'use one such as "," ";" "\\t" or "|"'
                yield Problem((*path, name), "unusable-character", f"{sign!r} cannot separate values", hint)
        if self.delimiter == self.quote:
            yield Problem((*path, "quote"), "unusable-character", f"delimiter and quote are both {self.quote!r}", 'use quote: "\\""')
        if self.delimiter == self.decimal and self.quote is None:
            message = f"delimiter and decimal are both {self.decimal!r}, and no quotes tell them apart"
            yield Problem((*path, "decimal"), "unusable-character", message, 'use delimiter: ";"')

    def _names(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        names = self.names or ()
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            yield Problem((*path, "names"), "duplicate-column", f"names gives {twice!r} twice", "give each column a name of its own")
