"""The parquet source: rows and types as they are in the files; what does not go together is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrun.errors import DataError
from specrun.sources.contract import LoadedTable, SourceRequest, load_table, load_text
from specrun.sources.parquet.options import Options


def load(folder: Path, path: Any) -> LoadedTable:
    return load_table(Options(kind="parquet", path=path), SourceRequest(folder, lambda _: None))


def test_rows_come_in_the_order_of_the_files_with_their_types_and_dictionaries_as_what_is_in_them(tmp_path: Path) -> None:
    words = pa.array(["x", None]).dictionary_encode()
    pq.write_table(pa.table({"n": pa.array([1, 2], pa.int8()), "w": words}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"w": pa.array(["y"]).dictionary_encode(), "n": pa.array([3], pa.int8())}), tmp_path / "2.parquet")
    table = load(tmp_path, {"train": "*.parquet"}).splits["train"]
    assert (table.rows, str(table.schema.field("n").type), str(table.schema.field("w").type)) == (3, "int8", "string")
    for _ in range(2):
        assert [row for batch in table.read(["w", "n"]) for row in batch.to_pylist()] == [
            {"w": "x", "n": 1}, {"w": None, "n": 2}, {"w": "y", "n": 3},
        ]  # fmt: skip


@pytest.mark.parametrize(("documents", "expected"), [("rows", ["a", "", "b"]), ("joined", ["ab"])])
def test_texts_are_the_text_column(tmp_path: Path, documents: Any, expected: list[str]) -> None:
    pq.write_table(pa.table({"body": ["a", None, "b"]}), tmp_path / "a.parquet")
    options = Options(kind="parquet", path="a.parquet", documents=documents)
    assert list(load_text(options, SourceRequest(tmp_path, lambda _: None, "body")).splits["whole"]) == expected


def test_what_is_no_table_or_goes_with_no_other_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"c": ["x"]}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet")
    (tmp_path / "broken.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    for path, code, message in (
        (("a.parquet", "b.parquet"), "types-differ", "'a' holds string, in a.parquet int64"),
        (("a.parquet", "c.parquet"), "columns-differ", "lacks 'a'"),
        ("empty.parquet", "no-rows", "no rows"),
        ("twice.parquet", "duplicate-column", "two columns 'a'"),
        ("broken.parquet", "unreadable-parquet", "broken.parquet is not whole"),
    ):
        with pytest.raises(DataError) as caught:
            load(tmp_path, path)
        assert caught.value.code == code
        assert message in caught.value.message
