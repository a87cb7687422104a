"""The csv source: types hold for whole files, values come back as they were written, and each wrong row is named with its line."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources.contract import LoadedTable, SourceRequest, load_table, load_text
from specrun.sources.csv import rows
from specrun.sources.csv.options import Options
from specrun.spec.splits.ratio import Options as Ratio

NOON = datetime.datetime(2024, 2, 29, 12)


def load(folder: Path, content: str | bytes, **options: Any) -> LoadedTable:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "a.csv").write_bytes(data)
    return load_table(Options(kind="csv", path="a.csv", **options), SourceRequest(folder, lambda _: None))


def values(loaded: LoadedTable, split: str = "whole") -> list[dict[str, Any]]:
    table = loaded.splits[split]
    return [row for batch in table.read(table.schema.names) for row in batch.to_pylist()]


def types(loaded: LoadedTable, split: str = "whole") -> dict[str, str]:
    return {field.name: str(field.type) for field in loaded.splits[split].schema}


def test_each_column_is_of_the_first_type_that_all_its_values_are(tmp_path: Path) -> None:
    text = (
        "i,n,b,d,t,z,s,m\n"
        "1,1,true,2024-02-29,2024-02-29,2024-02-29T12:00Z,x,\n"
        "-2,2.5,False,2024-03-01,2024-02-29 12:00,2024-02-29T13:00+01:00,,NA\n"
    )
    loaded = load(tmp_path, text)
    assert types(loaded) == {
        "i": "int64", "n": "double", "b": "bool", "d": "date32[day]", "t": "timestamp[us]", "z": "timestamp[us, tz=UTC]", "s": "string",
        "m": "null",
    }  # fmt: skip
    first, second = values(loaded)
    assert (first["i"], first["n"], second["b"], first["d"], second["t"]) == (1, 1.0, False, NOON.date(), NOON)
    assert first["z"] == second["z"] == NOON.replace(tzinfo=datetime.UTC)
    assert (second["s"], second["m"]) == (None, None)
    assert loaded.splits["whole"].rows == loaded.facts["rows"]["whole"] == 2


def test_a_value_at_the_end_decides_the_type_of_all_in_every_file_and_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 64)
    (tmp_path / "1.csv").write_text("a,b\n" + "1,1\n" * 100)
    (tmp_path / "2.csv").write_text("b,a\n1,2\n1,2.5\n")
    (tmp_path / "v.csv").write_text("a,b\n3,x\n")
    options = Options(kind="csv", path={"train": ("1.csv", "2.csv"), "validation": "v.csv"})
    loaded = load_table(options, SourceRequest(tmp_path, lambda _: None))
    assert types(loaded, "train") == types(loaded, "validation") == {"a": "double", "b": "string"}
    assert values(loaded, "train")[-1] == {"a": 2.5, "b": "1"}
    assert len(values(loaded, "train")) == 102


cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8))


@settings(max_examples=60)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_texts_come_back_as_the_standard_library_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[Any, Any]]
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b"), *((first or "", second or "") for first, second in written)])
    loaded = load(tmp_path_factory.mktemp("csv"), stream.getvalue(), types={"a": "text", "b": "text"})
    assert [(row["a"], row["b"]) for row in values(loaded)] == [(first or "", second or "") for first, second in written]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a;b\n1,5;x\n", {"delimiter": ";", "decimal": ","}, {"a": 1.5, "b": "x"}),
        ("a\tb\n1\t'x\ty'\n", {"delimiter": "\t", "quote": "'"}, {"a": 1, "b": "x\ty"}),
        ('a,b\n1,5" pipe\n', {"quote": None}, {"a": 1, "b": '5" pipe'}),
        ("1,x\n", {"names": ("a", "b")}, {"a": 1, "b": "x"}),
        ("a,b\n1,-\n", {"missing": ("-",)}, {"a": 1, "b": None}),
        ("a,b\n007,NA\n", {"types": {"a": "text"}}, {"a": "007", "b": None}),
        ("a\n29/02/2024 12\n", {"time_format": "%d/%m/%Y %H"}, {"a": NOON}),
        ("ä\nü\n".encode("latin-1"), {"encoding": "latin-1"}, {"ä": "ü"}),
        ("ä\nü\n".encode("utf-16"), {"encoding": "utf-16"}, {"ä": "ü"}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", {}, {"a": 1, "b": 2}),
        ("\n\na,b\n 1 ,2", {}, {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_read_as_it_is_meant(tmp_path: Path, content: Any, options: Any, expected: dict[str, Any]) -> None:
    assert values(load(tmp_path, content, **options)) == [expected]


@pytest.mark.parametrize(
    ("content", "options", "code", "message", "hint"),
    [
        ("a,b\n1,2\n3\n", {}, "ragged-row", "row 2 (line 3) has 1 value, the header 2: '3'", "complete the row"),
        ('a,b\n1,"x\ny"\n\n3,4,5\n', {}, "ragged-row", "row 2 (line 5) has 3 values", "in quotes"),
        ("1,2,3\n", {"names": ("a", "b")}, "ragged-row", "row 1 (line 1) has 3 values, data.source.names 2", "delimiter"),
        ("", {}, "empty-corpus", "is empty", "files that hold rows"),
        ("\n\n", {}, "empty-file", "is empty", "remove it"),
        ("a,b\n", {}, "no-rows", "a header and no rows", "files that hold rows"),
        ("a,b,a\n1,2,3\n", {}, "duplicate-column", "columns 1 and 3 both 'a'", "a name of its own"),
        ("a;b\n1;2\n", {}, "wrong-delimiter", "one column, 'a;b'", 'set data.source.delimiter: ";"'),
        ("a\tb\n1\t2\n", {}, "wrong-delimiter", "one column", 'set data.source.delimiter: "\\t"'),
        ("a,b\n1,x\n2,é\n".encode("latin-1"), {}, "wrong-encoding",
         "byte 10 is 0xe9 (line 3), which is not utf-8: invalid continuation byte; row 2",
         "set data.source.encoding: cp1252"),
        (b"a,b\n\x00\xff,1\n", {}, "binary-file", "a zero byte at byte 4", "convert it to text"),
        ('a,b\n1,2\n"3,4\n5,6\n', {}, "unclosed-quote", "the row on line 3 opens a quote", "close it"),
        ('a,b\n1,"2\n5,6\n', {}, "unclosed-quote", "the row on line 2 opens a quote", "close it"),
        ("a,b\n1,2\n2,3\nx,3\n", {"types": {"a": "integer"}}, "wrong-type", "row 3: column 'a' holds 'x', which is no integer",
         "types: {a: text}"),
        ("price\n1\n", {"types": {"prise": "integer"}}, "missing-column", "names 'prise'", 'did you mean "price"?'),
        ("a,b\n1,2\n", {"names": ("a", "b")}, "header-read-as-row", "the names themselves", "remove data.source.names"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_row(tmp_path: Path, content: Any, options: Any, code: str, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        values(load(tmp_path, content, **options))
    assert caught.value.code == code
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_files_of_a_split_without_the_same_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,1\n")
    (tmp_path / "2.csv").write_text("a,c\n1,1\n")
    with pytest.raises(DataError, match=r"2\.csv: lacks 'b', and has 'c', which 1\.csv has not") as caught:
        load_table(Options(kind="csv", path="*.csv"), SourceRequest(tmp_path, lambda _: None))
    assert caught.value.code == "columns-differ"


def test_a_column_without_a_name_gets_one_and_a_warning(tmp_path: Path) -> None:
    loaded = load(tmp_path, ",b\n0,1\n")
    assert values(loaded) == [{"column_1": 0, "b": 1}]
    assert loaded.warnings[0][0] == "unnamed-column"


def test_a_row_longer_than_a_block_makes_the_block_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 64)
    loaded = load(tmp_path, "a,b\n1,x\n2," + "y" * 3000 + "\n")
    assert [len(row["b"]) for row in values(loaded)] == [1, 3000]
    monkeypatch.setattr(rows, "_LONGEST_ROW_BYTES", 512)
    with pytest.raises(DataError) as caught:
        load(tmp_path, "a,b\n2," + "y" * 3000 + "\n")
    assert caught.value.code == "row-too-long"


def test_a_packed_file_reads_as_the_file_in_it_and_a_broken_off_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n"))
    options, request = Options(kind="csv", path="a.csv.gz"), SourceRequest(tmp_path, lambda _: None, "b")
    assert values(load_table(options, request)) == [{"a": 1, "b": "x"}]
    assert list(load_text(options, request).splits["whole"]) == ["x"]
    (tmp_path / "a.csv.gz").write_bytes((tmp_path / "a.csv.gz").read_bytes()[:-9])
    with pytest.raises(DataError, match="broken off") as caught:
        load_table(options, request)
    assert caught.value.code == "damaged-archive"


@pytest.mark.parametrize(
    ("options", "code", "at"),
    [
        ({"delimiter": '"'}, "unusable-character", "quote"),
        ({"delimiter": "\n"}, "unusable-character", "delimiter"),
        ({"decimal": ",", "quote": None}, "unusable-character", "decimal"),
        ({"names": ("a", "b", "a")}, "duplicate-column", "names"),
        ({"encoding": "hex"}, "unknown-encoding", "encoding"),
    ],
)
def test_options_that_contradict_each_other_are_found_without_a_file(options: dict[str, Any], code: str, at: str) -> None:
    from types import SimpleNamespace

    spec: Any = SimpleNamespace(data=SimpleNamespace(split=Ratio(kind="ratio")))
    (found,) = Options(kind="csv", path="a.csv", **options).problems(spec, ("data", "source"))
    assert (found.code, found.path) == (code, ("data", "source", at))
