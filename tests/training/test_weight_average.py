"""The moving average of the weights: its closed form, and that judging it leaves the weights as they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from test_checkpoints import DEVICE, state
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from specrun.training.checkpoints import load_step
from specrun.training.loop import TrainState
from specrun.training.saving import Saver
from specrun.training.weight_average import WeightAverage, _move, judged


def trajectory(model: nn.Module, steps: int, average: WeightAverage, *, skip: bool | None = None) -> list[dict[str, torch.Tensor]]:
    """Random walks of the weights; all of them, the first before any step."""
    seen = [copy.deepcopy(model.state_dict())]
    for step in range(1, steps + 1):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(step)), alpha=0.1)
        average.update(steps=step, skip=None if skip is None else torch.tensor(float(skip)))
        seen.append(copy.deepcopy(model.state_dict()))
    return seen


@pytest.mark.parametrize("skip", [None, False])
@pytest.mark.parametrize("decay", [0.2, 0.5, 0.999])
def test_the_average_is_the_weighted_sum_of_all_weights_so_far(decay: float, skip: bool | None) -> None:
    model = state().model
    average = WeightAverage(model, decay=decay)
    seen = trajectory(model, 12, average, skip=skip)
    shares, left = [], 1.0
    for step in range(12, 0, -1):
        kept = min(decay, (1 + step) / (10 + step))
        shares.append(left * (1 - kept))
        left *= kept
    for name, found in average.tensors(model).items():
        parts = zip([*shares, left], reversed(seen), strict=True)
        expected = sum(share * weights[name].double() for share, weights in parts)
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


def test_a_skipped_step_leaves_the_average_as_it_is() -> None:
    model = state().model
    average = WeightAverage(model, decay=0.9)
    trajectory(model, 3, average)
    before = copy.deepcopy(average.tensors(model))
    trajectory(model, 2, average, skip=True)
    assert all(torch.equal(found, before[name]) for name, found in average.tensors(model).items())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.9])
def test_averages_move_by_a_share_on_the_device_as_by_one_on_the_host(share: float) -> None:
    averages, weights = ([torch.randn(3, 5), torch.randn(7)] for _ in range(2))
    expected = [torch.lerp(average, weight, share) for average, weight in zip(averages, weights, strict=True)]
    before = [average.clone() for average in averages]
    _move(averages, weights, torch.tensor(share))
    torch.testing.assert_close(averages, expected)
    assert share or all(map(torch.equal, averages, before))


def test_moving_by_a_share_on_the_device_takes_no_launch_a_weight() -> None:
    class Launches(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += 1
            return function(*args, **(kwargs or {}))

    averages, weights = ([torch.randn(3) for _ in range(20)] for _ in range(2))
    share = torch.tensor(0.5)
    with Launches() as launches:
        _move(averages, weights, share)
    assert launches.count == 3


def test_judging_sees_the_average_and_leaves_the_weights_bit_for_bit() -> None:
    model = state().model
    average = WeightAverage(model, decay=0.9)
    trajectory(model, 3, average)
    weights, expected = copy.deepcopy(model.state_dict()), copy.deepcopy(average.tensors(model))
    places = [weight.data_ptr() for weight in model.parameters()]

    def look_and_end() -> None:
        with judged(average):
            assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())
            assert not torch.equal(model.get_parameter("final_norm.weight"), weights["final_norm.weight"])
            assert places == [weight.data_ptr() for weight in model.parameters()]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_and_end()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
    assert all(torch.equal(found, expected[name]) for name, found in average.tensors(model).items())
    with judged(None):
        assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


def test_weights_that_are_not_trained_and_those_that_are_tied_stand_in_the_average_as_they_are() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.one, self.other = nn.Linear(2, 2), nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.other.weight = self.one.weight
            self.register_buffer("count", torch.tensor(7))
            self.frozen.requires_grad_(False)

    model = Tied()
    average = WeightAverage(model, decay=0.5)
    with torch.no_grad():
        model.one.weight += 1.0
    found = average.tensors(model)
    assert found.keys() == model.state_dict().keys()
    assert torch.equal(found["one.weight"], found["other.weight"])
    torch.testing.assert_close(found["one.weight"] + 1, model.one.weight.detach())
    assert torch.equal(found["frozen.weight"], model.frozen.weight)
    assert found["count"] == 7


def averaged() -> TrainState:
    it = state()
    it.average = WeightAverage(it.model, decay=0.7)
    return it


def saved(folder: Path, it: TrainState) -> Any:
    """Best weights, then the whole state, of one step, as a session saves them."""
    with Saver(folder, key="k", device=DEVICE, keep_last=2, keep_best=1) as saver:
        saver.save_best(it, metrics={"validation/loss": 1.0}, score=1.0)
        saver.save_step(it, {}, metrics={}, best_step=None)
    return [written.info for written in saver.collect()]


def test_the_best_checkpoint_holds_the_average_and_the_newest_both(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    it = averaged()
    assert it.average is not None
    trajectory(it.model, 3, it.average)
    best, newest = saved(tmp_path, it)
    assert sorted(path.name for path in best.path.iterdir()) == ["manifest.json", "model.safetensors", "state.json"]
    for file, expected in ((best.path / "model.safetensors", it.average.tensors(it.model)),
                           (newest.path / "average.safetensors", it.average.tensors(it.model)),
                           (newest.path / "model.safetensors", it.model.state_dict())):  # fmt: skip
        found = load_file(file)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_saved_average_goes_on_bit_for_bit(tmp_path: Path) -> None:
    before, after = averaged(), averaged()
    assert before.average is not None
    assert after.average is not None
    trajectory(before.model, 3, before.average)
    load_step(saved(tmp_path, before)[1], after)
    for it in (before, after):
        assert it.average is not None
        trajectory(it.model, 4, it.average)
    assert all(torch.equal(found, before.average.tensors(before.model)[name]) for name, found in after.average.tensors(after.model).items())
