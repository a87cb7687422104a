"""Scores of classifiers against scikit-learn, and the laws of their sums."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.tasks.classification_figures import SHOWN_CLASSES, figures
from specrun.tasks.classification_metrics import METRICS
from specrun.tasks.classification_scores import from_predictions, metrics
from specrun.training.class_counts import CALIBRATION_BINS, CONFUSION_CLASSES, ClassCounts

CPU = Device("cpu", torch.device("cpu"), torch.float32)


def drawn(seed: int, *, classes: int, samples: int, sharpness: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (samples,), generator=generator)
    logits = sharpness * torch.randn(samples, classes, generator=generator)
    return logits + torch.nn.functional.one_hot(labels, classes), labels


def counted(logits: torch.Tensor, labels: torch.Tensor, *, batch: int = 1000) -> dict[str, object]:
    counts = ClassCounts(logits.shape[1], device=CPU)
    for part in zip(logits.split(batch), labels.split(batch), strict=True):
        counts.add(*part)
    return counts.read()


def reference_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    error = 0.0
    for number in range(CALIBRATION_BINS):
        inside = (confidence > number / CALIBRATION_BINS) & (confidence <= (number + 1) / CALIBRATION_BINS)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return error


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 60), st.floats(0.1, 6))
def test_every_metric_is_that_of_an_independent_reference(seed: int, classes: int, samples: int, sharpness: float) -> None:
    logits, labels = drawn(seed, classes=classes, samples=samples, sharpness=sharpness)
    found = metrics(counted(logits, labels, batch=7))
    probabilities, truth = logits.double().softmax(dim=-1).numpy(), labels.numpy()
    predicted, everything = probabilities.argmax(axis=1), list(range(classes))
    assert found["loss"] == pytest.approx(sklearn.metrics.log_loss(truth, probabilities, labels=everything), rel=1e-5, abs=1e-6)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro", zero_division=0))
    assert found["calibration_error"] == pytest.approx(reference_calibration_error(probabilities, truth), abs=1e-6)
    if classes > 5:
        top = sklearn.metrics.top_k_accuracy_score(truth, probabilities, k=5, labels=everything)
        assert found["top5_accuracy"] == pytest.approx(top)
    assert set(found) == set(METRICS) - ({"top5_accuracy"} if classes <= 5 else set())


def test_the_confusion_matrix_has_true_classes_in_its_rows() -> None:
    logits, labels = drawn(1, classes=4, samples=200)
    expected = sklearn.metrics.confusion_matrix(labels.numpy(), logits.argmax(dim=-1).numpy(), labels=range(4))
    assert counted(logits, labels)["confusion"] == expected.tolist()


def test_so_many_classes_that_no_matrix_is_kept_have_the_same_metrics() -> None:
    classes = CONFUSION_CLASSES + 1
    logits, labels = drawn(2, classes=classes, samples=500)
    sums = counted(logits, labels)
    assert "confusion" not in sums
    truth, predicted = labels.numpy(), logits.argmax(dim=-1).numpy()
    assert metrics(sums)["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted, average="macro", zero_division=0))
    assert {figure["id"] for figure in figures(sums, [str(k) for k in range(classes)])} == {"classes", "reliability"}


def test_sums_of_batches_and_of_workers_add_up_to_those_of_the_whole() -> None:
    logits, labels = drawn(3, classes=6, samples=90)
    whole = counted(logits, labels)
    assert counted(logits, labels, batch=11) == {**whole, "nll": pytest.approx(whole["nll"]), "calibration": approximately(whole)}

    class Two(Workers):
        def total(self, numbers: object) -> list[float]:
            return [2 * number for number in numbers]  # type: ignore[attr-defined]

    counts = ClassCounts(6, device=CPU)
    counts.add(logits, labels)
    assert metrics(counts.read(Two())) == pytest.approx(metrics(whole))


def approximately(sums: dict[str, object]) -> list[object]:
    return [pytest.approx(row) for row in sums["calibration"]]  # type: ignore[attr-defined]


def test_counting_waits_for_the_device_once() -> None:
    logits, labels = drawn(4, classes=3, samples=64)
    before = CPU.syncs
    counted(logits, labels, batch=8)
    assert CPU.syncs == before + 1


def test_a_loss_that_is_not_finite_stays_so() -> None:
    logits, labels = drawn(5, classes=3, samples=8)
    logits[2, 1] = torch.nan
    found = metrics(counted(logits, labels))
    assert np.isnan(found["loss"])
    assert np.isnan(found["calibration_error"])
    assert set(found) == set(METRICS) - {"top5_accuracy"}


def test_predictions_alone_give_the_scores_that_need_no_probability() -> None:
    logits, labels = drawn(6, classes=7, samples=50)
    found, whole = from_predictions(labels.numpy(), logits.argmax(dim=-1).numpy(), num_classes=7), metrics(counted(logits, labels))
    assert found == pytest.approx({name: whole[name] for name in ("accuracy", "macro_f1")})


def test_figures_lose_no_sample_and_stay_small() -> None:
    logits, labels = drawn(7, classes=100, samples=3000)
    names = [f"{'long ' * 20}{number}" for number in range(100)]
    shown = {figure["id"]: figure for figure in figures(counted(logits, labels), names)}
    assert list(shown) == ["confusion", "confused", "classes", "reliability"]
    assert np.asarray(shown["confusion"]["values"]).shape == (SHOWN_CLASSES + 1, SHOWN_CLASSES + 1)
    assert np.sum(shown["confusion"]["values"]) == 3000
    assert len(json.dumps(list(shown.values()))) < 40_000
    assert max(len(name) for name in shown["confusion"]["x"]) <= 40


def test_figures_of_a_perfect_classifier_show_no_confused_pair() -> None:
    labels = torch.arange(4).repeat(3)
    sums = counted(10.0 * torch.nn.functional.one_hot(labels, 4), labels)
    shown = {figure["id"]: figure for figure in figures(sums, list("abcd"))}
    assert "confused" not in shown
    assert all(row[-1] == 1.0 for row in shown["classes"]["rows"])
    assert figures({"predictions": 0}, []) == []
