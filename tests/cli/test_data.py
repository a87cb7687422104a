"""`specrun data`: what it says of rows and of texts, what it draws, and what it refuses before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specrun.cli.data_text import data_text
from specrun.cli.main import run
from tests.engine.conftest import TINY
from tests.golden_files import compare_in

golden = compare_in(Path(__file__).parent / "golden")
ROWS = """\
version: 1
name: animals
task: {kind: tabular, objective: classification}
data:
  source: {kind: csv, path: animals.csv}
  columns: {target: animal}
  split: {kind: ratio, validation: 0.2, test: 0.2, stratify: true}
model: {kind: mlp}
"""


CHECKED = "data.checks.ranges={weight: [0, 20]}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its data and a store."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "rows.yaml").write_text(ROWS)
    lines = [f"{['cat', 'dog', 'cow'][n % 3]},{n}.25,{'<b>red</b>' if n % 2 else ''}\n" for n in range(30)]
    (folder / "animals.csv").write_text("animal,weight,colour\n" + "".join(lines))
    return folder


@pytest.fixture
def folder(whole: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(whole)
    return whole


def test_rows_are_told_of_as_the_golden_file_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml"]) == 0
    golden("data_rows.txt", capsys.readouterr().out)


def test_each_target_of_numbers_is_told_by_ranges_and_shares_are_of_all_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "numbers.csv").write_text("price,rooms,area\n" + "".join(f"{n * 10},{n % 45},{n / 7:.3f}\n" for n in range(450)))
    spec = ROWS.replace("classification", "regression").replace("animals", "numbers").replace(", stratify: true", "")
    (folder / "numbers.yaml").write_text(spec.replace("{target: animal}", "{target: [price, rooms]}"))
    assert run(["data", "numbers.yaml", "-o", "numbers.html", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    told = document["distributions"]
    assert list(told) == ["price", "rooms"]
    assert all(sum(one["counts"]) == 270 and len(one["counts"]) + 1 == len(one["edges"]) for one in told.values())
    text = data_text(document)
    assert "price: half of train between " in text
    assert "  500 to 1,000  " in text
    page = Path("numbers.html").read_text()
    assert "Values of rooms" in page
    assert "Classes of" not in page
    # As of a column of words, of whose classes only some are told.
    document |= {"distributions": {}}
    document["profile"]["train"]["price"] |= {"classes": {"a": 27}, "distinct": 40}
    text = data_text(document)
    assert "27 (10.0%)" in text
    assert "  and 39 more in train" in text


def test_what_is_told_twice_is_computed_once_and_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml", "--store", "another"]) == 0
    first = capsys.readouterr()
    assert run(["data", "rows.yaml", "--store", "another"]) == 0
    second = capsys.readouterr()
    assert first.out == second.out
    assert "data: started" in first.err
    assert "started" not in second.err


def test_the_document_has_what_the_text_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["splits"]["train"] == {"rows": 18, "bytes": document["splits"]["train"]["bytes"], "samples": 18}
    assert document["profile"]["train"]["animal"]["classes"] == {"cat": 6, "cow": 6, "dog": 6}
    assert document["leakage"] == {"train/validation": 0, "train/test": 0, "validation/test": 0}
    assert (document["format_version"], document["exit_code"], document["page"]) == (1, 0, None)


def test_the_page_shows_data_as_text_and_runs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml", "-o", "page.html"]) == 0
    page = Path("page.html").read_text()
    assert capsys.readouterr().out.endswith("page: page.html\n")
    assert page.count("<svg") == 3
    assert "&lt;b&gt;red&lt;/b&gt;" in page
    assert "<b>red" not in page
    assert "<script" not in page
    assert "Classes of animal" in page


def test_texts_have_their_tokens_and_lengths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.yaml").write_text(TINY)
    assert run(["data", "tiny.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    train = document["splits"]["train"]
    assert train["tokens"] > train["documents"] > 0
    assert train["padding_share"] == 0
    assert document["profile"]["train"]["text"]["characters"]["max"] > 0
    assert run(["data", "tiny.yaml"]) == 0
    assert "leakage: " in capsys.readouterr().out


def test_data_that_cannot_be_prepared_is_shown_with_the_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cats.csv").write_text(Path("animals.csv").read_text().replace("dog", "cat").replace("cow", "cat"))
    assert run(["data", "rows.yaml", "--set", "data.source.path=cats.csv"]) == 1
    captured = capsys.readouterr()
    assert "not prepared for training: the target animal is 'cat' in all rows of the train split" in captured.out
    assert "one-class" in captured.err


@pytest.mark.slow
def test_an_expectation_that_holds_is_told_and_one_that_does_not_ends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml", "--set", CHECKED.replace("20", "50")]) == 0
    assert "expectations that hold: ranges.weight" in capsys.readouterr().out
    assert run(["data", "rows.yaml", "--set", CHECKED]) == 1
    captured = capsys.readouterr()
    assert not captured.out
    assert "expectation-failed: 1 expectation of data.checks does not hold: ranges.weight: 10 of 30 rows" in captured.err


@pytest.mark.parametrize(("output", "code"), [("page.svg", "unknown-format"), ("nowhere/page.html", "missing-folder")])
def test_a_page_that_cannot_be_written_is_refused_first(folder: Path, output: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "rows.yaml", "-o", output]) == 2
    captured = capsys.readouterr()
    assert code in captured.err
    assert "started" not in captured.err
