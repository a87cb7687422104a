"""The sql source: a query sees its files as tables and nothing else of this machine, and its rows are the same each time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrun.errors import DataError
from specrun.sources.contract import LoadedTable, SourceRequest, load_table, load_text
from specrun.sources.existence import file_problems
from specrun.sources.sql.options import Options
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.ratio import Options as Ratio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Trips in two Parquet files, zones in a CSV file, and a secret that no table is made of."""
    for name, first in (("1", 0), ("2", 3)):
        trips = pa.table({"id": range(first, first + 3), "zone": ["a", "b", "a"], "price": [1.5, 2.5, 3.5]})
        pq.write_table(trips, tmp_path / f"trips{name}.parquet")
    (tmp_path / "it's zones.csv").write_text("zone,name\na,Alpha\nb,Beta\n")
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    return tmp_path


def load(folder: Path, query: Any, **options: Any) -> LoadedTable:
    path = {"trips": "trips*.parquet", "zones": "it's zones.csv"}
    options = {"kind": "sql", "path": path, "query": query, **options}
    return load_table(Options(**options), SourceRequest(folder, lambda _: None, downloads=folder / "cache"))


def values(loaded: LoadedTable, split: str = "whole") -> list[dict[str, Any]]:
    table = loaded.splits[split]
    return [row for batch in table.read(table.schema.names) for row in batch.to_pylist()]


def test_a_query_joins_files_of_several_formats_and_gives_the_splits_it_is_asked_for(folder: Path) -> None:
    joined = "SELECT id, name, price FROM trips JOIN zones USING (zone) WHERE id % 3 {} 0 ORDER BY id"
    loaded = load(folder, {"train": joined.format("<>"), "validation": joined.format("=")})
    assert [row["id"] for row in values(loaded, "train")] == [1, 2, 4, 5]
    assert values(loaded, "validation")[0] == {"id": 0, "name": "Alpha", "price": 1.5}
    assert loaded.facts["rows"] == {"train": 4, "validation": 2}
    assert next(loaded.splits["train"].read(["price", "id"])).to_pylist()[0] == {"price": 2.5, "id": 1}


def test_texts_of_a_query_are_documents(folder: Path) -> None:
    options = Options(kind="sql", path={"zones": "it's zones.csv"}, query="SELECT name AS text FROM zones")
    assert list(load_text(options, SourceRequest(folder, lambda _: None)).splits["whole"]) == ["Alpha", "Beta"]


def test_sums_are_numbers_enumerations_texts_and_random_numbers_the_same_each_time(folder: Path) -> None:
    query = "SELECT sum(id) AS s, 'x'::ENUM('x', 'y') AS e, random() AS r FROM trips"
    first, second = (values(load(folder, query)) for _ in range(2))
    assert first == second
    assert (first[0]["s"], first[0]["e"]) == (15.0, "x")


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("SELECT * FROM 'secret.csv'", "query-reaches-out", "reads something other than its tables"),
        ("SELECT * FROM read_csv('{folder}/secret.csv')", "query-reaches-out", "cannot access file"),
        ("SELECT * FROM read_text('/etc/hostname')", "query-reaches-out", "cannot access file"),
        ("SELECT * FROM glob('/etc/*')", "query-reaches-out", "cannot access file"),
        ("SELECT * FROM read_csv('https://a.example/x.csv')", "query-reaches-out", "cannot access file"),
        ("COPY trips TO '{folder}/out.csv'", "not-a-select", "a statement of the kind COPY"),
        ("ATTACH '{folder}/x.db'", "not-a-select", "ATTACH"),
        ("SET enable_external_access = true", "not-a-select", "SET"),
        ("INSTALL httpfs", "not-a-select", "not one SELECT"),
        ("SELECT 1; SELECT 2", "not-a-select", "2 statements"),
        ("SELECT * FROM trip", "query-failed", 'did you mean "trips"'),
        ("SELECT prise FROM trips", "query-failed", '"prise" not found'),
        ("SELEC 1", "query-failed", "syntax error"),
        ("SELECT id, id FROM trips", "duplicate-column", "two columns 'id'"),
        ("SELECT id FROM trips WHERE id > 99", "no-rows", "gives no row"),
    ],
)
def test_a_query_that_fails_or_reaches_out_is_one_clear_error(folder: Path, query: str, code: str, message: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(DataError) as caught:
        load(folder, query.format(folder=folder))
    assert caught.value.code == code
    assert message.lower() in caught.value.message.lower()
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert sorted(path for path in folder.iterdir() if path.name != "cache") == before


def test_what_a_query_leaves_goes_with_its_last_table(folder: Path) -> None:
    loaded = load(folder, "SELECT * FROM trips")
    assert list((folder / "cache").iterdir())
    del loaded
    assert list((folder / "cache").iterdir()) == []


@pytest.mark.slow
def test_a_query_that_needs_more_than_its_memory_says_so_or_goes_to_the_disk(folder: Path) -> None:
    wide = "SELECT i, repeat('x', 100) || i AS text FROM range(300000) r(i) ORDER BY hash(i)"
    assert load(folder, wide, memory="40 MiB").splits["whole"].rows == 300_000
    with pytest.raises(DataError) as caught:
        load(folder, "SELECT list(i) AS l FROM range(30000000) r(i)", memory="20 MiB")
    assert (caught.value.code, caught.value.hint) == ("query-out-of-memory", "set data.source.memory to more")


def test_what_is_wrong_with_the_files_or_the_splits_is_found_before_anything_runs(folder: Path) -> None:
    def problems(split: Any, **options: Any) -> list[tuple[str, tuple[Any, ...]]]:
        source = Options(**{"kind": "sql", "path": {"t": "trips*.parquet"}, "query": "SELECT 1", **options})
        spec: Any = SimpleNamespace(data=SimpleNamespace(source=source, fallback=None, split=split, tokenizer=None), model=None)
        found = [*source.problems(spec, ("data", "source")), *file_problems(spec, lambda _: folder, None)]
        return [(problem.code, problem.path) for problem in found]

    ratio, given = Ratio(kind="ratio"), Given(kind="given")
    assert problems(ratio) == problems(ratio, path={"t": "trips*.parquet", "u": "trips1.parquet"}) == []
    assert problems(ratio, path={"t": "a.xlsx"})[0] == ("unknown-format", ("data", "source", "path", "t"))
    assert problems(ratio, path={"t": ("trips1.parquet", "secret.csv")}) == [("unknown-format", ("data", "source", "path", "t"))]
    assert problems(ratio, path={"t": "trip1.parquet"}) == [("missing-file", ("data", "source", "path", "t"))]
    assert problems(ratio, path={"t t": "trips1.parquet"}) == [("unusable-name", ("data", "source", "path", "t t"))]
    assert problems(given) == [("split-not-given", ("data", "split"))]
    assert problems(given, query={"train": "SELECT 1"}) == [("missing-split", ("data", "split", "validation"))]
    assert problems(ratio, query={"train": "SELECT 1"}) == [("splits-already-given", ("data", "split"))]


def test_a_step_with_such_a_source_has_a_process_of_its_own() -> None:
    from specrun.steps.data.step import STEP

    def needs(source: Any) -> Any:
        checks = SimpleNamespace(of_columns=())
        spec: Any = SimpleNamespace(data=SimpleNamespace(source=source, fallback=None, checks=checks))
        assert callable(STEP.isolated)
        return bool(STEP.isolated(spec))

    assert needs(Options(kind="sql", path={"t": "a.csv"}, query="SELECT 1"))
    assert not needs(Ratio(kind="ratio"))
