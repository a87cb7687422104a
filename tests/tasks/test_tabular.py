"""The `tabular` task: losses, metrics and baselines against scikit-learn, and the laws of every task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics
import torch

from specrun.models.mlp.build import build as build_mlp
from specrun.models.mlp.options import Options as Mlp
from specrun.runtime.protocols import Compared, Illustrated
from specrun.tasks.tabular import baselines, linear
from specrun.tasks.tabular.arrays import SplitArrays
from specrun.tasks.tabular.build import Tabular
from specrun.tasks.tabular.options import REGRESSION
from specrun.training.class_counts import ClassCounts
from tests.tasks.tables import CPU, opened, prepared, write_split

ROWS = {"train": 400, "validation": 130}


def drawn(split: str) -> dict[str, Any]:
    random = np.random.default_rng(sorted(ROWS).index(split))
    rows = ROWS[split]
    x, z, group = random.normal(size=rows), random.gamma(2.0, size=rows), random.integers(0, 5, rows)
    score = x + 0.3 * z + group - 2 + random.logistic(size=rows)
    label = np.where(score > 1.5, "high", np.where(score > 0, "middle", "low"))
    return {"x": x, "z": z, "group": [f"g{g}" for g in group], "price": 1000 + 250 * score, "weight": 3 - z + 0.1 * x, "label": label}


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("regression"), target="price")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("several"), target=("price", "weight"))


@pytest.fixture(scope="module")
def classification(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("classification"), target="label")


def made(folder: Path, **columns: Any) -> Path:
    for split in ROWS:
        write_split(folder / "data", split, drawn(split), first_row=1000)
    prepared(folder, numbers=("x", "z"), categories=("group",), **columns)
    return folder


def model_of(folder: Path, *, dropout: float = 0.0) -> torch.nn.Module:
    encoding = opened(folder)._encoding
    torch.manual_seed(0)
    return build_mlp(Mlp(kind="mlp", width=8, dropout=dropout), **encoding.sizes)


def outputs(task: Tabular, model: torch.nn.Module, folder: Path, split: str) -> np.ndarray:
    arrays = SplitArrays(folder / "examples", split)
    batch = task._batch(arrays, np.arange(len(arrays)))
    with torch.no_grad():
        found: np.ndarray = model(batch.numbers, batch.categories).double().numpy()
    return found


@pytest.mark.parametrize("of", ["regression", "several"])
def test_metrics_of_numbers_are_those_of_scikit_learn_on_the_scale_of_the_target(of: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(of)
    task, model, truth = opened(folder), model_of(folder), drawn("validation")
    names = ["price", "weight"] if of == "several" else ["price"]
    predicted = task._own_scale(outputs(task, model, folder, "validation"))
    actual = np.stack([truth[name] for name in names], axis=1)
    found = task.metrics(json.loads(json.dumps(task.evaluate(model, "validation"))))
    assert set(found) == set(REGRESSION)
    assert found["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(actual, predicted), rel=1e-5)
    assert found["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(actual, predicted), rel=1e-5)
    assert found["r2"] == pytest.approx(sklearn.metrics.r2_score(actual, predicted), rel=1e-4)
    scaled = (predicted - actual) / np.stack([drawn("train")[name] for name in names], axis=1).std(axis=0)
    assert found["loss"] == pytest.approx((scaled**2).mean(), rel=1e-5)


def test_metrics_of_classes_are_those_of_scikit_learn(classification: Path) -> None:
    task, model, truth = opened(classification), model_of(classification), drawn("validation")["label"]
    probabilities = torch.tensor(outputs(task, model, classification, "validation")).softmax(dim=-1).numpy()
    found = task.metrics(task.evaluate(model, "validation"))
    classes = ["high", "low", "middle"]
    assert found["loss"] == pytest.approx(sklearn.metrics.log_loss(truth, probabilities, labels=classes), rel=1e-5)
    predicted = np.asarray(classes)[probabilities.argmax(axis=1)]
    assert found["accuracy"] == pytest.approx((predicted == truth).mean())
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro"))


@pytest.mark.parametrize(("of", "options"), [
    ("regression", {}), ("regression", {"regression_loss": "absolute"}), ("regression", {"regression_loss": "huber"}), ("several", {}),
    ("classification", {}), ("classification", {"class_weights": "balanced", "label_smoothing": 0.1}),
])  # fmt: skip
def test_parts_of_a_batch_have_the_loss_of_the_whole(of: str, options: dict[str, Any], request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(of)
    task, model = opened(folder, **options), model_of(folder)
    batch = task.train_batch(390, count=24)
    shares = [batch.share(rank, size=3) for rank in range(3)]
    with torch.no_grad():
        whole = float(task.loss_sum(model, batch))
        assert whole == pytest.approx(sum(float(task.loss_sum(model, part)) for part in batch.split(7)), rel=1e-5)
        assert whole == pytest.approx(sum(float(task.loss_sum(model, share)) for share in shares), rel=1e-5)
    assert sum(share.weight for share in shares) == batch.weight == batch.positions == 24


def test_without_options_the_loss_of_training_is_that_of_evaluations(several: Path, classification: Path) -> None:
    for folder in (several, classification):
        task, model = opened(folder), model_of(folder)
        loss = task.metrics(task.evaluate(model, "train"))["loss"]
        assert loss == pytest.approx(task.loss_sum(model, task.train_batch(0, count=400)).item() / 400, rel=1e-5)


def test_balanced_weights_make_every_class_count_alike(classification: Path) -> None:
    weights = opened(classification, class_weights="balanced")._weights_K
    assert weights is not None
    _, counts = np.unique(drawn("train")["label"], return_counts=True)
    assert (weights.numpy() * counts) == pytest.approx([400 / 3] * 3, rel=1e-5)


def test_an_epoch_has_every_row_once_and_the_seed_alone_decides_its_order(regression: Path) -> None:
    task = opened(regression, seed=3)
    epoch = torch.cat([task.train_batch(first, count=50).targets for first in range(0, 400, 50)])
    assert sorted(epoch[:, 0].tolist()) == sorted(SplitArrays(regression / "examples", "train").targets[:, 0].tolist())
    again = opened(regression, seed=3)
    assert torch.equal(again.train_batch(123, count=40).numbers, torch.cat([task.train_batch(123 + n, count=20).numbers for n in (0, 20)]))
    assert not torch.equal(opened(regression, seed=4).train_batch(0, count=50).targets, epoch[:50])


def test_an_evaluation_leaves_the_mode_waits_once_and_may_be_ended(regression: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specrun.tasks.tabular.build.EVALUATION_TOKENS", {"cpu": 40})
    task, model = opened(regression), model_of(regression, dropout=0.5).train()
    before, between = CPU.syncs, []
    whole = task.evaluate(model, "validation", between=lambda: between.append(1))
    assert (CPU.syncs - before, len(between), model.training) == (1, 3, True)
    assert task.metrics(task.evaluate(model, "validation", divided=8)) == pytest.approx(task.metrics(whole), rel=1e-6)
    assert task.evaluate(model, "validation", max_samples=30)["predictions"] == 30
    with pytest.raises(KeyboardInterrupt):
        task.evaluate(model, "validation", between=interrupt)
    assert model.training


def interrupt() -> None:
    raise KeyboardInterrupt


def design_of(folder: Path, split: str) -> np.ndarray:
    arrays = SplitArrays(folder / "examples", split)
    return np.column_stack([arrays.numbers, np.eye(6)[arrays.categories[:, 0]]]).astype(np.float64)


def test_ridge_is_that_of_scikit_learn(several: Path) -> None:
    task, truth = opened(several), drawn("validation")
    train = SplitArrays(several / "examples", "train")
    reference = sklearn.linear_model.Ridge(alpha=1.0).fit(design_of(several, "train"), train.targets.astype(np.float64))
    predicted = task._own_scale(reference.predict(design_of(several, "validation")))
    actual = np.stack([truth["price"], truth["weight"]], axis=1)
    mean, ridge = task.baselines("validation")
    assert (mean.name, ridge.name) == ("mean", "ridge")
    assert ridge.metrics["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(actual, predicted), rel=1e-6)
    assert ridge.metrics["r2"] == pytest.approx(sklearn.metrics.r2_score(actual, predicted), rel=1e-6)
    constant = np.broadcast_to([drawn("train")[name].mean() for name in ("price", "weight")], actual.shape)
    assert mean.metrics["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(actual, constant), rel=1e-6)
    assert ridge.metrics.keys() == task.metrics(task.evaluate(model_of(several), "validation")).keys()
    other = opened(several, regression_loss="huber").baselines("validation")
    assert "loss" not in other[1].metrics  # which would be another one's


@pytest.mark.parametrize("classes", [["high", "low", "middle"], ["high", "low"]])
def test_logistic_regression_is_at_the_optimum_of_scikit_learn(tmp_path: Path, classes: list[str]) -> None:
    for split in ROWS:
        columns = drawn(split)
        columns["label"] = [label if label in classes else "low" for label in columns["label"]]
        write_split(tmp_path / "data", split, columns)
    prepared(tmp_path, numbers=("x", "z"), categories=("group",), target="label")
    arrays = {split: SplitArrays(tmp_path / "examples", split) for split in ROWS}
    reference = sklearn.linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000, solver="newton-cg")
    reference.fit(design_of(tmp_path, "train"), arrays["train"].targets[:, 0])
    probabilities, truth = reference.predict_proba(design_of(tmp_path, "validation")), arrays["validation"].targets[:, 0]
    majority, logistic = opened(tmp_path).baselines("validation")
    assert logistic.metrics["loss"] == pytest.approx(sklearn.metrics.log_loss(truth, probabilities), abs=1e-6)
    assert logistic.metrics["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == truth).mean())
    assert majority.metrics["accuracy"] == pytest.approx((truth == np.bincount(arrays["train"].targets[:, 0]).argmax()).mean())


def test_a_linear_model_that_has_not_all_the_data_says_so(regression: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "MOST_ROWS", 100)
    monkeypatch.setattr(linear, "MOST_COLUMNS", 4)
    assert opened(regression).baselines("validation")[1].label == "ridge regression (without 1 column, on 100 rows)"


def test_examples_are_rows_in_words_the_same_each_time(regression: Path, classification: Path, several: Path) -> None:
    for folder in (regression, classification, several):
        task, model = opened(folder), model_of(folder)
        found = task.examples(model, count=3)
        assert found == task.examples(model, count=3)
        assert len(found) == 3
        assert all(set(one) == {"row", "input", "predicted", "expected"} for one in found)
        truth = drawn("validation")
        assert all(f"group {truth['group'][one['row'] - 1000]}" in one["input"] for one in found)
        assert task.examples(model, count=0) == []
    labels = drawn("validation")["label"]
    assert all(one["expected"] == labels[one["row"] - 1000] for one in opened(classification).examples(model_of(classification), count=5))


def test_figures_are_plain_and_small(regression: Path, several: Path, classification: Path) -> None:
    expected = {regression: ["predicted", "residuals", "largest-errors"], several: ["targets", "predicted", "residuals", "largest-errors"],
                classification: ["confusion", "confused", "classes", "reliability"]}  # fmt: skip
    for folder, ids in expected.items():
        task, model = opened(folder), model_of(folder)
        assert isinstance(task, Compared)
        assert isinstance(task, Illustrated)
        figures = task.figures(model, "validation", task.evaluate(model, "validation"))
        assert [figure["id"] for figure in figures] == ids
        assert all(len(json.dumps(figure, allow_nan=False)) < 20_000 for figure in figures)


def test_the_largest_errors_name_rows_of_the_source(regression: Path) -> None:
    task, model = opened(regression), model_of(regression)
    figures = {figure["id"]: figure for figure in task.figures(model, "validation", task.evaluate(model, "validation"))}
    prices = drawn("validation")["price"]
    for row, actual, predicted, error in figures["largest-errors"]["rows"]:
        assert actual == pytest.approx(prices[row - 1000], rel=1e-5)
        assert error == pytest.approx(predicted - actual, rel=1e-3, abs=1e-2)


def test_a_model_that_predicts_no_number_still_has_all_metrics_and_figures(regression: Path) -> None:
    task, model = opened(regression), model_of(regression)
    torch.nn.init.constant_(model.get_parameter("head.bias"), torch.nan)
    sums = task.evaluate(model, "validation")
    assert np.isnan(task.metrics(sums)["loss"])
    assert set(task.metrics(sums)) == set(REGRESSION)
    json.dumps(task.figures(model, "validation", sums), allow_nan=False)


def test_probabilities_of_baselines_are_judged_as_those_of_models_are(classification: Path) -> None:
    counts = ClassCounts(3, device=CPU)
    task = opened(classification)
    best = baselines.fit(SplitArrays(classification / "examples", "train"), task._encoding)
    arrays = SplitArrays(classification / "examples", "validation")
    logits = torch.tensor(best.outputs(arrays, np.arange(len(arrays)))).float()
    counts.add(logits, torch.tensor(arrays.targets[:, 0]).long())
    assert task.metrics(counts.read()) == pytest.approx(task.baselines("validation")[1].metrics)
