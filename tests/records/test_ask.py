"""A user's own SQL: one SELECT over the records, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import UsageError
from specrun.records.queries import Records, open_records

NewRun = Callable[..., Any]


@pytest.fixture
def records(store: Path, new_run: NewRun) -> Iterator[Records]:
    new_run("r").log(1, train_loss=2.0).log(2, train_loss=1.0)
    with open_records(store) as opened:
        yield opened


def test_a_select_gives_columns_and_rows(records: Records) -> None:
    assert records.sql("SELECT step, value FROM metrics ORDER BY step") == (["step", "value"], [(1, 2.0), (2, 1.0)])
    assert records.sql("FROM metrics SELECT count(*) AS n") == (["n"], [(2,)])
    assert len(records.sql("SELECT * FROM metrics", limit=1)[1]) == 1


def test_the_tables_of_the_records_are_listed(records: Records) -> None:
    names = {name for (name,) in records.sql("SHOW TABLES")[1]}
    assert {
        "runs",
        "params",
        "metrics",
        "run_summary",
        "system",
        "steps",
        "trials",
        "artifacts",
        "lineage",
        "alerts",
        "examples",
        "meta",
    } <= names


CHANGES = [
    "INSERT INTO living VALUES ('x')",
    "DELETE FROM metrics",
    "UPDATE runs SET name = 'x'",
    "CREATE TABLE t (a INT)",
    "DROP VIEW runs",
    "ATTACH 'x.duckdb'",
    "COPY (SELECT 1) TO 'x.csv'",
    "EXPORT DATABASE 'x'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "CHECKPOINT",
    "CALL pragma_version()",
    "BEGIN TRANSACTION",
    "DETACH snapshot",
    "USE snapshot",
    "VACUUM",
]


@pytest.mark.parametrize("query", CHANGES)
def test_what_is_no_question_is_refused(records: Records, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="sql-not-read-only") as caught:
        records.sql(query)
    assert "SELECT" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_hidden_in_a_question_changes_nothing(records: Records) -> None:
    with pytest.raises(UsageError):
        records.sql("WITH x AS (INSERT INTO living VALUES ('ghost') RETURNING *) SELECT * FROM x")
    assert ("ghost",) not in records.sql("SELECT * FROM living")[1]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM read_csv_auto('https://example.org/x.csv')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM query('SELECT * FROM read_text(''/etc/hostname'')')",
    ],
)
def test_files_and_the_network_are_out_of_reach(records: Records, query: str) -> None:
    with pytest.raises(UsageError, match=r"sql-not-allowed|invalid-sql"):
        records.sql(query)


def test_variables_of_the_program_are_no_tables(records: Records) -> None:
    secret = [("a",)]
    with pytest.raises(UsageError, match="invalid-sql"):
        records.sql("SELECT * FROM secret")
    assert secret


@pytest.mark.parametrize(("query", "count"), [("", 0), ("-- nothing", 0), ("SELECT 1; SELECT 2", 2), ("SELECT 1; DROP VIEW runs", 2)])
def test_there_is_one_statement(records: Records, query: str, count: int) -> None:
    with pytest.raises(UsageError, match=f"sql-not-one-statement: the query has {count} statements"):
        records.sql(query)


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT nope FROM runs", "SELECT * FROM nope", "SELECT 1 / 'a'", "SELECT error('boom')"])
def test_a_wrong_query_is_one_sentence_and_the_next_one_works(records: Records, query: str) -> None:
    with pytest.raises(UsageError, match="invalid-sql") as caught:
        records.sql(query)
    assert "\n" not in caught.value.message
    assert "tables: runs" in str(caught.value)
    assert records.sql("SELECT 1 AS one") == (["one"], [(1,)])
