"""Running means of batch norms are state: restored bit for bit, left alone by steps that do not count, one mean for all workers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_checkpoints import DEVICE
from torch import Tensor, nn

from specrun.models.cnn.build import build
from specrun.models.cnn.options import Options as Cnn
from specrun.training.checkpoints import load_step
from specrun.training.finders.trial import trial
from specrun.training.loop import TrainState, accumulate, train_step
from specrun.training.optimizers.adamw.build import build as build_adamw
from specrun.training.optimizers.adamw.options import Options as AdamW
from specrun.training.running_statistics import RunningStatistics, running_statistics
from specrun.training.saving import Saver
from specrun.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Images:
    pixels: Tensor

    @property
    def weight(self) -> int:
        return len(self.pixels)

    positions = weight

    def split(self, size: int) -> Iterator[Images]:
        return (Images(part) for part in self.pixels.split(size))


class Squares:
    """A loss of nothing in particular; the part of that number fails."""

    failing: int | None = None

    def loss_sum(self, model: nn.Module, batch: Images) -> Tensor:
        if self.failing is not None:
            self.failing -= 1
            if self.failing < 0:
                raise MemoryError
        loss: Tensor = model(batch.pixels).square().sum()
        return loss


def batch(number: int) -> Images:
    return Images(torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(number)))


def state() -> TrainState:
    torch.manual_seed(1)
    model = build(Cnn(kind="cnn", widths=(4, 6), convolutions=1), channels=2, height=8, width=8, num_classes=3)
    task: Any = Squares()
    optimizer = build_adamw(AdamW(kind="adamw"), model=model)
    return TrainState(model, optimizer, task, DEVICE, lambda _: 1e-2, None, 2, 0, skip_non_finite=True,
                      average=WeightAverage(model, decay=0.7), statistics=RunningStatistics.of(model))  # fmt: skip


def bits(it: TrainState) -> dict[str, Tensor]:
    assert it.average is not None
    average = {f"average of {name}": tensor for name, tensor in it.average.tensors(it.model).items()}
    return copy.deepcopy({**it.model.state_dict(), **average})


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_training_with_batch_norm_that_is_gone_on_from_is_the_whole_one_bit_for_bit(tmp_path: Path) -> None:
    whole = state()
    for number in range(3):
        train_step(whole, batch(number))
    with Saver(tmp_path, key="k", device=DEVICE, keep_last=2, keep_best=1) as saver:
        saver.save_step(whole, {}, metrics={}, best_step=None)
    again = state()
    load_step(saver.collect()[0].info, again)
    assert equal(bits(again), bits(whole))
    for number in range(3, 6):
        for it in (whole, again):
            train_step(it, batch(number))
    assert equal(bits(again), bits(whole))
    images = batch(9).pixels
    assert torch.equal(again.model.eval()(images), whole.model.eval()(images))


def test_running_means_are_those_of_torchs_own_batch_norm_over_the_micro_batches() -> None:
    it = state()
    reference = nn.BatchNorm2d(4)
    with torch.no_grad():
        for part in batch(0).split(2):
            reference(it.model.blocks[0].convolution(part.pixels))  # type: ignore[index, union-attr, operator]
    train_step(it, batch(0))
    found = dict(it.model.named_buffers())
    torch.testing.assert_close(found["blocks.0.norm.running_mean"], reference.running_mean)
    torch.testing.assert_close(found["blocks.0.norm.running_var"], reference.running_var)


def test_a_step_that_is_left_out_leaves_running_means_and_their_average_as_they_were() -> None:
    it = state()
    train_step(it, batch(0))
    before = bits(it)
    train_step(it, Images(batch(1).pixels * torch.nan))
    assert equal(bits(it), before)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_step_that_is_computed_again_counts_once(failing: int) -> None:
    once, again = state(), state()
    again.task.failing = failing  # type: ignore[attr-defined]
    with pytest.raises(MemoryError):
        accumulate(again, batch(0))
    again.optimizer.zero_grad()
    again.task.failing = None  # type: ignore[attr-defined]
    for it in (once, again):
        train_step(it, batch(0))
    assert equal(bits(again), bits(once))


def test_a_trial_that_fails_leaves_nothing_to_be_put_back_later() -> None:
    whole, tried = state(), state()
    with trial(tried) as within:
        train_step(within, batch(5))
        within.task.failing = 1  # type: ignore[attr-defined]
        with pytest.raises(MemoryError):
            accumulate(within, batch(6))
        within.optimizer.zero_grad()
    tried.task.failing = None  # type: ignore[attr-defined]
    for it in (whole, tried):
        train_step(it, batch(0))
    assert equal(bits(tried), bits(whole))


def test_workers_go_on_with_the_mean_of_their_running_means() -> None:
    it = state()
    assert it.statistics is not None
    theirs = {name: torch.rand_like(tensor) for name, tensor in running_statistics(it.model).items() if tensor.is_floating_point()}
    others = torch.cat([tensor.reshape(-1) for tensor in theirs.values()])
    it.statistics.begin()
    accumulate(it, batch(0))
    ours = copy.deepcopy(running_statistics(it.model))
    workers: Any = SimpleNamespace(size=2, add=lambda numbers: numbers + others)
    it.statistics.settle(workers)
    found = running_statistics(it.model)
    for name, tensor in theirs.items():
        torch.testing.assert_close(found[name], (ours[name] + tensor) / 2)


def test_tables_that_no_checkpoint_has_are_no_running_statistics() -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("table", torch.ones(2), persistent=False)
    assert RunningStatistics.of(model) is None
