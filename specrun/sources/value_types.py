"""Which type the values of a column have, found over all of them, block by block; and text made into values of that type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specrun.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ValueType = Literal["text", "integer", "number", "boolean", "date", "time"]
Form = str
"""What values are read as: a ValueType, or `zoned` for times that say their distance to UTC."""
ALL_FORMS: tuple[Form, ...] = ("integer", "number", "boolean", "date", "time", "zoned")
_IMPLIED: Mapping[Form, Form] = {"number": "integer", "time": "date"}
"""Every integer is a number, every date a time."""
_FORMS: Mapping[ValueType, tuple[Form, ...]] = {"time": ("time", "zoned")}
_EXAMPLES = {"integer": "12", "number": "1.5", "boolean": "true or false", "date": "2024-12-31", "time": "2024-12-31 23:59:00"}
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Notation:
    """How values are written as text. forms: that they may have; declared: types of columns that are not to be found; decimal: character
    before a fraction; time_format: by the signs of strptime, None for ISO 8601."""

    forms: tuple[Form, ...] = ALL_FORMS
    declared: Mapping[str, ValueType] = field(default_factory=dict)
    decimal: str = "."
    time_format: str | None = None


class TypeInference:
    """Takes every value of every column once. A column is of the first form that all of its values are; text where none is."""

    def __init__(self, notation: Notation) -> None:
        self._notation = notation
        self._possible: dict[str, list[Form]] = {}
        self._with_values: set[str] = set()

    def add(self, batch: pa.RecordBatch, *, file: Path, rows_before: int) -> None:
        """Raises DataError for a value that is not of the type that `types` says. rows_before: of the batch, in the file."""
        for name, texts in zip(batch.schema.names, batch.columns, strict=True):
            if texts.null_count == len(texts) or self._notation.declared.get(name) == "text":
                continue
            self._with_values.add(name)
            possible = self._possible.setdefault(name, self._first_forms(name))
            kept = [form for form in possible if self._fits(texts, form, possible)]
            if not kept and name in self._notation.declared:
                raise self._wrong(texts, name, possible, file=file, rows_before=rows_before)
            self._possible[name] = kept

    def form(self, name: str) -> Form | None:
        """What a column's values are; None for one without any."""
        if self._notation.declared.get(name) == "text":
            return "text"
        if name not in self._with_values:
            declared = self._notation.declared.get(name)
            return None if declared is None else self._first_forms(name)[0]
        return next(iter(self._possible[name]), "text")

    def _first_forms(self, name: str) -> list[Form]:
        declared = self._notation.declared.get(name)
        return list(self._notation.forms if declared is None else _FORMS.get(declared, (declared,)))

    def _fits(self, texts: Any, form: Form, possible: list[Form]) -> bool:
        implied = _IMPLIED.get(form)
        if implied in possible and self._notation.time_format is None and _converted(texts, implied, self._notation) is not None:
            return True
        return _converted(texts, form, self._notation) is not None

    def _wrong(self, texts: Any, name: str, forms: list[Form], *, file: Path, rows_before: int) -> DataError:
        low, high = 0, len(texts)  # the first `low` fit, the first `high` do not
        while high - low > 1:
            middle = (low + high) // 2
            fits = any(_converted(texts[:middle], form, self._notation) is not None for form in forms)
            low, high = (middle, high) if fits else (low, middle)
        value = texts[low].as_py()
        shown = value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…"
        declared = self._notation.declared[name]
        example = _EXAMPLES[declared] if self._notation.time_format is None or declared != "time" else f"as {self._notation.time_format}"
        return DataError(
            f"{file}: row {rows_before + low + 1:,}: column {name!r} holds {shown!r}, which is no {declared} (such as {example})",
            code="wrong-type",
            hint=f"repair it, add it to data.source.missing, or set data.source.types: {{{name}: text}}",
        )


def convert(texts: Any, form: Form | None, notation: Notation) -> Any:
    """Values of a form that all of them are known to have."""
    import pyarrow as pa

    if form is None:
        return pa.nulls(len(texts))
    found = _converted(texts, form, notation)
    assert found is not None, form
    return found


def arrow_type(form: Form | None) -> pa.DataType:
    """The type of the values of a form."""
    import pyarrow as pa

    types = {None: pa.null(), "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(),
             "date": pa.date32(), "time": pa.timestamp("us"), "zoned": pa.timestamp("us", "UTC")}  # fmt: skip
    return types[form]


def _converted(texts: Any, form: Form, notation: Notation) -> Any | None:
    """Text as values of a form; None where it does not have it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if form == "text":
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    try:
        if form in ("date", "time", "zoned") and notation.time_format is not None:
            return _by_format(trimmed, form, notation.time_format)
        if form == "number" and notation.decimal == ",":
            trimmed = pc.replace_substring(trimmed, ",", ".")
        return pc.cast(trimmed, arrow_type(form))
    except pa.ArrowInvalid:
        return None


def _by_format(texts: Any, form: Form, time_format: str) -> Any | None:
    """Times by the signs of strptime; with %z they are moments of UTC, without one times of day wherever the data is from."""
    import pyarrow.compute as pc

    if form != ("zoned" if "%z" in time_format else "time"):
        return None
    moments = pc.strptime(texts, format=time_format, unit="us")
    return pc.cast(moments, arrow_type(form))
