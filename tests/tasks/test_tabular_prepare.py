"""Tables become arrays as their train split says, and what is wrong with them is said with its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from specrun.errors import DataError
from specrun.sources.csv.options import Options as Csv
from specrun.spec.sections.data import Columns
from specrun.tasks.tabular import statistics, table
from specrun.tasks.tabular.arrays import SplitArrays
from specrun.tasks.tabular.encoding import read_encoding
from specrun.tasks.tabular.options import Options
from tests.tasks.tables import prepared, write_split

TRAIN: dict[str, Any] = {
    "age": [20, 30, None, 50, 40],
    "height": pa.array([1.5, 1.7, 1.9, 1.6, 1.8]),
    "city": ["Bern", "Rome", "Bern", "Oslo", "Bern"],
    "member": [True, False, None, True, True],
    "when": pa.array([0, 1, 2, 3, 4], pa.timestamp("ms")),
    "y": [1.0, 2.0, 3.0, 4.0, 5.5],
}


def changed(split: Mapping[str, Any] = TRAIN, **columns: Any) -> dict[str, Any]:
    return {**split, **columns}


def write(folder: Path, train: Mapping[str, Any] = TRAIN, validation: Mapping[str, Any] = TRAIN) -> Path:
    write_split(folder / "data", "train", train)
    write_split(folder / "data", "validation", validation, first_row=101)
    return folder


def test_columns_are_taken_by_their_type_and_encoded_as_the_train_split_says(tmp_path: Path) -> None:
    found = prepared(write(tmp_path), target="y")
    assert found.values["inputs"] == ["age", "age is missing", "height", "city", "member"]
    assert found.values["sizes"]["categories"] == [1 + 3, 1 + 1 + 2]
    assert found.values["splits"]["validation"] == {"samples": 5, "predictions": 5, "positions": 5}
    arrays = SplitArrays(tmp_path / "examples", "train")
    filled = np.asarray([20, 30, 35, 50, 40], dtype=float)  # the median where there is none
    mean, std = np.mean([20, 30, 50, 40]), np.std([20, 30, 50, 40])
    assert arrays.numbers[:, 0] == pytest.approx((filled - mean) / std, rel=1e-6)
    assert arrays.numbers[:, 1].tolist() == [0, 0, 1, 0, 0]
    assert arrays.categories[:, 0].tolist() == [1, 3, 1, 2, 1]  # Bern is the most frequent; row 0 is for what is not seen
    assert arrays.categories[:, 1].tolist() == [2, 3, 1, 2, 2]
    assert arrays.targets[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert arrays.targets[:, 0].std() == pytest.approx(1, rel=1e-6)
    assert found.warnings == (
        ("unread-columns", "of a type that is no number and no category, and left out: when (timestamp[ms])"),
    )  # fmt: skip


def test_the_encoding_on_disk_is_the_one_that_was_used(tmp_path: Path) -> None:
    sizes = prepared(write(tmp_path), target="y").values["sizes"]
    encoding = read_encoding(json.loads((tmp_path / "examples" / "encoding.json").read_text()))
    assert encoding.sizes == sizes
    assert read_encoding(json.loads(json.dumps(encoding.document()))) == encoding


def test_edges_are_the_quantiles_of_what_a_model_sees(tmp_path: Path) -> None:
    values = np.random.default_rng(0).gamma(2.0, size=1000)
    write_split(tmp_path / "data", "train", {"x": values, "y": values})
    edges = prepared(tmp_path, target="y").values["sizes"]["edges"][0]
    seen = SplitArrays(tmp_path / "examples", "train").numbers[:, 0]
    assert edges == pytest.approx(np.quantile(seen, np.linspace(0, 1, 65)), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("values", "rows"), [([3.5, None, 1e6, 3.5, -2.0], 2), ([None, None, 0.0, 1.0], 1), ([1e5, 1e5 + 0.25, 1e5], 7)])
def test_the_rows_of_a_batch_change_nothing(tmp_path: Path, values: list[float | None], rows: int) -> None:
    write_split(tmp_path / "data", "train", {"x": pa.array(values, pa.float64()), "y": [float(n) for n in range(len(values))]})
    whole = prepared(tmp_path, target="y").values["sizes"]
    numbers = SplitArrays(tmp_path / "examples", "train").numbers.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_BATCH_ROWS", rows)
        again = prepared(tmp_path, target="y").values["sizes"]
    assert again["numbers"] == whole["numbers"]
    assert again["edges"][0] == pytest.approx(whole["edges"][0], rel=1e-4, abs=1e-5)
    assert SplitArrays(tmp_path / "examples", "train").numbers == pytest.approx(numbers, rel=1e-4, abs=1e-5)


def test_quantiles_of_many_rows_come_from_rows_all_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_SAMPLED_ROWS", 500)
    monkeypatch.setattr(table, "_BATCH_ROWS", 333)
    values = np.arange(2000.0)
    write_split(tmp_path / "data", "train", {"x": values, "y": values})
    prepared(tmp_path, target="y")
    number = read_encoding(json.loads((tmp_path / "examples" / "encoding.json").read_text())).numbers[0]
    assert number.median == pytest.approx(1000, abs=4)
    assert (number.mean, number.std) == (pytest.approx(999.5), pytest.approx(values.std()))


@pytest.mark.parametrize(
    ("target", "objective", "told"),
    [
        (pa.array([1.0, 2.5, 3, 4, 5]), "regression", False), (["a", "b", "a", "b", "a"], "classification", False),
        ([True, False, True, False, True], "classification", False), ([0, 1, 1, 0, 2], "classification", True),
        (list(range(25)), "regression", True),
    ],
)  # fmt: skip
def test_what_the_target_is_follows_from_its_type_and_is_told_where_it_could_be_either(
    tmp_path: Path, target: Any, objective: str, told: bool
) -> None:
    write_split(tmp_path / "data", "train", {"x": [float(n) for n in range(len(target))], "y": target})
    found = prepared(tmp_path, target="y")
    assert found.values["objective"] == objective
    assert [code for code, _ in found.warnings] == (["objective-assumed"] if told else [])


def test_classes_of_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    write_split(tmp_path / "data", "train", {"x": [1.0, 2.0, 3.0, 4.0], "y": [10, 9, -1, 10]})
    prepared(tmp_path, target="y", options={"objective": "classification"})
    encoding = read_encoding(json.loads((tmp_path / "examples" / "encoding.json").read_text()))
    assert encoding.targets[0].classes == ("-1", "9", "10")
    assert encoding.targets[0].counts == (1, 1, 2)


def test_what_the_train_split_lacks_is_read_as_unknown_and_told_with_its_first_row(tmp_path: Path) -> None:
    validation = changed(city=["Bern", "Paris", "Lima", "Bern", None], height=pa.array([1.5, None, 1.9, 1.6, 1.8]))
    found = prepared(write(tmp_path, validation=validation), target="y", categories=("city",), numbers=("height",))
    arrays = SplitArrays(tmp_path / "examples", "validation")
    assert arrays.categories[:, 0].tolist() == [1, 0, 0, 1, 0]
    assert arrays.numbers[1, 0] == pytest.approx(0, abs=1e-6)
    texts = [text for code, text in found.warnings if code == "unseen-value"]
    assert len(texts) == 2
    assert any("city in row 102 of validation is 'Paris'" in text and text.endswith("rows like it: 3") for text in texts)
    assert any("height in row 102 of validation is missing" in text and "the median, 1.7" in text for text in texts)


def test_columns_that_tell_nothing_are_left_out_and_said(tmp_path: Path) -> None:
    rows = 300
    shuffled = np.random.default_rng(0).permutation(rows)
    train = {
        "x": np.arange(rows) * 1.0, "id": 5 + 2 * shuffled, "score": shuffled**2, "same": np.ones(rows), "word": ["a"] * rows,
        "empty": pa.nulls(rows, pa.float64()), "name": [f"n{n}" for n in range(rows)], "y": np.arange(rows) * 2.0,
    }  # fmt: skip
    write_split(tmp_path / "data", "train", train)
    found = prepared(tmp_path, target="y")
    assert found.values["inputs"] == ["x", "score"]
    assert sorted(code for code, _ in found.warnings) == ["constant-column"] * 3 + ["near-unique-column", "row-number-column"]
    kept = prepared(tmp_path, target="y", numbers=("id",), categories=("name",))
    assert kept.values["inputs"] == ["id", "name"]
    assert kept.warnings == ()


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str, str]] = {
    "a target that is missing": (changed(y=[1.0, 2.0, None, 4.0, None]), TRAIN, {}, "missing-target", "y in row 3 of train is empty"),
    "a target that is missing in validation": (TRAIN, changed(y=[1.0, float("nan"), 3.0, 4.0, 5.0]), {}, "missing-target",
                                               "row 102 of validation"),
    "a word among numbers": (changed(height=["1.5", " 1.7", "tall", "", "2"]), TRAIN, {"numbers": ("height",)}, "wrong-type",
                             "height in row 3 of train is 'tall'"),
    "an infinite number": (changed(height=pa.array([1.0, 2.0, float("inf"), 3.0, 4.0])), TRAIN, {}, "number-out-of-range",
                           "row 3 of train is inf"),
    "a column of no type for it": (TRAIN, TRAIN, {"categories": ("when",)}, "wrong-type", "timestamp[ms]"),
    "a constant target": (changed(y=[2.0] * 5), TRAIN, {}, "constant-target", "y is 2 in all rows"),
    "one class": (changed(y=["a"] * 5), TRAIN, {}, "one-class", "y is 'a' in all rows"),
    "a class that training lacks": (changed(y=list("aabba")), changed(y=list("abcab")), {}, "unseen-label",
                                    "y in row 103 of validation is 'c'"),
    "no input": (TRAIN, TRAIN, {"numbers": (), "categories": ()}, "no-input-columns", "no column to predict y from"),
    "fractions as classes": (TRAIN, TRAIN, {"options": {"objective": "classification"}}, "fractional-class", "row 5 of train is 5.5"),
    "nothing but constants": (changed(height=pa.array([1.0] * 5)), TRAIN, {"numbers": ("height",), "categories": ()}, "no-input-columns",
                              "constant"),
    "an empty split": (TRAIN, {name: column[:0] for name, column in TRAIN.items()}, {}, "empty-split", "validation split has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_bad_data_is_refused_with_its_place(tmp_path: Path, what: str) -> None:
    train, validation, columns, code, said = REFUSED[what]
    with pytest.raises(DataError) as refused:
        prepared(write(tmp_path, train, validation), **{"target": "y", **columns})
    assert refused.value.code == code
    assert said in refused.value.message


NUMBERS = [f"{n}.5" for n in range(60)]
COMMAS = [f"{n},5" for n in range(60)]


@pytest.mark.parametrize(
    ("area", "price", "columns", "said", "remedy"),
    [
        (["big", *NUMBERS[1:]], NUMBERS[::-1], {"target": "id"}, "area in row 1 of train is 'big', which is not a number, and all but 1 of",
         "correct row 1, or add the word to data.source.missing where it says that there is no value, or read area as words: "
         "data.columns.categories: [area, price]"),
        (NUMBERS, [*NUMBERS[:50], "12k", *NUMBERS[51:]], {"target": "price"}, "price in row 51 of validation is '12k', which is not",
         "task.objective: classification"),
        (NUMBERS, ["cheap"] * 60, {"target": "price", "options": {"objective": "regression"}},
         "row 1 of train is 'cheap'", "predict classes"),
        (COMMAS, NUMBERS, {"target": "id"}, "area in row 1 of train is '0,5'", 'set data.source.decimal: ","'),
        (["1,250"] * 60, NUMBERS, {"target": "id", "numbers": ("area",)}, "'1,250'", "without the comma"),
    ],
)  # fmt: skip
def test_a_word_among_numbers_is_named_and_no_column_of_numbers_is_taken_for_words(
    tmp_path: Path, area: list[str], price: list[str], columns: Mapping[str, Any], said: str, remedy: str
) -> None:
    table = {"area": area, "price": price, "id": [n * n * 0.5 for n in range(60)]}
    write_split(tmp_path / "data", "train", {name: values[:50] for name, values in table.items()})
    write_split(tmp_path / "data", "validation", {name: values[50:] for name, values in table.items()}, first_row=51)
    with pytest.raises(DataError) as refused:
        prepared(tmp_path, source=Csv(kind="csv", path="a.csv"), **columns)
    assert refused.value.code == "wrong-type"
    assert said in refused.value.message
    assert remedy in (refused.value.hint or "")


def test_who_says_that_numbers_are_words_has_them_so(tmp_path: Path) -> None:
    write_split(tmp_path / "data", "train", {"zip": ["K1A", *NUMBERS[1:]], "y": [f"{n % 7}" for n in range(59)] + ["x"]})
    words: Mapping[str, Any] = {"target": "y", "options": {"objective": "classification"}}
    assert prepared(tmp_path, **words, categories=("zip",)).values["inputs"] == ["zip"]
    assert len(prepared(tmp_path, **words, categories=("zip",), source=Csv(kind="csv", path="a.csv")).values["classes"]) == 8


def test_a_number_that_is_no_class_among_many_is_told_of_regression(tmp_path: Path) -> None:
    write_split(tmp_path / "data", "train", {"x": [0.5 * n for n in range(40)], "y": list(range(40))})
    write_split(tmp_path / "data", "validation", {"x": [0.5], "y": [41]})
    with pytest.raises(DataError) as refused:
        prepared(tmp_path, target="y", options={"objective": "classification"})
    assert "40 classes, all of them numbers: set task.objective: regression; or correct it" in (refused.value.hint or "")


def test_classes_that_the_source_has_by_number_have_their_names(tmp_path: Path) -> None:
    write_split(tmp_path / "data", "train", {"x": [1.0, 2.0, 3.0], "y": [2, 0, 2]})
    names = {"y": ["cat", "dog", "owl"]}
    found = prepared(tmp_path, target="y", class_names=names)
    assert found.values["classes"] == ["cat", "dog", "owl"]
    assert found.values["class_counts"] == {"train": [1, 0, 2]}
    assert [code for code, _ in found.warnings] == ["class-without-samples"]
    assert {row["expected"] for row in json.loads((tmp_path / "examples" / "samples.json").read_text())["rows"]} == {"cat", "owl"}
    write_split(tmp_path / "data", "train", {"x": [1.0, 2.0, 3.0], "y": [2, -1, 2]})
    with pytest.raises(DataError, match="row 2 of train is -1, and its classes are numbered 0 to 2"):
        prepared(tmp_path, target="y", class_names=names)


def test_a_smoke_test_reads_few_rows_and_still_knows_every_class(tmp_path: Path) -> None:
    rows = 2000
    late = ["rare" if n == rows - 1 else "common" if n % 2 else "other" for n in range(rows)]
    write_split(tmp_path / "data", "train", {"x": np.arange(rows) * 1.0, "y": late})
    write_split(tmp_path / "data", "validation", {"x": [1.0, 2.0], "y": ["rare", "other"]})
    found = prepared(tmp_path, target="y", smoke=True)
    assert found.values["splits"]["train"]["samples"] == 512
    assert found.values["sizes"]["outputs"] == 3


@pytest.mark.parametrize(("value", "told"), [(1e30, True), (-1e30, True), (1e6, False)])
def test_a_target_far_from_all_others_is_told_with_its_row(tmp_path: Path, value: float, told: bool) -> None:
    write_split(tmp_path / "data", "train", {"x": [1.5, 2.5, 3.5, 4.5, 5.5], "y": [1.5, 2.0, 2.5, value, 3.0]}, first_row=7)
    said = [text for code, text in prepared(tmp_path, target="y").warnings if code == "far-out-value"]
    assert [text.startswith(f"y in row 10 of train is {value:g}, ") for text in said] == [True] * told


def test_several_targets_are_standardised_each_for_itself(tmp_path: Path) -> None:
    write_split(tmp_path / "data", "train", {"x": [1.0, 2.0, 3.0], "a": [1, 2, 3], "b": [100.0, 300.0, 200.0]})
    found = prepared(tmp_path, target=("a", "b"))
    assert found.values["objective"] == "regression"
    assert SplitArrays(tmp_path / "examples", "train").targets.std(axis=0) == pytest.approx([1, 1], rel=1e-6)


@pytest.mark.parametrize(
    ("options", "columns", "codes"),
    [
        ({}, {"target": "y", "numbers": ("x", "y")}, ["target-is-an-input"]),
        ({}, {"target": "y", "numbers": ("x",), "categories": ("x",)}, ["column-in-two-roles"]),
        ({"objective": "classification"}, {"target": ("a", "b")}, ["several-class-targets"]),
        ({"objective": "regression", "class_weights": "balanced"}, {"target": "y"}, ["option-without-effect"]),
        ({"objective": "classification", "regression_loss": "huber"}, {"target": "y"}, ["option-without-effect"]),
        ({"label_smoothing": 0.1}, {"target": "y"}, ["option-without-effect"]),
        ({"objective": "classification", "class_weights": "balanced", "label_smoothing": 0.1}, {"target": "y"}, []),
    ],
)  # fmt: skip
def test_mistakes_of_the_spec_are_found_without_data(options: dict[str, Any], columns: dict[str, Any], codes: list[str]) -> None:
    spec: Any = SimpleNamespace(data=SimpleNamespace(columns=Columns(**columns)))
    assert [problem.code for problem in Options(kind="tabular", **options).problems(spec, ("task",))] == codes
