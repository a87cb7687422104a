"""Courses of the learning rate: a rise to the base rate, then the course of the kind, as pure functions of the step."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.units import parse_quantity as q
from specrun.training.learning_rates import (
    constant,
    cosine_restarts,
    inverse_square_root,
    one_cycle,
    polynomial,
    reduce_on_plateau,
    warmup_cosine,
    warmup_linear,
    wsd,
)
from specrun.training.plateau import Plateau
from specrun.training.selection import Best

KINDS: dict[str, Any] = {
    "constant": constant.Options(kind="constant"),
    "cosine": warmup_cosine.Options(kind="warmup_cosine", final_fraction=0.1),
    "linear": warmup_linear.Options(kind="warmup_linear", final_fraction=0.1),
    "wsd": wsd.Options(kind="wsd", final_fraction=0.1),
    "wsd-sqrt": wsd.Options(kind="wsd", final_fraction=0.1, decay_shape="sqrt", decay=q("50%")),
    "restarts": cosine_restarts.Options(kind="cosine_restarts", final_fraction=0.1, cycles=3),
    "restarts-growing": cosine_restarts.Options(kind="cosine_restarts", final_fraction=0.1, cycles=3, cycle_growth=2.0),
    "polynomial": polynomial.Options(kind="polynomial", final_fraction=0.1, power=1.5),
    "inverse-root": inverse_square_root.Options(kind="inverse_square_root"),
    "one-cycle": one_cycle.Options(kind="one_cycle", final_fraction=0.1),
    "one-cycle-linear": one_cycle.Options(kind="one_cycle", final_fraction=0.1, shape="linear"),
    "plateau": reduce_on_plateau.Options(kind="reduce_on_plateau"),
}
FALLING = [kind for kind in KINDS if "restarts" not in kind]
RISING_STRAIGHT = [kind for kind in KINDS if "one-cycle" not in kind]
totals = st.integers(1, 3000)


def factors(kind: str, total: int, warmup: int) -> list[float]:
    return [KINDS[kind].factor(step, warmup_steps=warmup, total_steps=total) for step in range(total)]


@pytest.mark.parametrize("kind", KINDS)
@given(total=totals, share=st.floats(0, 0.9))
def test_a_factor_is_above_zero_and_at_most_one(kind: str, total: int, share: float) -> None:
    assert all(0 < factor <= 1 for factor in factors(kind, total, int(share * total)))


@pytest.mark.parametrize("kind", RISING_STRAIGHT)
@given(total=st.integers(10, 1000), share=st.floats(0.05, 0.9))
def test_the_warm_up_rises_in_equal_steps_to_the_base_rate(kind: str, total: int, share: float) -> None:
    warmup = max(1, int(share * total))
    rise = factors(kind, total, warmup)[:warmup]
    assert rise == pytest.approx([(step + 1) / warmup for step in range(warmup)])


@pytest.mark.parametrize("kind", FALLING)
@given(total=totals, share=st.floats(0, 0.9))
def test_after_the_warm_up_it_never_rises(kind: str, total: int, share: float) -> None:
    warmup = int(share * total)
    rest = factors(kind, total, warmup)[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rest))


DECAYING = ["cosine", "linear", "wsd", "wsd-sqrt", "restarts", "restarts-growing", "polynomial", "one-cycle", "one-cycle-linear"]


@pytest.mark.parametrize("kind", DECAYING)
@given(total=totals, share=st.floats(0, 0.9), beyond=st.integers(0, 100))
def test_the_final_rate_is_reached_when_the_last_step_is_done_and_stays(kind: str, total: int, share: float, beyond: int) -> None:
    warmup = int(share * total)
    assert factors(kind, total, warmup)[-1] > 0.1
    assert KINDS[kind].factor(total + beyond, warmup_steps=warmup, total_steps=total) == pytest.approx(0.1)


def lambda_of(schedule: Any, *arguments: Any, **more: Any) -> Any:
    """The factor by step of one of transformers' schedules."""
    return schedule(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), *arguments, **more).lr_lambdas[0]


@pytest.mark.parametrize("total", [1, 2, 10, 500])
@pytest.mark.parametrize(("ours", "name", "more"), [
    (warmup_cosine.Options(kind="warmup_cosine", final_fraction=0.0), "cosine_schedule_with_warmup", {}),
    (warmup_linear.Options(kind="warmup_linear", final_fraction=0.0), "linear_schedule_with_warmup", {}),
    (cosine_restarts.Options(kind="cosine_restarts", final_fraction=0.0, cycles=3),
     "cosine_with_hard_restarts_schedule_with_warmup", {"num_cycles": 3}),
    (polynomial.Options(kind="polynomial", final_fraction=0.25, power=1.7),
     "polynomial_decay_schedule_with_warmup", {"lr_end": 0.25, "power": 1.7}),
])  # fmt: skip
def test_after_the_warm_up_the_course_is_that_of_transformers(ours: Any, name: str, more: dict[str, Any], total: int) -> None:
    import transformers

    warmup = total // 5
    course = lambda_of(getattr(transformers, f"get_{name}"), warmup, total, **more)
    for step in range(warmup, total):
        assert ours.factor(step, warmup_steps=warmup, total_steps=total) == pytest.approx(course(step), abs=1e-12)


@pytest.mark.parametrize(("warmup", "timescale"), [(0, None), (40, None), (40, 7), (0, 100)])
def test_the_inverse_square_root_is_that_of_transformers(warmup: int, timescale: int | None) -> None:
    from transformers import get_inverse_sqrt_schedule

    course = lambda_of(get_inverse_sqrt_schedule, warmup, timescale)
    ours = inverse_square_root.Options(kind="inverse_square_root", timescale_steps=timescale)
    for step in range(warmup, 400):
        assert ours.factor(step, warmup_steps=warmup, total_steps=400) == pytest.approx(course(step), abs=1e-12)


@pytest.mark.parametrize(("total", "warmup"), [(100, 30), (100, 1), (37, 12), (10, 9)])
@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle_is_that_of_torch_which_counts_one_step_more(total: int, warmup: int, shape: str) -> None:
    """torch spends its last step at the final rate."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=total + 1, pct_start=(warmup + 1) / (total + 1), div_factor=20, final_div_factor=5,
        anneal_strategy="cos" if shape == "cosine" else "linear", cycle_momentum=False,
    )  # fmt: skip
    ours = one_cycle.Options(kind="one_cycle", initial_fraction=1 / 20, final_fraction=1 / 100, shape=shape)
    for step in range(total + 1):
        assert ours.factor(step, warmup_steps=warmup, total_steps=total) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        if step < total:
            theirs.step()


@pytest.mark.parametrize(("growth", "cycles", "first"), [(1, 4, 25), (2, 3, 20), (3, 3, 10), (10, 2, 7)])
def test_restarts_that_grow_are_those_of_torch(growth: int, cycles: int, first: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, T_mult=growth, eta_min=0.2)
    ours = cosine_restarts.Options(kind="cosine_restarts", final_fraction=0.2, cycles=cycles, cycle_growth=float(growth))
    total = first * sum(growth**n for n in range(cycles))
    for step in range(total):
        assert ours.factor(step, warmup_steps=0, total_steps=total) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        theirs.step()


@given(losses=st.lists(st.floats(0, 3) | st.just(math.nan), min_size=1, max_size=60), patience=st.integers(1, 4),
       min_delta=st.sampled_from([0.0, 0.3]))  # fmt: skip
def test_the_rate_on_a_plateau_is_that_of_torch(losses: list[float], patience: int, min_delta: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience - 1, threshold=min_delta, threshold_mode="abs", min_lr=0.05, eps=0
    )  # fmt: skip
    ours = Plateau(Best("validation/loss", lower_is_better=True, min_delta=min_delta), patience, 0.5, 0.05)
    for step, loss in enumerate(losses):
        theirs.step(loss)
        ours.update(step, {"validation/loss": loss})
        kept = Plateau(Best("validation/loss", lower_is_better=True, min_delta=min_delta), patience, 0.5, 0.05)
        kept.restore(ours.to_json())
        ours = kept
        assert ours.fraction == pytest.approx(optimizer.param_groups[0]["lr"])


def test_half_way_the_cosine_and_the_line_are_half_way() -> None:
    assert KINDS["cosine"].after_warmup(500, 1000) == pytest.approx(0.55)
    assert KINDS["linear"].after_warmup(500, 1000) == pytest.approx(0.55)
    assert KINDS["cosine"].after_warmup(250, 1000) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_wsd_is_stable_until_its_decay() -> None:
    course = factors("wsd", 1000, 0)
    assert set(course[:801]) == {1.0}
    assert course[801] < 1.0
    assert course[900] == pytest.approx(0.55)
    assert factors("wsd-sqrt", 1000, 0)[625] == pytest.approx(1 - 0.9 * 0.5)


def test_the_constant_is_constant() -> None:
    assert set(factors("constant", 500, 0)) == {1.0}
