"""float16 trains by a loss scale that adapts itself on the device: an overflow is skipped, is no fault, and resumes bit for bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import ADAMW, batches, new_model, new_state
from torch import Tensor

from specrun.runtime.device import Device
from specrun.training.checkpoints import load_step, optimizer_tensors
from specrun.training.loop import StepStats, TrainState, train_step
from specrun.training.loss_scaling import LossScale
from specrun.training.meters import Meter
from specrun.training.optimizers.adamw.build import build as build_adamw
from specrun.training.saving import Saver
from tests.waits import Waits

HALF = Device("cpu", torch.device("cpu"), torch.float16)


def half_state(**scale: Any) -> TrainState:
    state = new_state(new_model(), dtype=torch.float16)
    state.loss_scale = LossScale(HALF, **scale)
    return state


def run_steps(state: TrainState, count: int, *, skip: int = 0) -> list[StepStats]:
    return [train_step(state, batch) for number, batch in enumerate(batches(skip + count)) if number >= skip]


def tensors_of(state: TrainState) -> list[Tensor]:
    """All that training goes on from, copied."""
    assert state.loss_scale is not None
    moments = [tensor for _, tensor in sorted(optimizer_tensors(state.model, state.optimizer).items())]
    return [tensor.detach().clone() for tensor in (*state.model.parameters(), *moments, *state.loss_scale.tensors().values())]


def test_a_scale_is_needed_where_products_are_float16_alone() -> None:
    needed = {
        dtype: LossScale.needed_on(Device("cpu", torch.device("cpu"), dtype)) for dtype in (torch.float32, torch.bfloat16, torch.float16)
    }
    assert [dtype for dtype, scale in needed.items() if scale is not None] == [torch.float16]


def test_float16_with_a_scale_learns_what_float32_learns() -> None:
    half, full = run_steps(half_state(), 25), run_steps(new_state(new_model()), 25)
    for a, b in zip(half, full, strict=True):
        assert a.loss.item() == pytest.approx(b.loss.item(), abs=0.02)
        assert a.gradient_norm.item() == pytest.approx(b.gradient_norm.item(), rel=0.05)
    assert half[-1].loss.item() < half[0].loss.item() - 0.3


def test_a_step_whose_scaled_gradient_overflows_changes_the_scale_and_nothing_else() -> None:
    state = half_state()
    run_steps(state, 2)
    assert state.loss_scale is not None
    state.loss_scale.load({"scale": torch.tensor(2.0**60), "steps_without_overflow": torch.tensor(2, dtype=torch.int32)})
    before = tensors_of(state)
    (stats,) = run_steps(state, 1, skip=2)
    *same, scale, row = zip(before, tensors_of(state), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert (scale[1].item(), row[1].item()) == (2.0**59, 0)
    assert math.isfinite(stats.loss.item())
    assert stats.gradient_norm.item() == math.inf
    assert state.step == 3


def test_an_overflow_of_the_scale_is_no_fault_and_training_finds_a_scale_that_fits() -> None:
    state, meter = half_state(initial=2.0**40), Meter(100)
    for stats in run_steps(state, 30):
        meter.add(stats)
    assert meter.read(HALF) == []
    assert 0 < len(meter.to_json()["newest"]) < 30
    assert state.loss_scale is not None
    assert 1.0 < state.loss_scale.tensors()["scale"].item() < 2.0**40


def test_what_overflows_without_a_scale_is_a_fault() -> None:
    state, meter = half_state(initial=1.0), Meter()
    with torch.no_grad():
        next(iter(state.model.parameters()))[0, 0] = math.nan
    for stats in run_steps(state, 1):
        meter.add(stats)
    assert [fault.step for fault in meter.read(HALF)] == [1]
    scale = LossScale(HALF, initial=2.0)
    infinite = torch.tensor(math.inf)
    assert scale.shown(infinite).item() == math.inf
    scale.update(torch.tensor(1.0))
    assert math.isnan(scale.shown(infinite).item())
    scale.update(torch.tensor(1.0))
    assert scale.tensors()["scale"].item() == 1.0


def test_the_scale_moves_as_torchs_own_scaler_moves_it() -> None:
    scale = LossScale(HALF, initial=1024.0, growth_steps=3)
    reference = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    for overflows in [0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]:
        reference.scale(parameter.sum()).backward()
        assert parameter.grad is not None
        parameter.grad += math.inf if overflows else 0.0
        reference.step(optimizer)
        reference.update()
        optimizer.zero_grad()
        scale.update(torch.tensor(float(overflows)))
        assert scale.tensors()["scale"].item() == reference.get_scale()


def test_unscaled_gradients_are_those_of_the_loss() -> None:
    scale, weight = LossScale(HALF), torch.nn.Parameter(torch.arange(4.0))
    scale.scale((weight**2).sum()).backward()
    assert weight.grad is not None
    scale.unscale([weight.grad])
    assert torch.equal(weight.grad, 2 * weight.detach())


def test_a_scaled_step_does_not_wait_for_the_device() -> None:
    state = half_state()
    run_steps(state, 1)
    with Waits() as waits:
        run_steps(state, 3, skip=1)
    assert waits.count == 0


@pytest.mark.parametrize("initial", [65_536.0, 2.0**40], ids=["at rest", "while the scale falls"])
def test_training_in_float16_goes_on_bit_for_bit_from_a_checkpoint(tmp_path: Path, initial: float) -> None:
    straight = half_state(initial=initial)
    run_steps(straight, 8)
    first = half_state(initial=initial)
    run_steps(first, 4)
    with Saver(tmp_path, key="k", device=HALF, keep_last=2, keep_best=1) as saver:
        saver.save_step(first, {}, metrics={}, best_step=None)
        saver.wait()
        saver.collect()
    resumed = half_state(initial=initial)
    resumed.optimizer = build_adamw(ADAMW, model=resumed.model)
    assert saver.last is not None
    load_step(saver.last, resumed)
    run_steps(resumed, 4, skip=4)
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(straight), tensors_of(resumed), strict=True))


def test_going_back_to_the_start_takes_the_scale_along() -> None:
    scale = LossScale(HALF)
    scale.update(torch.tensor(1.0))
    scale.reset()
    assert {name: tensor.item() for name, tensor in scale.tensors().items()} == {"scale": 65_536.0, "steps_without_overflow": 0}
