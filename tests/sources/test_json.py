"""The json source: lines and lists give the same rows; each wrong row is named; a column nobody asks for spoils nothing."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources import decoding
from specrun.sources.contract import LoadedTable, SourceRequest, load_table
from specrun.sources.json.options import Options


def load(folder: Path, content: str | bytes) -> LoadedTable:
    (folder / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_table(Options(kind="json", path="a.json"), SourceRequest(folder, lambda _: None))


def values(loaded: LoadedTable, *columns: str) -> list[dict[str, Any]]:
    table = loaded.splits["whole"]
    return [row for batch in table.read(columns or table.schema.names) for row in batch.to_pylist()]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


objects = st.fixed_dictionaries(
    {},
    optional={
        "i": st.integers(-(2**63), 2**63 - 1),
        "n": st.floats(allow_nan=False, allow_infinity=False),
        "b": st.booleans(),
        "s": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=10).map(lambda text: f"s{text}")),
    },
)


@settings(max_examples=60)
@given(st.lists(objects, min_size=1, max_size=8).filter(any), st.sampled_from([8, 64, 1 << 20]))
def test_lines_and_a_list_give_the_rows_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, Any]], block: int
) -> None:
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        names = list(dict.fromkeys(name for row in written for name in row))
        expected = [{name: row.get(name) for name in names} for row in written]
        assert values(load(folder, lines(*written)), *names) == expected
        for indent in (None, 2):
            loaded = load(folder, "\ufeff" + json.dumps(written, indent=indent, ensure_ascii=False))
            assert values(loaded, *names) == expected
            assert loaded.splits["whole"].rows == len(written)


def test_integers_among_numbers_are_numbers_and_texts_that_are_times_are_times(tmp_path: Path) -> None:
    first = {"n": 1, "d": "2024-02-29", "t": "2024-02-29 12:00:00.5", "z": "2024-02-29T12:00:00Z", "s": "2024-02-29", "m": None}
    loaded = load(tmp_path, lines(first, {"n": 0.5, "s": "x"}))
    assert {field.name: str(field.type) for field in loaded.splits["whole"].schema} == {
        "n": "double", "d": "date32[day]", "t": "timestamp[us]", "z": "timestamp[us, tz=UTC]", "s": "string", "m": "null",
    }  # fmt: skip
    row, _ = values(loaded)
    assert (row["d"], row["z"].hour, row["t"].microsecond) == (datetime.date(2024, 2, 29), 12, 500000)


def test_columns_of_several_kinds_or_of_lists_spoil_nothing_until_they_are_asked_for(tmp_path: Path) -> None:
    rows = [{"a": 1, "mixed": 1, "deep": {"x": 1}}, {"a": 2, "mixed": "x", "deep": {"x": "y"}}, {"a": 3, "deep": [1]}]
    loaded = load(tmp_path, lines(*rows))
    assert values(loaded, "a") == [{"a": 1}, {"a": 2}, {"a": 3}]
    for column, code, message in (
        ("mixed", "mixed-column", "row 2: column 'mixed' holds text, rows before it numbers"),
        ("deep", "nested-column", "column 'deep' holds lists or objects"),
    ):
        with pytest.raises(DataError) as caught:
            values(loaded, column)
        assert caught.value.code == code
        assert message in caught.value.message
        assert column in str(caught.value.hint) or code == "nested-column"


def test_an_integer_that_no_64_bits_hold_is_a_number(tmp_path: Path) -> None:
    assert values(load(tmp_path, '{"a": 1}\n{"a": 99999999999999999999}\n')) == [{"a": 1.0}, {"a": 1e20}]


@pytest.mark.parametrize(
    ("content", "code", "message", "hint"),
    [
        ('{"a": 1}\n\n{"a": 2,\n', "not-json", "row 2 (line 3) is not JSON", "an object a line"),
        ("hello\n", "not-json", "row 1 (line 1) is not JSON: Expecting value at character 1", "an object a line"),
        ('{"a": 1, "a": 2}\n', "duplicate-column", "row 1 (line 1) has the key 'a' twice", "leave one"),
        ('{"a": 1}\n[1]\n', "row-not-an-object", "row 2 (line 2) is a list", "write rows such as"),
        ("[1, 2]", "row-not-an-object", "row 1 is 1, not an object", "write rows such as"),
        ('[{"a": 1}, {"a": 2}', "not-json", "after row 2: it does not end", "repair it"),
        ('[{"a": 1}, {"a": }]', "not-json", "after row 1: Expecting value", "repair it"),
        ('[{"a": 1}] more', "not-json", "there is more after its end", "repair it"),
        ("[]", "no-rows", "has no rows", "files that hold objects"),
        ("{}\n", "no-rows", "has no rows", "files that hold objects"),
        ("", "empty-corpus", "is empty", "files that hold rows"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "wrong-encoding", "byte 16 is 0xff (line 2)", "JSON is UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(tmp_path: Path, content: str | bytes, code: str, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        values(load(tmp_path, content))
    assert caught.value.code == code
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
