"""The task on labelled texts: batches are a naive loader's, whatever is computed together gives one loss, sums are those of each text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.encoder.build import build as build_encoder
from specrun.models.encoder.options import Options as Encoder
from specrun.runtime.distributed import Workers
from specrun.runtime.protocols import Compared, Illustrated
from specrun.runtime.seeds import derive
from specrun.tasks.text_classification.build import TextClassification
from specrun.training.documents import DocumentSampler
from specrun.training.text_batches import TextBatch
from tests.models.made import randomized
from tests.tasks.labelled_texts import TRAIN, opened, prepared, small_task, spec_of


def network(*, vocab_size: int = 18, classes: int = 2) -> nn.Module:
    options = Encoder(kind="encoder", num_layers=1, width=16, num_heads=2, dropout=0.0)
    return randomized(build_encoder(options, vocab_size=vocab_size, sequence_length=16, num_classes=classes)).eval()


def texts(batch: TextBatch, folder: Path) -> list[tuple[str, int]]:
    """What a batch says, read back to letters."""
    vocabulary = {
        number: letter for letter, number in json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"].items()
    }
    return [
        ("".join(vocabulary[number] for number in ids[:length]), label)
        for ids, length, label in zip(batch.ids.tolist(), batch.lengths.tolist(), batch.labels.tolist(), strict=True)
    ]


@pytest.mark.parametrize("group_by_length", [False, True])
def test_an_epoch_has_every_text_once_as_a_naive_loader_would_pad_it(tmp_path: Path, group_by_length: bool) -> None:
    task = small_task(tmp_path, group_by_length=group_by_length, batch_size=2)
    lengths = np.array([max(1, min(16, len(text or ""))) for text, _ in TRAIN])
    sampler = DocumentSampler(lengths, batch_size=2, seed=derive(0, "order"), group_by_length=group_by_length)
    seen = []
    for first in range(0, 6, 2):
        batch = task.train_batch(first, count=2)
        chosen = sorted(sampler.samples(first, count=2).tolist(), key=lambda place: (-lengths[place], place))
        assert texts(batch, tmp_path) == [((TRAIN[place][0] or "")[:16], TRAIN[place][1]) for place in chosen]
        assert batch.ids.shape == (2, lengths[chosen].max())
        assert not any(row[length:].any() for row, length in zip(batch.ids, batch.lengths.tolist(), strict=True))
        assert (batch.weight, batch.positions) == (2, 2 * lengths[chosen].max())
        seen += chosen
    assert sorted(seen) == list(range(6))


def test_the_same_seed_gives_the_same_batches_from_wherever_one_goes_on(tmp_path: Path) -> None:
    one, other = (small_task(tmp_path, group_by_length=True, batch_size=2) for _ in range(2))
    straight = [one.train_batch(first, count=2).packed for first in range(0, 20, 2)]
    assert all(torch.equal(other.train_batch(first, count=2).packed, straight[first // 2]) for first in (10, 18, 2, 0))


@pytest.mark.parametrize("few_shapes", [False, True])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2, "class_weights": "balanced"}])
def test_the_loss_is_one_however_a_batch_is_divided(tmp_path: Path, few_shapes: bool, options: dict[str, Any]) -> None:
    task, model = small_task(tmp_path, pad_to_few_shapes=few_shapes, options=options), network()
    batch = task.train_batch(0, count=6)
    whole = task.loss_sum(model, batch)
    alone = sum(task.loss_sum(model, part) for part in batch.split(1))
    shared = [part for rank in range(2) for part in batch.share(rank, size=2).split(2)]
    torch.testing.assert_close(whole, torch.as_tensor(alone))
    torch.testing.assert_close(whole, torch.stack([task.loss_sum(model, part) for part in shared]).sum())
    assert sum(part.weight for part in shared) == 6
    if few_shapes:
        assert {part.ids.shape[1] for part in shared} == {16}


def test_the_loss_is_its_definition(tmp_path: Path) -> None:
    task, model = small_task(tmp_path, options={"class_weights": "balanced", "label_smoothing": 0.1}), network()
    batch = task.train_batch(0, count=6)
    expected = F.cross_entropy(model(batch.ids, batch.lengths), batch.labels, weight=torch.tensor([1.0, 1.0]), label_smoothing=0.1) * 6
    torch.testing.assert_close(task.loss_sum(model, batch), expected)


def test_parts_of_short_texts_are_more_texts_and_none_is_larger_than_asked(tmp_path: Path) -> None:
    batch = small_task(tmp_path).train_batch(0, count=6)
    parts = list(batch.split(3))
    assert [part.weight for part in parts] == [3, 3]
    assert [part.weight for part in small_task(tmp_path).train_batch(0, count=6).split(2)] == [2, 3, 1]
    assert all(part.positions <= 3 * 16 for part in parts)


def judged_one_by_one(model: nn.Module, task: TextClassification, count: int) -> list[tuple[int, int, float]]:
    """Of each text of validation its class, the predicted one, and the loss."""
    found = []
    for place in range(count):
        batch = task._samples.chosen_batch("validation", np.array([place]))
        log_probabilities = model(batch.ids, batch.lengths).detach().log_softmax(-1)[0]
        label = int(batch.labels)
        found.append((label, int(log_probabilities.argmax()), -float(log_probabilities[label])))
    return found


@pytest.mark.parametrize(("max_samples", "divided"), [(None, 1), (2, 1), (None, 4096)])
def test_evaluations_are_the_sums_over_each_text_alone(tmp_path: Path, max_samples: int | None, divided: int) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    task, model = small_task(tmp_path), network()
    sums = task.evaluate(model.train(), "validation", max_samples=max_samples, divided=divided)
    assert model.training
    expected, predicted, losses = zip(*judged_one_by_one(model.eval(), task, max_samples or 3), strict=True)
    metrics = task.metrics(sums)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics["accuracy"] == accuracy_score(expected, predicted)
    assert metrics["macro_f1"] == pytest.approx(f1_score(expected, predicted, average="macro"))
    assert json.loads(json.dumps(sums)) == sums


def test_workers_share_an_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, model, told = small_task(tmp_path), network(), []
    whole = task.evaluate(model, "validation", divided=4096)
    monkeypatch.setattr(Workers, "total", lambda _, numbers: told.append(numbers) or list(numbers))
    for rank in range(2):
        task.evaluate(model, "validation", workers=Workers(rank=rank, size=2), divided=4096)
    task.evaluate(model, "validation", divided=4096)
    np.testing.assert_allclose(np.add(*told[:2]), told[2])
    assert whole["predictions"] == 3


def test_examples_and_figures_are_what_a_report_shows(tmp_path: Path) -> None:
    task, model = small_task(tmp_path), network()
    shown = task.examples(model, count=3)
    assert [(text["input"], text["expected"], text["row"]) for text in shown] == [
        ("good day", "1", 11),
        ("bad film", "0", 12),
        ("it", "0", 13),
    ]
    assert all(text["predicted"].startswith(("0 (", "1 (")) for text in shown)
    assert task.examples(model, count=0) == []
    figures = task.figures(model, "validation", task.evaluate(model, "validation"))
    assert {figure["id"] for figure in figures} >= {"confusion", "reliability", "classes"}
    assert isinstance(task, Compared)
    assert isinstance(task, Illustrated)


def test_what_is_raised_between_two_batches_leaves_the_model_in_its_mode(tmp_path: Path) -> None:
    task, model = small_task(tmp_path), network().train()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.evaluate(model, "validation", divided=4096, between=stop)
    assert model.training


def test_a_model_learns_what_its_texts_tell(tmp_path: Path) -> None:
    spec = spec_of(batch_size=8)
    rows = [(f"{'good' if number % 2 else 'bad'} film {'and so on' * (number % 3)}", number % 2) for number in range(40)]
    task = opened(tmp_path, spec, prepared(tmp_path, spec, train=rows, validation=rows[:2]))
    torch.manual_seed(0)
    model = build_encoder(Encoder(kind="encoder", num_layers=1, width=32, num_heads=2), vocab_size=18, sequence_length=16, num_classes=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(30):
        loss = task.loss_sum(model.train(), task.train_batch(step * 8, count=8)) / 8
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert task.metrics(task.evaluate(model, "train"))["accuracy"] == 1
