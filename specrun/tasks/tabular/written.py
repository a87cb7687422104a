"""Numbers that are written as text, as a whole column is where a few of its values are words: the first of these, and what to do.

A source calls a column text as soon as one value is no number. Taken for categories it would be trained on in silence, far worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specrun.errors import DataError
from specrun.sources.csv.notation import decimal_remedy
from specrun.spec.shape import read
from specrun.tasks.tabular.columns import Chosen, form_of
from specrun.tasks.tabular.table import Table

if TYPE_CHECKING:
    from specrun.spec.section import Section

_MOST_WORDS = 0.05
"""A column with a larger share of words is one of categories, some of which happen to be numbers."""
_MOST_NAMED = 12
_SHOWN_CHARACTERS = 80
_NUMBER = r"^\s*[+-]?(\d+(MARK\d*)?|MARK\d+)([eE][+-]?\d+)?\s*$|^\s*[+-]?(?i:nan|inf|infinity)\s*$|^\s*$"
_POINT, _COMMA = _NUMBER.replace("MARK", "[.]"), _NUMBER.replace("MARK", ",")


@dataclass(frozen=True, slots=True)
class _Found:
    """The first value that is no number. bad: how many are none, of all that are there."""

    row: int
    split: str
    text: str
    bad: int
    values: int

    def say(self, name: str) -> str:
        text = self.text if len(self.text) <= _SHOWN_CHARACTERS else self.text[: _SHOWN_CHARACTERS - 1] + "…"
        most = f", and all but {self.bad:,} of the {self.values:,} values are" if self.bad <= _MOST_WORDS * self.values else ""
        return f"{name} in row {self.row} of {self.split} is {text!r}, which is not a number{most}"


def refuse_words(tables: Mapping[str, Table], chosen: Chosen, *, objective: str, source: Section) -> None:
    """Raises: DataError for a word in a column of numbers, and in one without a role in which nearly all values are numbers."""
    schema = tables["train"].schema
    for name, most, remedy in _suspects(chosen, objective):
        if form_of(schema.field(name).type) != "text" or (read(source, "types") or {}).get(name) == "text":
            continue
        found = _first(tables.values(), name, most=most, decimal=read(source, "decimal"))
        if found is not None:
            raise DataError(found.say(name), code="wrong-type", hint=f"{_correction(found, source)}, or {remedy}")


def _suspects(chosen: Chosen, objective: str) -> Iterator[tuple[str, float, str]]:
    """Columns, the share of words in each from which on they are meant, and what makes them be read as words."""
    named = chosen.class_names is not None and len(chosen.targets) == 1
    if objective == "regression" or len(chosen.targets) > 1:
        for name in chosen.targets:
            yield name, 1.0, f"predict classes: task.objective: classification and data.columns.target: {name}"
    elif objective == "auto" and not named:
        yield chosen.targets[0], _MOST_WORDS, "predict classes: task.objective: classification"
    if "numbers" not in chosen.by_type:
        for name in chosen.numbers:
            yield name, 1.0, f"name {name} in data.columns.categories instead of data.columns.numbers"
    if "categories" in chosen.by_type:
        few = len(chosen.categories) <= _MOST_NAMED
        for name in chosen.categories:
            all_of_them = f"data.columns.categories: [{', '.join(chosen.categories)}]"
            yield (
                name,
                _MOST_WORDS,
                f"read {name} as words: " + (all_of_them if few else f"name it in data.columns.categories: [{name}, …]"),
            )


def _first(tables: Iterable[Table], name: str, *, most: float, decimal: str | None) -> _Found | None:
    """The first row of a word; None where there is none, or more than that share. Numbers with a comma are no words to a source that can
    be told of it, but none that can be read either."""
    import pyarrow.compute as pc

    readable, near = (_COMMA if decimal == "," else _POINT), (_COMMA if decimal == "." else None)
    first: tuple[int, str, str] | None = None
    words = bad = values = 0
    for table in tables:
        for batch in table.batches([name]):
            texts = batch[name].words()
            refused = pc.fill_null(pc.invert(pc.match_substring_regex(texts, readable)), False)
            values += len(texts) - texts.null_count
            if not (count := pc.sum(refused).as_py() or 0):
                continue
            them = texts.filter(refused)
            bad, words = bad + count, words + count - (0 if near is None else pc.sum(pc.match_substring_regex(them, near)).as_py())
            row = int(batch[name].row[refused.to_numpy(zero_copy_only=False)][0])
            first = min(first or (row, table.split, them[0].as_py()), (row, table.split, them[0].as_py()))
    if first is None or words > most * values:
        return None
    return _Found(*first, bad, values)


def _correction(found: _Found, source: Section) -> str:
    if (decimal := decimal_remedy(found.text, source)) is not None:
        return decimal
    missing = read(source, "missing") is not None
    return f"correct row {found.row}" + (", or add the word to data.source.missing where it says that there is no value" if missing else "")
