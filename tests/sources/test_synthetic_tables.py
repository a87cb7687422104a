"""Sources of drawn rows: the same options give the same rows, and the optimum that they tell is the one there is."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest, load_table
from specrun.sources.synthetic_images.options import SHAPES
from specrun.sources.synthetic_images.options import Options as Images
from specrun.sources.synthetic_series.build import SIGNAL_EFFECT
from specrun.sources.synthetic_series.options import Options as Series
from specrun.sources.synthetic_table.build import truth
from specrun.sources.synthetic_table.options import Options as Rows
from specrun.sources.synthetic_texts.options import Options as Texts

SMALL: dict[str, Any] = {
    "numbers": Rows(kind="synthetic_table", rows=60),
    "classes": Rows(kind="synthetic_table", rows=60, objective="classification", categories=0),
    "series": Series(kind="synthetic_series", groups=3, steps=20, targets=2),
    "images": Images(kind="synthetic_images", rows=20, channels=3),
    "grey images": Images(kind="synthetic_images", rows=20, classes=8),
    "reverse": Texts(kind="synthetic_texts", rows=60),
    "keyword": Texts(kind="synthetic_texts", rows=60, content="keyword"),
}


def loaded(options: Any) -> LoadedTable:
    return load_table(options, SourceRequest(Path(), lambda _: None))


def rows(options: Any, *columns: str) -> pa.Table:
    table = loaded(options).splits[WHOLE]
    return pa.Table.from_batches(table.read(columns or table.schema.names))


@pytest.mark.parametrize("which", SMALL)
def test_the_same_options_give_the_same_rows_whatever_columns_are_read(which: str) -> None:
    options = SMALL[which]
    table, whole = loaded(options).splits[WHOLE], rows(options)
    assert whole.num_rows == table.rows == options.total_rows
    assert whole.schema == table.schema
    assert whole.equals(rows(options))
    last = whole.column_names[-1]
    assert rows(options, last).column(last).equals(whole.column(last))
    assert not whole.equals(rows(options.model_copy(update={"seed": 1})))
    assert options.local_inputs(base=Path(), data_root=None) == ()
    assert options.identity() == {}
    assert options.extents(base=Path(), data_root=None)[WHOLE].documents == options.total_rows


def test_a_longer_table_begins_with_the_rows_of_a_shorter_one() -> None:
    for options, longer in ((SMALL["numbers"], 5000), (SMALL["keyword"], 5000), (SMALL["images"], 70)):
        whole = rows(options.model_copy(update={"rows": longer}))
        assert whole.num_rows == longer
        assert whole.slice(0, options.rows).equals(rows(options))


@settings(max_examples=20)
@given(st.integers(0, 7), st.integers(0, 3), st.integers(2, 9), st.sampled_from(["regression", "classification"]), st.integers(0, 99))
def test_what_the_columns_tell_has_variance_one(numbers: int, categories: int, values: int, objective: Any, seed: int) -> None:
    options = Rows(kind="synthetic_table", numbers=numbers + 1, categories=categories, values=values, objective=objective, seed=seed)
    behind, random = truth(options), np.random.default_rng(seed)
    told = behind.outputs(random.normal(size=(20_000, numbers + 1)), random.integers(values, size=(20_000, categories)))
    assert told.mean(axis=0) == pytest.approx(np.zeros(told.shape[1]), abs=0.05)
    assert told.var(axis=0) == pytest.approx(np.ones(told.shape[1]), rel=0.08)


def test_the_optimum_of_a_number_is_reached_by_who_knows_the_function() -> None:
    options = Rows(kind="synthetic_table", rows=20_000, numbers=3, categories=1, noise=0.2)
    table = rows(options)
    numbers = np.stack([table[f"x{n + 1}"].to_numpy() for n in range(3)], axis=1)
    codes = np.asarray([[int(word[1:]) - 1] for word in table["c1"].to_pylist()])
    best = 100 + 25 * math.sqrt(0.8) * truth(options).outputs(numbers, codes)[:, 0]
    error, y = table["y"].to_numpy() - best, table["y"].to_numpy()
    optimum = loaded(options).facts["optimum"]
    assert math.sqrt((error**2).mean()) == pytest.approx(optimum["rmse"], rel=0.02)
    assert np.abs(error).mean() == pytest.approx(optimum["mae"], rel=0.02)
    assert 1 - error.var() / y.var() == pytest.approx(optimum["r2"], abs=0.01)


def test_the_optimum_of_classes_is_reached_by_who_knows_their_probabilities() -> None:
    options = Rows(kind="synthetic_table", rows=20_000, numbers=4, categories=0, objective="classification", noise=0.2)
    table = rows(options)
    numbers = np.stack([table[f"x{n + 1}"].to_numpy() for n in range(4)], axis=1)
    labels = np.asarray([int(word.split()[1]) - 1 for word in table["y"].to_pylist()])
    scores = math.sqrt(4 * math.pi**2 / 6) * truth(options).outputs(numbers, np.zeros((20_000, 0), dtype=int))
    log_shares = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    optimum = loaded(options).facts["optimum"]
    assert (scores.argmax(axis=1) == labels).mean() == pytest.approx(optimum["accuracy"], abs=0.01)
    assert -log_shares[np.arange(20_000), labels].mean() == pytest.approx(optimum["loss"], rel=0.03)


def test_the_best_forecast_misses_by_what_is_told() -> None:
    options = Series(kind="synthetic_series", groups=1, steps=40_000, period=2, autocorrelation=0.7, noise=0.5)
    table, optimum = rows(options), loaded(options).facts["optimum"]
    y, price, signal = (table[name].to_numpy() for name in ("y", "price", "signal"))
    odd = np.arange(len(y)) % 2 == 1
    # The effects by least squares on all of it, which this long a series tells as well as can be.
    known = np.column_stack([odd, ~odd, price])[1:]
    seen = np.column_stack([known, signal[:-1]])
    effects = np.linalg.lstsq(seen, y[1:], rcond=None)[0]
    error = y[1:] - seen @ effects
    assert effects[-1] == pytest.approx(SIGNAL_EFFECT, abs=0.02)
    for horizon in (1, 2, 5):
        foreseen = known @ effects[:3]
        forecast = foreseen[horizon:] + 0.7**horizon * error[:-horizon]
        if horizon == 1:
            forecast += SIGNAL_EFFECT * signal[1:-1]
        missed = ((y[1:][horizon:] - forecast) ** 2).mean()
        assert missed == pytest.approx(optimum["mse"][horizon - 1], rel=0.05)
        assert np.abs(y[1:][horizon:] - forecast).mean() == pytest.approx(optimum["mae"][horizon - 1], rel=0.05)


def test_time_is_regular_in_each_series() -> None:
    for frequency, seconds in (("hour", 3600), ("day", 86_400)):
        table = rows(SMALL["series"].model_copy(update={"frequency": frequency}))
        for name in set(table["series"].to_pylist()):
            mask = pa.compute.equal(table["series"], name)
            times = table.filter(mask)["time"].to_numpy()
            assert set(np.diff(times).astype("timedelta64[s]").astype(int)) == {seconds}
            assert len(set(table.filter(mask)["size"].to_pylist())) == 1


def test_images_open_and_their_labels_are_right_but_for_the_share_told() -> None:
    for options, mode in ((SMALL["images"], "RGB"), (SMALL["grey images"], "L")):
        for image in rows(options)["image"].to_pylist():
            opened = Image.open(io.BytesIO(image["bytes"]))
            assert (opened.mode, opened.size) == (mode, (16, 16))
    right, wrong = (
        rows(Images(kind="synthetic_images", rows=400, side=8, wrong_labels=share))["label"].to_pylist() for share in (0.0, 0.3)
    )
    assert set(right) == set(SHAPES[:4])
    assert np.mean([a != b for a, b in zip(right, wrong, strict=True)]) == pytest.approx(0.3, abs=0.08)


def test_sentences_are_copied_reversed_or_told_by_their_keyword() -> None:
    for content, step in (("copy", 1), ("reverse", -1)):
        for row in rows(Texts(kind="synthetic_texts", rows=50, content=content)).to_pylist():
            assert row["target"].split() == row["source"].split()[::step]
            assert 3 <= len(row["source"].split()) <= 8
    options = Texts(kind="synthetic_texts", rows=3000, content="keyword", classes=3, wrong_labels=0.2)
    counts: dict[str, dict[str, int]] = {}
    told = rows(options).to_pylist()
    for row in told:
        for word in set(row["text"].split()):
            of = counts.setdefault(word, {})
            of[row["label"]] = of.get(row["label"], 0) + 1
    sure = {word: max(of, key=of.get) for word, of in counts.items() if max(of.values()) / sum(of.values()) > 0.65}  # type: ignore[arg-type]
    assert len(sure) == 9
    right = np.mean([{sure[word] for word in row["text"].split() if word in sure} == {row["label"]} for row in told])
    assert right == pytest.approx(loaded(options).facts["optimum"]["accuracy"], abs=0.03)


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        (Rows(kind="synthetic_table", numbers=0, categories=0), ["no-input-columns"]),
        (Rows(kind="synthetic_table", classes=4), ["option-without-effect"]),
        (Rows(kind="synthetic_table", categories=0, values=3), ["option-without-effect"]),
        (Texts(kind="synthetic_texts", shortest=9), ["shortest-exceeds-longest"]),
        (Texts(kind="synthetic_texts", classes=3), ["option-without-effect"]),
        (Texts(kind="synthetic_texts", content="keyword", classes=3), []),
    ],
)
def test_options_that_do_not_go_together_are_told(options: Any, codes: list[str]) -> None:
    spec: Any = SimpleNamespace()
    assert [problem.code for problem in options.problems(spec, ("data", "source"))] == codes
