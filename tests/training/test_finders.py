"""Finders: the range test on problems whose best rate is known, micro-batches by trial, and that neither leaves anything behind."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from test_loop import batches, new_model, new_state
from torch import Tensor, nn

from specrun.runtime.device import Device
from specrun.steps.find_micro_batch.run import no_size_fits
from specrun.training.finders.learning_rate import Curve, Range, range_test, smooth, suggest
from specrun.training.finders.micro_batch import Trial, fastest, measure_sizes
from specrun.training.finders.trial import trial
from specrun.training.loop import TrainState, train_step
from tests.spec.specs import MINIMAL, load

FULL = Range(low=1e-7, high=10.0, steps=100)


class Bowl(nn.Module):
    """Half the curvature times the squared distance from 0: gradient descent is at the bottom in one step of 1 / curvature, and
    diverges from twice that on."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.full((8,), 3.0))
        self.curvature = curvature


@dataclass(frozen=True)
class Nothing:
    """A batch of so many samples that hold nothing."""

    samples: int = 1
    weight: int = 1
    positions: int = 1

    def split(self, size: int) -> Iterator[Nothing]:
        yield from (Nothing(min(size, self.samples - start), self.weight) for start in range(0, self.samples, size))


class Depth:
    """The loss of a bowl. Stands in for a task."""

    def loss_sum(self, model: Any, batch: Nothing) -> Tensor:
        loss: Tensor = model.curvature / 2 * model.x.square().sum()
        return loss


def cpu() -> Device:
    return Device("cpu", torch.device("cpu"), torch.float32)


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer, task: Any) -> TrainState:
    return TrainState(model, optimizer, task, cpu(), lambda _: 1e-3, None, 1, seed=0)


def descent(curvature: float) -> TrainState:
    model = Bowl(curvature)
    return state_of(model, torch.optim.SGD(model.parameters(), lr=1.0), Depth())


@pytest.mark.parametrize("curvature", [0.5, 10.0, 1000.0])
def test_gradient_descent_on_a_bowl_is_given_a_rate_within_a_decade_of_the_best_and_below_divergence(curvature):
    curve = range_test(descent(curvature), FULL, next_batch=lambda _: Nothing())
    suggestion = suggest(curve)
    assert suggestion is not None
    assert 0.1 / curvature <= suggestion.rate < 2 / curvature


def test_the_test_ends_where_the_loss_diverges():
    curve = range_test(descent(1000.0), FULL, next_batch=lambda _: Nothing())
    assert curve.diverged
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) < FULL.steps
    assert curve.rates[-1] > 2 / 1000.0


def test_a_loss_that_is_not_finite_ends_the_test_and_is_not_part_of_the_curve():
    curve = range_test(descent(1.0), Range(1e30, 1e38, 20), next_batch=lambda _: Nothing())
    assert curve.diverged
    assert all(map(math.isfinite, curve.losses))


def test_a_language_model_learns_more_at_the_suggested_rate_than_far_below_and_far_above():
    data = list(batches(100))
    suggestion = suggest(range_test(new_state(new_model()), FULL, next_batch=data.__getitem__))
    assert suggestion is not None

    def trained(rate: float) -> float:
        state = new_state(new_model())
        state.learning_rate = lambda _: rate
        return [train_step(state, batch).loss.item() for batch in data[:30]][-1]

    assert trained(suggestion.rate) < min(trained(suggestion.rate / 30), trained(suggestion.rate * 30)) - 0.1


def test_rates_grow_by_the_same_factor_from_the_first_to_the_last():
    rates = [FULL.rate(step) for step in range(FULL.steps)]
    assert rates[0] == FULL.low
    assert rates[-1] == pytest.approx(FULL.high)
    factors = [b / a for a, b in itertools.pairwise(rates)]
    assert max(factors) == pytest.approx(min(factors))


def test_the_smoothed_loss_of_a_constant_is_that_constant_from_the_first_step():
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)
    assert smooth([1.0, 2.0], decay=0.5) == pytest.approx([1.0, (0.25 + 1.0) / 0.75])


@pytest.mark.parametrize(
    "losses", [[2.0 + 0.01 * (step % 3) for step in range(50)], [1.0 + 0.1 * step for step in range(50)], [1.0], []],
    ids=["noise", "rising", "one step", "none"],
)  # fmt: skip
def test_a_loss_that_never_falls_suggests_nothing(losses):
    rates = tuple(FULL.rate(step) for step in range(len(losses)))
    assert suggest(Curve(rates, tuple(losses), tuple(smooth(losses)), diverged=False)) is None


def test_a_second_fall_after_the_lowest_point_is_not_where_a_rate_is_taken():
    losses = [5.0] * 20 + [5.0 - 0.1 * step for step in range(20)] + [4.0 + step for step in range(10)] + [13.0, 8.0, 4.0]
    rates = tuple(FULL.rate(step) for step in range(len(losses)))
    suggestion = suggest(Curve(rates, tuple(losses), tuple(losses), diverged=False))
    assert suggestion is not None
    assert rates[19] <= suggestion.rate * 1.01
    assert suggestion.rate <= rates[40]


@pytest.mark.gpu
def test_what_a_trial_puts_back_afterwards_takes_none_of_the_device_it_measures():
    model = nn.Linear(512, 512).cuda()
    state = state_of(model, torch.optim.AdamW(model.parameters(), fused=True), Depth())
    model(torch.ones(512, device="cuda")).sum().backward()
    state.optimizer.step()
    before = torch.cuda.memory_allocated()
    with trial(state):
        assert torch.cuda.memory_allocated() == before
    assert {tensor.device.type for values in state.optimizer.state.values() for tensor in values.values()} == {"cuda"}


def test_weights_with_a_rate_of_their_own_keep_it_whatever_rate_is_tested():
    model = Bowl(1.0)
    model.y = nn.Parameter(torch.zeros(1))
    groups = [{"params": [model.x]}, {"params": [model.y], "lr": 3e-4, "lr_scale": 3e-4 / 0.02}]
    state = state_of(model, torch.optim.SGD(groups, lr=0.02), Depth())
    seen: list[tuple[float, ...]] = []
    range_test(state, Range(1e-4, 1e-2, 5), next_batch=lambda _: Nothing(),
               on_step=lambda *_: seen.append(tuple(group["lr"] for group in state.optimizer.param_groups)))  # fmt: skip
    assert [own for _, own in seen] == pytest.approx([3e-4] * 5)
    assert [rate for rate, _ in seen] == pytest.approx([Range(1e-4, 1e-2, 5).rate(step) for step in range(5)])
    assert state.optimizer.param_groups[1]["lr_scale"] == 3e-4 / 0.02


def everything(state: TrainState) -> dict[str, Any]:
    """All that training changes, copied."""
    tensors = dict(state.model.named_parameters()) | dict(state.model.named_buffers())
    return {
        "weights": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "gradients": {name: None if tensor.grad is None else tensor.grad.clone() for name, tensor in tensors.items()},
        "moments": copy.deepcopy(list(state.optimizer.state.values())),
        "groups": [{name: value for name, value in group.items() if name != "params"} for group in state.optimizer.param_groups],
        "random": torch.get_rng_state(),
        "place": (state.step, state.position, state.rate_factor, state.micro_batch_size, state.learning_rate(7)),
    }


def assert_same(left: Any, right: Any) -> None:
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            assert_same(left[name], right[name])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, Tensor):
        assert left.dtype == right.dtype
        assert torch.equal(left, right)
    else:
        assert left == right


@pytest.mark.parametrize("trained", [0, 3], ids=["fresh", "trained"])
def test_a_range_test_leaves_every_bit_as_it_was(trained):
    state = new_state(new_model(dropout=0.1))
    for batch in batches(trained):
        train_step(state, batch)
    data = list(batches(60))
    before = everything(state)
    curve = range_test(state, Range(1e-5, 10.0, 40), next_batch=data.__getitem__)
    assert len(curve.losses) > 10
    assert_same(everything(state), before)


def test_a_training_goes_on_after_a_range_test_as_without_it():
    def losses(*, tested: bool) -> list[float]:
        state = new_state(new_model(dropout=0.1))
        data = list(batches(60))
        found = []
        for step in range(8):
            if tested and step == 4:
                range_test(state, Range(1e-5, 1.0, 20), next_batch=data.__getitem__)
            found.append(train_step(state, data[step]).loss.item())
        return found

    assert losses(tested=True) == losses(tested=False)


def test_a_trial_that_fails_leaves_nothing_behind_either():
    state = new_state(new_model())
    before = everything(state)

    def fail() -> None:
        with trial(state) as tried:
            train_step(tried, next(batches(1)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert_same(everything(state), before)


def test_a_guard_would_notice_a_weight_that_stays_moved():
    state = new_state(new_model())
    before = everything(state)
    train_step(state, next(batches(1)))
    with pytest.raises(AssertionError):
        assert_same(everything(state), before)


@dataclass(frozen=True, slots=True)
class Card(Device):
    """A device of so many bytes on which a micro-batch takes `each` a sample, and a second a micro-batch and a hundredth a sample."""

    each: int = 10
    room: int = 1000
    used: dict[str, float] = field(default_factory=lambda: {"peak": 0, "time": 0.0})

    @property
    def peak_memory_bytes(self) -> int:
        return int(self.used["peak"])

    def restart_peak(self) -> None:
        self.used["peak"] = 0

    def clock(self) -> float:
        return self.used["time"]


class Loads:
    """The loss of a bowl, computed on a Card."""

    def __init__(self, card: Card, *, a_micro_batch: float, a_sample: float) -> None:
        self.card, self.a_micro_batch, self.a_sample = card, a_micro_batch, a_sample

    def loss_sum(self, model: Any, batch: Nothing) -> Tensor:
        needed = self.card.each * batch.samples
        if needed > self.card.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        self.card.used["peak"] = max(self.card.used["peak"], needed)
        self.card.used["time"] += self.a_micro_batch + self.a_sample * batch.samples
        return Depth().loss_sum(model, batch)


def measured(sizes, *, kind="cuda", room_bytes=900, memory_bytes=None, a_micro_batch=1.0, a_sample=0.01, each=10, told=None):
    card = Card(kind, torch.device("cpu"), torch.float32, each=each)
    model = Bowl(1.0)
    state = TrainState(
        model, torch.optim.SGD(model.parameters(), lr=1e-3), Loads(card, a_micro_batch=a_micro_batch, a_sample=a_sample), card,  # type: ignore[arg-type]
        lambda _: 1e-3, None, 1, seed=0,
    )  # fmt: skip
    before = everything(state)
    found = measure_sizes(state, Nothing(max(sizes)), sizes, room_bytes=room_bytes, memory_bytes=memory_bytes or room_bytes,
                          timed_steps=2, clock=card.clock, tell=lambda *what: told is None or told.append(what))  # fmt: skip
    assert_same(everything(state), before)
    return found


def test_the_largest_size_that_fits_is_taken_where_larger_is_faster():
    trials = measured((128, 64, 32, 16, 8, 4, 2, 1))
    assert [one.size for one in trials if one.peak_bytes is None] == [128]
    assert fastest(trials).size == 64


def test_each_size_is_told_before_it_is_tried_and_before_it_is_timed():
    told: list[tuple[str, int]] = []
    measured((128, 64, 32, 16, 8), told=told)
    assert told == [("trying", size) for size in (8, 16, 32, 64, 128)] + [("timing", size) for size in (16, 32, 64)]


def test_a_size_that_fits_without_its_margin_is_not_taken():
    assert fastest(measured((128, 64, 32, 16), room_bytes=500)).size == 32


def test_of_those_that_fit_a_faster_smaller_one_is_taken_and_of_equals_the_largest():
    assert fastest([Trial(8, 1, 2.0), Trial(16, 1, 1.0), Trial(32, 1, 3.0)]).size == 16
    assert fastest([Trial(8, 1, 1.0), Trial(16, 1, 1.01), Trial(32, 1, 1.5)]).size == 16


def test_where_no_size_fits_nothing_is_found():
    assert fastest(measured((4, 2, 1), room_bytes=5)) is None
    assert fastest(measured((4, 2, 1), each=2000)) is None


def test_the_smallest_size_has_to_do_without_a_margin_and_no_other():
    assert fastest(measured((4, 2, 1), room_bytes=9, memory_bytes=10)).size == 1
    assert fastest(measured((4, 2, 1), room_bytes=19, memory_bytes=20)).size == 1
    (alone,) = measured((4, 2, 1), room_bytes=8, memory_bytes=9)
    assert (alone.size, alone.peak_bytes, alone.beyond_bytes) == (1, None, 10)
    (alone,) = measured((4, 2, 1), each=2000)
    assert alone.beyond_bytes is None, "the device had not even that much"


def test_what_does_not_fit_is_told_with_what_it_takes_and_a_remedy_that_is_enough():
    def told(smallest: Trial, *, processes: int = 1, **given: str) -> tuple[str, str | None]:
        spec = load(MINIMAL + "".join(f"hardware: {{{key}: {value}}}\n" for key, value in given.items())).spec
        error = no_size_fits(smallest, memory_bytes=335 * 2**20, spec=spec, processes=processes)
        return error.message, error.hint

    smaller = "a smaller data.sequence_length, model.width or model.num_layers"
    takes = "a micro-batch of one sample takes 352 MiB, more than the 335 MiB that"
    one = Trial(1, None, beyond_bytes=352 * 2**20)
    assert told(one, memory="335 MiB") == (f"{takes} hardware.memory allows", f"set hardware.memory: 360 MiB, or {smaller}")
    assert told(one) == (f"{takes} the device has", f"use a machine with 360 MiB of memory or more, or {smaller}")
    assert told(one, processes=2, memory="670 MiB") == (
        f"{takes} hardware.memory allows for each of 2 processes", f"set hardware.memory: 710 MiB, or {smaller}"
    )  # fmt: skip
    assert told(Trial(1, None)) == ("not even a micro-batch of one sample fits into the 335 MiB that the device has", f"use {smaller}")


def test_a_failure_that_is_no_want_of_memory_is_not_taken_for_one():
    state = descent(1.0)
    state.task = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        measure_sizes(state, Nothing(4), (4, 2, 1), room_bytes=10, memory_bytes=10, timed_steps=1)


@pytest.mark.parametrize(("kind", "moments"), [("cpu", 8 * 2 * 4 + 4), ("cuda", 0)])
def test_a_processor_has_room_for_what_checkpoints_are_written_from_too(kind: str, moments: int):
    """Both moments of eight weights, and the count of steps, on the host; a CUDA device has none of it."""

    def fits(room_bytes: int) -> list[bool]:
        card, model = Card(kind, torch.device("cpu"), torch.float32), Bowl(1.0)
        loads = Loads(card, a_micro_batch=1.0, a_sample=0.01)
        state = replace(state_of(model, torch.optim.AdamW(model.parameters(), fused=True), loads), device=card)
        trials = measure_sizes(
            state, Nothing(4), (4, 2, 1), room_bytes=room_bytes, memory_bytes=room_bytes, timed_steps=1, clock=card.clock
        )
        return [one.peak_bytes is not None for one in trials]

    assert fits(4 * 10 + moments) == [True, True, True]
    assert fits(4 * 10 + moments - 1) == [True, True, False]


def test_on_a_processor_a_size_that_is_foreseen_not_to_fit_is_never_tried():
    tried = [one.size for one in measured((64, 32, 16, 8, 4, 2, 1), kind="cpu", room_bytes=100) if one.peak_bytes is not None]
    assert tried == [1, 2, 4, 8]


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_nothing_larger_is_tried_than_a_smallest_size_that_does_without_a_margin(kind: str):
    told: list[tuple[str, int]] = []
    (alone,) = measured((4, 2, 1), kind=kind, room_bytes=9, memory_bytes=10, told=told)
    assert (alone.size, alone.peak_bytes) == (1, 10)
    assert told == [("trying", 1), ("timing", 1)]
