"""`specrun sql`: formats, limits, refusals."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.cli.main import run as specrun
from specrun.cli.sql import csv_text
from specrun.events import Metrics
from specrun.records.journal import Journal
from specrun.records.run_files import write_run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    write_run(folder, {"format_version": 1, "name": "=cmd()", "tags": ["a", "b"], "started_at": "2026-01-02T03:04:05Z"})
    with Journal.open(folder, run_id="r", attempt=1) as journal:
        journal.emit(Metrics(1, {"loss": 2.5}))
        journal.emit(Metrics(2, {"loss": float("nan")}))
    return tmp_path


def ask(store: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = specrun(["sql", *arguments, "--store", str(store)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_an_answer_is_a_table(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ask(store, capsys, "SELECT step, value, tags FROM metrics JOIN runs USING (run_id) ORDER BY step")
    assert (code, err) == (0, "")
    assert out == 'step  value  tags\n   1  2.500  ["a", "b"]\n   2    nan  ["a", "b"]\n'


def test_json_is_strict_and_flags_what_it_has_no_word_for(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (("--format", "json"), ("--json",)):
        _, out, _ = ask(store, capsys, "SELECT r.started_at, m.value, r.tags FROM metrics m, runs r ORDER BY step", *option)
        document = json.loads(out, parse_constant=pytest.fail)
        assert document["columns"] == ["started_at", "value", "tags"]
        assert document["rows"] == [["2026-01-02T03:04:05Z", 2.5, ["a", "b"]], ["2026-01-02T03:04:05Z", None, ["a", "b"]]]
        assert document["non_finite"] == [[["rows", 1, 1], "nan"]]


def test_csv_texts_cannot_be_formulas_and_numbers_are_untouched(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT name, -1.5 AS n, -2.5::DOUBLE AS d, '+1' AS p, '-2' AS m, '@x' AS a, ' =1' AS s, 'x=1' AS ok FROM runs"
    _, out, _ = ask(store, capsys, query, "--format", "csv")
    assert out == "name,n,d,p,m,a,s,ok\n'=cmd(),-1.5,-2.5,'+1,'-2,'@x,' =1,x=1\n"


@given(st.lists(st.lists(st.text() | st.integers() | st.none(), min_size=2, max_size=2), max_size=4))
def test_no_cell_of_a_csv_begins_a_formula(rows: list[list[str | int | None]]) -> None:
    parsed = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows), newline="")))[1:]
    assert len(parsed) == len(rows)
    for row, cells in zip(rows, parsed, strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, str):
                assert cell.lstrip()[:1] not in {"=", "+", "-", "@"} or not cell.strip()
                assert cell.removeprefix("'") == value.removeprefix("'")
            else:
                assert cell == ("" if value is None else str(value))


def test_a_longer_answer_says_that_it_was_cut(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ask(store, capsys, "SELECT * FROM range(5)", "--limit", "3")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert err == "the first 3 of more rows; --limit shows more\n"
    for limit, truncated in (("3", True), ("5", False)):
        assert json.loads(ask(store, capsys, "SELECT * FROM range(5)", "--json", "--limit", limit)[1])["truncated"] is truncated


def test_times_with_a_zone_are_utc_in_every_format(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moment = "TIMESTAMPTZ '2026-01-02 03:04:05+02'"
    query = f"SELECT {moment} AS t, [{moment}] AS l, {{'a': {moment}}} AS s, {moment} > now() - INTERVAL 100 YEAR AS b;  -- no comment"
    _, out, _ = ask(store, capsys, query, "--json")
    document = json.loads(out)
    assert document["columns"] == ["t", "l", "s", "b"]
    assert document["rows"] == [["2026-01-02T01:04:05Z", ["2026-01-02T01:04:05Z"], {"a": "2026-01-02T01:04:05Z"}, True]]
    assert "2026-01-02T01:04:05Z" in ask(store, capsys, f"SELECT {moment}", "--format", "csv")[1]
    assert ask(store, capsys, "SELECT now()")[0] == 0


def test_the_order_of_rows_stands_where_times_have_a_zone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT a, now() FROM range(5) t(a) ORDER BY a DESC"
    assert [row[0] for row in json.loads(ask(store, capsys, query, "--json")[1])["rows"]] == [4, 3, 2, 1, 0]


def test_an_error_keeps_what_duckdb_suggests(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = ask(store, capsys, "SELECT * FROM run")[2]
    assert err.startswith("invalid-sql: Table with name run does not exist! Did you mean")
    assert "LINE 1" not in err


def test_an_interrupt_of_a_query_ends_it_quietly(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A process that a shell started in the background would ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        code, out, err = ask(store, capsys, "SELECT count(*) FROM range(1000000000000) t(a) WHERE a % 7 = 3")
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    assert "internal-error" not in err


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("DELETE FROM runs", "sql-not-read-only"),
        ("ATTACH 'x'", "sql-not-read-only"),
        ("COPY runs TO 'x.csv'", "sql-not-read-only"),
        ("SELECT * FROM read_text('/etc/hostname')", "sql-not-allowed"),
        ("SELECT 1; SELECT 2", "sql-not-one-statement"),
        ("SELECT FROM", "invalid-sql"),
    ],
)
def test_what_is_not_a_question_is_refused_in_one_sentence(store: Path, capsys: pytest.CaptureFixture[str], query: str, code: str) -> None:
    exit_code, out, err = ask(store, capsys, query)
    assert (exit_code, out) == (2, "")
    assert err.startswith(f"{code}: ")
    assert "Traceback" not in err


def test_a_query_plan_is_drawn_over_its_lines(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ask(store, capsys, "EXPLAIN SELECT 1")[1]
    assert len(out.splitlines()) > 3
    assert "explain_value" not in out


def test_two_forms_of_one_answer_are_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert specrun(["sql", "SELECT 1", "--format", "csv", "--json", "--store", str(store)]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "options-conflict"


def test_no_store_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ask(tmp_path / "absent", capsys, "SELECT 1")
    assert code == 1
    assert err.startswith("no-store: ")
