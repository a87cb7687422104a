"""Which columns the objects of JSON files have and of what kind their values are, found over all of them, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.errors import DataError
from specrun.sources.json.objects import Block, rows_of
from specrun.sources.value_types import Notation, TypeInference, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

Kind = str
"""null, boolean, integer, number, text, or nested: a list or an object."""
_WORDS = {"boolean": "truth values", "integer": "numbers", "number": "numbers", "text": "text", "nested": "lists or objects"}
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def parse(data: bytes, schema: pa.Schema, *, infer: bool) -> pa.Table:
    """The rows of a block, fast. schema: of columns whose type is known; infer: whether others are read too. Raises pa.ArrowInvalid."""
    import pyarrow as pa
    import pyarrow.json as arrow_json

    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer" if infer else "ignore"),
    )


class Kinds:
    """Takes every block once. Integers among numbers are numbers; a column of any other mixture cannot be read, and is told of where it
    is asked for. Texts that are all dates or times are those."""

    notation = Notation(forms=("date", "time", "zoned"))

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._mixed: dict[str, str] = {}
        self._nested: dict[str, pa.DataType] = {}
        self._times = TypeInference(self.notation)

    @property
    def names(self) -> Sequence[str]:
        return list(self._kinds)

    def add(self, path: Path, block: Block) -> tuple[int, Sequence[str]]:
        """Returns: the block's rows, and its columns. Raises DataError for what is no JSON object."""
        import pyarrow as pa

        known = [name for name in self._kinds if self.is_text(name)]
        try:
            table = parse(block.data, _as_text(known), infer=True)
            order = table.schema.names
            guessed = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
            if guessed:
                table = parse(block.data, _as_text([*known, *guessed]), infer=True)
        except pa.ArrowInvalid:
            return self._add_slowly(path, block)
        kinds = {field.name: _of_type(field.type) for field in table.schema}
        self._nested.update({name: table.schema.field(name).type for name, kind in kinds.items() if kind == "nested"})
        changed = [name for name, kind in kinds.items() if not self._takes(name, kind)]
        if changed:
            return self._add_slowly(path, block)
        self._add_times(table, path)
        return table.num_rows, order

    def _add_slowly(self, path: Path, block: Block) -> tuple[int, Sequence[str]]:
        import pyarrow as pa

        texts: dict[str, list[str]] = {}
        rows = 0
        for number, row in rows_of(path, block):
            rows += 1
            for name, value in row.items():
                kind = _of_value(value)
                if not self._takes(name, kind) and name not in self._mixed:
                    held, here = _WORDS[self._kinds[name]], _WORDS[kind]
                    self._mixed[name] = f"{path}: row {number:,}: column {name!r} holds {here}, rows before it {held}"
                if kind == "nested":
                    self._nested.setdefault(name, pa.list_(pa.null()))
                if kind == "text":
                    texts.setdefault(name, []).append(value)
        for name, values in texts.items():
            self._add_times(pa.table({name: pa.array(values, pa.string())}), path)
        return rows, self.names

    def _takes(self, name: str, kind: Kind) -> bool:
        """Whether values of a kind go with those that a column has had; if so, it has them now."""
        had = self._kinds.get(name, "null")
        if {had, kind} == {"integer", "number"}:
            self._kinds[name] = "number"
        elif had == "null":
            self._kinds[name] = kind
        return kind == "null" or had in ("null", kind) or {had, kind} == {"integer", "number"}

    def _add_times(self, table: pa.Table, path: Path) -> None:
        for batch in table.select([name for name in table.schema.names if self.is_text(name)]).to_batches():
            self._times.add(batch, file=path, rows_before=0)

    def is_text(self, name: str) -> bool:
        """Whether values are written as texts, and each of them is one."""
        return self._kinds.get(name) == "text" and name not in self._mixed

    def form(self, name: str) -> str:
        """What a column's texts are."""
        return self._times.form(name) or "text"

    def field(self, name: str) -> pa.Field:
        """A column with its type; one of a mixture is called text."""
        import pyarrow as pa

        kind = self._kinds[name]
        if name in self._mixed:
            return pa.field(name, pa.string())
        if kind == "nested":
            return pa.field(name, self._nested[name])
        return pa.field(name, arrow_type(self.form(name) if kind == "text" else None if kind == "null" else kind))

    def check(self, columns: Iterable[str]) -> None:
        """Raise DataError for columns whose values are of several kinds, or lists or objects."""
        for name in columns:
            if name in self._mixed:
                hint = f"write values of one kind, or leave {name} out of data.columns"
                raise DataError(self._mixed[name], code="mixed-column", hint=hint)
            if self._kinds[name] == "nested":
                message = f"column {name!r} holds lists or objects; a column holds one value a row"
                hint = "write its values to columns of their own, or leave it out of data.columns"
                raise DataError(message, code="nested-column", hint=hint)


def _as_text(names: Iterable[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in names])


def _of_type(kind: pa.DataType) -> Kind:
    import pyarrow as pa

    tests: Mapping[Kind, Any] = {"null": pa.types.is_null, "boolean": pa.types.is_boolean, "integer": pa.types.is_integer,
                                 "number": pa.types.is_floating, "text": pa.types.is_string}  # fmt: skip
    return next((name for name, test in tests.items() if test(kind)), "nested")


def _of_value(value: Any) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if _SMALLEST <= value <= _LARGEST else "number"
    named: Mapping[type, Kind] = {type(None): "null", float: "number", str: "text"}
    return named.get(type(value), "nested")
