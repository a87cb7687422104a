"""Columns reach the tables the same, as parameters and as Arrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.records.batch import COLUMNS, Batch
from specrun.records.columns import arrow_metrics, metric_columns, type_of
from specrun.records.insertion import insert, insert_arrow
from specrun.records.store import connect, create_tables

POINTS = st.tuples(
    st.sampled_from(["r", "é"]),
    st.integers(1, 3),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.none() | st.floats(0, 1e6),
    st.none() | st.integers(0, 10**15),
    st.integers(0, 2 * 10**15),
)
VALUES = st.dictionaries(st.sampled_from(["train/loss", "a"]), st.floats(), max_size=2)

NOWHERE = Path("absent")
"""Where what overflows memory would go: nothing here does."""


@settings(max_examples=30)
@given(st.lists(st.tuples(POINTS, VALUES), max_size=6))
def test_both_ways_give_the_same_rows(records: list[tuple[tuple[object, ...], dict[str, float]]]) -> None:
    batch = Batch()
    for point, values in records:
        batch.points.append((*point, len(values)))  # type: ignore[arg-type]
        batch.names.extend(values)
        batch.values.extend(values.values())
    found = []
    for arrow in (False, True):
        with connect(NOWHERE) as connection:
            create_tables(connection)
            if arrow:
                insert_arrow(connection, "metrics", arrow_metrics(batch))
            else:
                insert(connection, "metrics", metric_columns(batch))
            found.append(repr(connection.execute("SELECT * FROM metrics").fetchall()))
    assert found[0] == found[1]
    assert found[0].count("datetime.datetime(") == len(batch.values)


def test_every_kind_of_column_arrives_with_its_nulls() -> None:
    with connect(NOWHERE) as connection:
        create_tables(connection)
        steps = {
            "run_id": ["r", "r"],
            "n": [1, None],
            "predicted": [{"seconds": 1, "disk_bytes": 2.5}, None],
            "actual": [{}, {"seconds": 3.0}],
        }
        insert(connection, "steps", steps)
        assert connection.execute("SELECT n, predicted, actual, id FROM steps").fetchall() == [
            (1, {"seconds": 1.0, "disk_bytes": 2.5}, {}, None),
            (None, {}, {"seconds": 3.0}, None),
        ]
        insert(
            connection, "runs", {"run_id": ["r", "s"], "tags": [["a", "b"], None], "smoke": [True, None], "started_at": [1_000_000, None]}
        )
        [first, second] = connection.execute("SELECT tags, smoke, epoch(started_at) FROM runs").fetchall()
        assert first == (["a", "b"], True, 1.0)
        assert second == (None, None, None)
        insert(connection, "params", {"run_id": ["r"], "path": ["p"], "value": ["0.10"]})
        assert connection.execute("SELECT value FROM params").fetchall() == [("0.10",)]


def test_every_column_that_is_filled_is_a_column_of_its_table() -> None:
    with connect(NOWHERE) as connection:
        create_tables(connection)
        for table, columns in COLUMNS.items():
            known = dict(connection.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [table]).fetchall())
            sql = {"text": "VARCHAR", "real": "DOUBLE", "time": "TIMESTAMP", "texts": "VARCHAR[]", "figures": "MAP(VARCHAR, DOUBLE)"}
            for column in columns:
                kind = type_of(table, column)
                assert known[column] in ({"BIGINT", "INTEGER"} if kind == "whole" else {sql[kind]}), (table, column)


@pytest.mark.skipif(duckdb.__version__ < "2", reason="DuckDB before 2.0 imports pandas and Arrow by itself")
def test_a_reader_of_few_records_imports_neither_arrow_nor_pandas(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from specrun.events import Metrics
from specrun.records.journal import Journal
from specrun.records.queries import open_records
store = Path({str(tmp_path)!r})
(store / "runs" / "r").mkdir(parents=True)
with Journal.open(store / "runs" / "r", run_id="r", attempt=1) as journal:
    journal.emit(Metrics(1, {{"a": 1.0}}))
with open_records(store) as records:
    assert len(records.series("r")["a"]) == 1
print([name for name in ("pandas", "pyarrow", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_batch_is_no_trouble(count: int) -> None:
    batch = Batch()
    for _ in range(count):
        batch.points.append(("r", 1, 1, 1, None, None, 1, 0))
    assert metric_columns(batch)["run_id"] == []
    assert arrow_metrics(batch).num_rows == 0
