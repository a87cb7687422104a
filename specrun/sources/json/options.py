"""Options of the `json` source: an object a row."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.sources.file_options import FileOptions
from specrun.spec.section import option


class Options(FileOptions):
    """Files of one object a line, or of one list of objects. A row that has not a column of another has none of its values."""

    factory: ClassVar[str] = "specrun.sources.json.build:build"
    suffix: ClassVar[str] = ".jsonl"

    kind: Literal["json"] = option(impact="weights", description="JSON: an object a line (.jsonl), or a list of objects; .gz too.")
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="For tasks on text: whether a row is a document, or all rows of a split joined make one."
    )
