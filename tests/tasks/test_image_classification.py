"""The task on images: batches are a naive loader's bit for bit, changes are their definitions, whatever is computed together."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError
from specrun.models.cnn.build import build as build_cnn
from specrun.models.cnn.options import Options as Cnn
from specrun.runtime.protocols import Compared, Illustrated
from specrun.runtime.seeds import derive
from specrun.tasks.image_classification.baselines import SHRINKAGE, features, ridge
from specrun.tasks.image_classification.build import IMAGENET, ImageClassification
from specrun.tasks.image_classification.options import Options
from specrun.training.augmentation import Changes, _beta_quantiles, _uniform, draw, moved
from specrun.training.image_batches import ImageBatch, Images
from specrun.training.order import Order
from tests.tasks.image_files import DEVICE, encoded, opened, prepared, random_images, small_task, store

ALL = {"flip": 0.5, "crop": 2, "cutout": 3, "mixup": 0.4}


def tensors(batch: ImageBatch) -> list[torch.Tensor]:
    """All there are, partners' last."""
    own = [batch.images, batch.labels, *(it for it in (batch.moves, batch.shares) if it is not None)]
    return own if batch.partner is None else own + tensors(batch.partner)


def joined(parts: list[ImageBatch]) -> list[torch.Tensor]:
    return [torch.cat(them) for them in zip(*map(tensors, parts), strict=True)]


def alike(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize("resident_bytes", [0, 2**20])
def test_an_epoch_is_a_naive_loaders_bit_for_bit(tmp_path: Path, resident_bytes: int) -> None:
    task = small_task(tmp_path)
    images = Images(tmp_path / "examples", seed=derive(0, "order"), draw_seed=1, device=DEVICE, changes=Changes(),
                    resident_bytes=resident_bytes)  # fmt: skip
    table = [encoded(pixels) for pixels in random_images(20, channels=3)]
    order = Order(20, seed=derive(0, "order"))
    seen = []
    for first in range(0, 20, 8):
        batch = images.train_batch(first, count=min(8, 20 - first))
        assert alike(tensors(batch), tensors(task.train_batch(first, count=min(8, 20 - first))))
        for place, pixels in enumerate(batch.images):
            (number,) = order.chosen(first + place, count=1).tolist()
            naive = np.asarray(Image.open(io.BytesIO(table[number]))).transpose(2, 0, 1)
            assert np.array_equal(pixels.numpy(), naive)
            assert batch.labels[place] == number % 3
            seen.append(number)
    assert sorted(seen) == list(range(20))


@pytest.mark.parametrize("normalization", ["dataset", "imagenet", "none"])
def test_normalisation_is_the_closed_form_of_each_image(tmp_path: Path, normalization: str) -> None:
    task = small_task(tmp_path, normalization=normalization)
    every = np.stack(random_images(20, channels=3)) / 255
    mean, std = {
        "dataset": (every.mean(axis=(0, 1, 2)), every.std(axis=(0, 1, 2))), "imagenet": IMAGENET, "none": ([0.0] * 3, [1.0] * 3),
    }[normalization]  # fmt: skip
    batch = task.train_batch(0, count=20)
    for pixels, found in zip(batch.images.double(), task.inputs(batch), strict=True):
        expected = (pixels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("augmentation", [{}, {"flip": 0.5}, {"mixup": 1.0}, ALL])
def test_samples_are_the_same_in_whatever_batches_they_are_taken(tmp_path: Path, augmentation: dict[str, Any]) -> None:
    task = small_task(tmp_path, augmentation=augmentation)
    whole = task.train_batch(3, count=40)
    parts = [task.train_batch(first, count=count) for first, count in ((3, 1), (4, 16), (20, 23))]
    assert alike(joined(parts), tensors(whole))
    torch.testing.assert_close(torch.cat([task.inputs(part) for part in whole.split(7)]), task.inputs(whole), atol=0, rtol=0)
    assert alike(joined([whole.share(rank, size=2) for rank in range(2)]), tensors(whole))
    assert (whole.weight, whole.positions) == (40, 40)
    again, other = small_task(tmp_path, augmentation=augmentation), small_task(tmp_path, augmentation=augmentation, seed=1)
    assert alike(tensors(again.train_batch(3, count=40)), tensors(whole))
    assert not alike(tensors(other.train_batch(3, count=40)), tensors(whole))


def test_no_image_is_changed_alike_in_two_epochs(tmp_path: Path) -> None:
    task = small_task(tmp_path, augmentation={"crop": 2, "flip": 0.5})
    first, second = task.train_batch(0, count=20), task.train_batch(20, count=20)
    assert first.moves is not None
    assert second.moves is not None
    moves = [{tuple(row) for row in batch.moves.tolist()} for batch in (first, second)]
    assert moves[0] != moves[1]


@pytest.mark.parametrize("crop", [0, 1, 3])
def test_moved_images_are_those_of_a_loop_over_images_and_pixels(crop: int) -> None:
    images = torch.randint(0, 256, (6, 2, 5, 7), dtype=torch.uint8)
    drawn = draw(Changes(flip=0.5, crop=crop), 100, count=6, seed=3, height=5, width=7)
    found = moved(images, torch.from_numpy(drawn.moves), crop=crop)
    for image, out, (flipped, top, left, *_) in zip(images.numpy(), found.numpy(), drawn.moves.tolist(), strict=True):
        framed = np.pad(image, ((0, 0), (crop, crop), (crop, crop)))
        stretch = framed[:, top : top + 5, left : left + 7]
        assert np.array_equal(out, stretch[:, :, ::-1] if flipped else stretch)
    assert {row[0] for row in drawn.moves.tolist()} == {0, 1}


def test_a_square_around_a_drawn_place_is_set_to_the_mean(tmp_path: Path) -> None:
    task = small_task(tmp_path, augmentation={"cutout": 4})
    batch = task.train_batch(0, count=20)
    assert batch.moves is not None
    plain, changed = task.inputs(ImageBatch(batch.images, batch.labels)), task.inputs(batch)
    for before, after, (*_, row, column) in zip(plain, changed, batch.moves.tolist(), strict=True):
        expected = before.clone()
        expected[:, max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = 0
        assert torch.equal(after, expected)
    rows, columns = batch.moves[:, 3], batch.moves[:, 4]
    assert (int(rows.min()), int(columns.min())) >= (0, 0)
    assert int(rows.max()) < 6
    assert int(columns.max()) < 8


def test_mixed_images_and_their_loss_are_those_of_both_by_their_shares(tmp_path: Path) -> None:
    task = small_task(tmp_path, augmentation={"mixup": 0.7}, label_smoothing=0.1)
    model = build_cnn(Cnn(kind="cnn", widths=(4,), norm="none"), channels=3, height=6, width=8, num_classes=3)
    batch = task.train_batch(0, count=16)
    assert batch.partner is not None
    assert batch.shares is not None
    own, other = task.inputs(ImageBatch(batch.images, batch.labels)), task.inputs(batch.partner)
    shares = batch.shares[:, None, None, None]
    torch.testing.assert_close(task.inputs(batch), shares * own + (1 - shares) * other)
    logits = model(task.inputs(batch))
    # What the paper has: the cross-entropy with mixed targets, smoothed alike.
    targets = batch.shares[:, None] * F.one_hot(batch.labels, 3) + (1 - batch.shares[:, None]) * F.one_hot(batch.partner.labels, 3)
    expected = -((0.9 * targets + 0.1 / 3) * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(task.loss_sum(model, batch), expected)


@pytest.mark.parametrize("parameter", [0.1, 0.4, 1.0, 3.0])
def test_shares_of_mixed_images_are_beta_distributed(parameter: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    uniform = np.linspace(1e-4, 1 - 1e-4, 301)
    np.testing.assert_allclose(_beta_quantiles(parameter, uniform), stats.beta(parameter, parameter).ppf(uniform), atol=2e-4)


def test_what_is_drawn_is_uniform_and_unrelated() -> None:
    stats = pytest.importorskip("scipy.stats")
    drawn = _uniform(0, count=4000, seed=5)
    assert all(stats.kstest(row, "uniform").pvalue > 0.001 for row in drawn)
    assert np.abs(np.corrcoef(np.vstack([drawn, drawn[:, ::-1], np.roll(drawn, 1, axis=1)])) - np.eye(24)).max() < 0.08
    flips = draw(Changes(flip=0.3), 0, count=4000, seed=5, height=4, width=4).moves[:, 0]
    assert flips.mean() == pytest.approx(0.3, abs=0.03)


def test_an_evaluation_is_by_running_means_alone_whatever_is_computed_together(tmp_path: Path) -> None:
    task = small_task(tmp_path, augmentation=ALL)
    model = build_cnn(Cnn(kind="cnn", widths=(4,)), channels=3, height=6, width=8, num_classes=3)
    model(task.inputs(task.train_batch(0, count=8)))
    whole = task.evaluate(model, "validation")
    assert model.training
    assert json.loads(json.dumps(whole)) == whole
    images = torch.from_numpy(np.stack(random_images(9, seed=1, channels=3)).transpose(0, 3, 1, 2).copy())
    logits = model.eval()(task.inputs(ImageBatch(images, torch.zeros(9)))).detach()
    labels = torch.arange(9) % 3
    assert whole["correct"] == int((logits.argmax(-1) == labels).sum())
    assert whole["nll"] == pytest.approx(float(F.cross_entropy(logits, labels, reduction="sum")), rel=1e-5)
    apart = task.evaluate(model, "validation", divided=256)
    assert apart["nll"] == pytest.approx(whole["nll"], rel=1e-5)
    assert apart["confusion"] == whole["confusion"]
    assert task.evaluate(model, "validation", max_samples=4)["predictions"] == 4


def test_an_evaluation_reads_the_device_once_and_stops_where_it_is_asked_to(tmp_path: Path) -> None:
    task = small_task(tmp_path)
    model = build_cnn(Cnn(kind="cnn", widths=(4,)), channels=3, height=6, width=8, num_classes=3)
    before = DEVICE.syncs
    task.evaluate(model, "validation", divided=256)
    assert DEVICE.syncs == before + 1

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.evaluate(model, "validation", divided=256, between=stop)
    assert model.training


def test_examples_and_figures_name_the_classes(tmp_path: Path) -> None:
    task = small_task(tmp_path)
    assert isinstance(task, Compared)
    assert isinstance(task, Illustrated)
    model = build_cnn(Cnn(kind="cnn", widths=(4,)), channels=3, height=6, width=8, num_classes=3)
    found = task.examples(model, count=4)
    assert [(one["input"], one["expected"]) for one in found] == [
        ("image in row 1", "class 0"), ("image in row 3", "class 2"), ("image in row 6", "class 2"), ("image in row 9", "class 2"),
    ]  # fmt: skip
    assert all(one["predicted"] in ("class 0", "class 1", "class 2") and 1 / 3 <= one["confidence"] <= 1 for one in found)
    assert task.examples(model, count=4) == found
    assert task.examples(model, count=0) == []
    sums = task.evaluate(model, "validation")
    assert set(task.metrics(sums)) <= set(Options.metrics)
    figures = task.figures(model, "validation", sums)
    assert next(figure for figure in figures if figure["kind"] == "heatmap")["x"] == ["class 0", "class 1", "class 2"]
    json.dumps(figures, allow_nan=False)


def test_ridge_is_sklearns_and_the_majority_is_counted(tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 7)), np.eye(3)[rng.integers(0, 3, 50)]
    penalty = SHRINKAGE * np.square(x - x.mean(axis=0)).sum() / 7
    reference = linear.Ridge(alpha=penalty).fit(x, y)
    weights, offset = ridge(x, y)
    np.testing.assert_allclose(weights, reference.coef_.T, atol=1e-8)
    np.testing.assert_allclose(offset, reference.intercept_, atol=1e-8)
    task = small_task(tmp_path)
    majority, of_pixels = task.baselines("validation")
    assert majority.metrics["accuracy"] == pytest.approx(1 / 3)
    assert majority.metrics["loss"] == pytest.approx(-np.log([8 / 23, 8 / 23, 7 / 23]).mean())
    assert 0 <= of_pixels.metrics["accuracy"] <= 1


def test_ridge_tells_what_can_be_told_by_a_line(tmp_path: Path) -> None:
    for split, count in (("train", 60), ("validation", 10)):
        images = random_images(count, seed=count)
        for number, pixels in enumerate(images):
            pixels[:3] //= 1 + 7 * (number % 2)
        store(tmp_path / "data", split, [encoded(pixels) for pixels in images], [number % 2 for number in range(count)])
    options = Options(kind="image_classification")
    _, of_pixels = opened(tmp_path, options, prepared(tmp_path)).baselines("validation")
    assert of_pixels.metrics == {"accuracy": 1.0, "macro_f1": 1.0}


def test_features_of_large_images_are_means_of_squares() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 50, 41), dtype=np.uint8)
    found = features(images)
    assert found.shape == (2, 3 * 16 * 13)
    assert found[1, 0] == pytest.approx(images[1, 0, :3, :3].mean() / 255)


@pytest.mark.parametrize(
    ("options", "code", "remedy"),
    [
        ({"augmentation": {"crop": 6}}, "augmentation-exceeds-image", "task.augmentation.crop: 1"),
        ({"augmentation": {"cutout": 6}}, "augmentation-exceeds-image", "task.augmentation.cutout: 3"),
        ({"normalization": "imagenet"}, "imagenet-is-in-color", "normalization: dataset"),
    ],
)
def test_what_does_not_go_with_the_images_is_refused_before_step_0(tmp_path: Path, options: dict[str, Any], code: str, remedy: str) -> None:
    with pytest.raises(SpecrunError) as caught:
        small_task(tmp_path, channels=1, **options)
    assert caught.value.code == code
    assert remedy in str(caught.value.hint)
    chosen = Options(kind="image_classification", size=(6, 8), color="grey", **options)
    spec: Any = None
    (problem,) = chosen.problems(spec, ("task",))
    assert problem.code == code


def test_the_task_is_what_training_asks_for(tmp_path: Path) -> None:
    task: ImageClassification = small_task(tmp_path)
    assert task.samples_per_epoch == 20
    assert task.sample_tokens is None
