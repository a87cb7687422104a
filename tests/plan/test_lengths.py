"""Lengths that only the data relates: what the training has no room for is told once the steps are known, and the remedy mends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from specrun.engine.api import apply, compile_plan
from specrun.errors import SpecError
from specrun.plan.lengths import length_problems
from specrun.plan.predict import Facts, forecast
from specrun.plan.resolve import resolve_schedule
from specrun.spec.section import Problem
from tests.engine.conftest import TINY

from .conftest import DOCUMENT, spec_of

LENGTH, BATCH = DOCUMENT["data"]["sequence_length"], DOCUMENT["schedule"]["batch_size"]


def told(steps_in_an_epoch: int = 100, *, exact: bool = True, **schedule: object) -> dict[str, Problem]:
    """What is told of a schedule, by the field it is told of."""
    spec = spec_of({**DOCUMENT, "schedule": {"batch_size": BATCH, "duration": "20 steps", **schedule}})
    facts = Facts((steps_in_an_epoch * BATCH + 1) * LENGTH, 27, exact=exact, basis="counted")
    found = forecast(spec, facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s")
    return {".".join(map(str, problem.path)): problem for problem in length_problems(spec, found)}


def test_a_warm_up_that_only_the_data_shows_to_be_too_long_is_refused_once_it_is_counted() -> None:
    at, long = "schedule.learning_rate.warmup", {"kind": "warmup_cosine", "warmup": "1 epoch"}
    found = told(learning_rate=long)[at]
    assert (found.code, found.severity, found.hint) == ("warmup-not-shorter", "error", "use warmup: 5%")
    assert found.message == "warm-up 1 epoch (100 steps) is not shorter than the duration 20 steps"
    guessed = told(learning_rate=long, exact=False)[at]
    assert (guessed.code, guessed.severity) == ("warmup-not-shorter", "warning")
    assert "1 epoch (about 100 steps) is" in guessed.message
    assert told(19, learning_rate=long) == {}
    assert told(20, learning_rate=long).keys() == {at}


def test_a_duration_in_epochs_is_told_in_steps_beside_a_warm_up_in_steps() -> None:
    found = told(10, duration="2 epochs", learning_rate={"kind": "constant", "warmup": "20 steps"})["schedule.learning_rate.warmup"]
    assert found.message == "warm-up 20 steps is not shorter than the duration 2 epochs (20 steps)"


def test_a_plan_tells_of_a_warm_up_that_is_too_long_and_is_refused_where_the_data_is_counted(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(TINY)
    sets = ["schedule.learning_rate.warmup=40 epochs"]
    store = tmp_path / "store"
    plan = compile_plan(str(spec), store=store, sets=sets)
    assert [warning.code for warning in plan.loaded.warnings] == ["warmup-not-shorter"]
    assert not compile_plan(str(spec), store=store, sets=sets, smoke=True).loaded.warnings
    (run,) = apply(plan).runs
    assert run.error is not None
    assert run.error.code == "warmup-not-shorter"
    assert not list((store / "runs").glob("*/checkpoints/*"))
    with pytest.raises(SpecError, match=r"warm-up 40 epochs \(.* steps\) is not shorter"):
        compile_plan(str(spec), store=store, sets=sets)


@pytest.mark.parametrize("name", ["evaluate", "checkpoint"])
def test_a_cadence_that_only_the_data_shows_to_be_longer_than_the_training_is_told(name: str) -> None:
    found = told(**{name: {"every": "1 epoch"}})[f"schedule.{name}.every"]
    assert found.message == f"{name}.every 1 epoch (100 steps) is more than the duration 20 steps, so it happens only at the end"
    assert (found.severity, found.hint) == ("warning", "use 10%")
    assert told(20, **{name: {"every": "1 epoch"}}) == {}


@given(steps=st.integers(1, 60), every=st.integers(1, 60), patience=st.integers(1, 12))
@example(steps=20, every=2, patience=8)
@example(steps=20, every=2, patience=9)
def test_a_patience_that_cannot_run_out_in_time_is_told_and_the_remedy_mends_it(steps: int, every: int, patience: int) -> None:
    assume(every <= steps)
    options = {"duration": f"{steps} steps", "evaluate": {"every": f"{every} steps"}}
    # The first improves; the others are no better; what runs out at the last one changes nothing.
    evaluated = [*range(every, steps, every), steps]
    useful = len(evaluated) > patience + 1
    for name, section in (("early_stopping", {}), ("learning_rate", {"kind": "reduce_on_plateau"})):

        def asked(amount: int, more: dict[str, object], name: str = name, section: dict[str, str] = section) -> dict[str, Problem]:
            return told(**{**options, name: {**section, "patience": f"{amount} evaluations"}, **more})  # type: ignore[arg-type]

        found = asked(patience, {})
        assert found.keys() == (set() if useful else {f"schedule.{name}.patience"})
        for problem in found.values():
            for hint in (problem.hint or "").split(", or "):
                amount, more = re.search(r"use (\d+) evaluation", hint), re.search(r"every: (\d+(?:%| step))", hint)
                longer = re.search(r"duration: (\d+ steps)", hint)
                mended = {"evaluate": {"every": more[1]}} if more else {}
                mended |= {"duration": longer[1]} if longer else {}
                assert amount or more
                assert not asked(int(amount[1]) if amount else patience, mended)


def test_what_is_told_of_a_patience_reads_as_a_sentence() -> None:
    found = told(early_stopping={"patience": "5 evaluations"}, evaluate={"every": "25%"})["schedule.early_stopping.patience"]
    assert found.message == "a patience of 5 evaluations cannot end the training early: of 4 evaluations the first counts as an improvement"
    assert found.hint == "use 2 evaluations or fewer, or use schedule.evaluate.every: 14%"
    found = told(early_stopping={"patience": "30 evaluations"}, evaluate={"every": "1 epoch"})["schedule.early_stopping.patience"]
    assert found.hint == "use 8 evaluations or fewer, with schedule.evaluate.every: 10%"
    plateau = {"kind": "reduce_on_plateau", "patience": "1 evaluation"}
    found = told(learning_rate=plateau, evaluate={"every": "100%"})["schedule.learning_rate.patience"]
    assert found.message == ("a patience of 1 evaluation cannot reduce the learning rate before the training ends: "
                             "there is 1 evaluation, which counts as an improvement")  # fmt: skip


def test_of_evaluations_by_time_nothing_is_told_but_beside_a_duration_in_time() -> None:
    patience = {"early_stopping": {"patience": "5 evaluations"}}
    assert told(evaluate={"every": "10h"}, **patience) == {}
    found = told(duration="1h", evaluate={"every": "20min"}, **patience)["schedule.early_stopping.patience"]
    assert ": of about 3 evaluations the first counts as an improvement" in found.message
    assert "use 1 evaluation, or use schedule.evaluate.every: 14%" in (found.hint or "")
    assert told(duration="1h", evaluate={"every": "5min"}, **patience) == {}


def restarts(steps: int, cycles: int, growth: float = 1.0) -> dict[str, Problem]:
    return told(duration=f"{steps} steps", learning_rate={"kind": "cosine_restarts", "cycles": cycles, "cycle_growth": growth})


@given(steps=st.integers(1, 80), cycles=st.integers(2, 100), growth=st.sampled_from([1.0, 1.5, 2.0, 10.0]))
def test_cycles_are_told_where_the_rate_does_not_come_down_within_the_first_and_the_remedy_mends_it(
    steps: int, cycles: int, growth: float
) -> None:
    found = restarts(steps, cycles, growth).get("schedule.learning_rate.cycles")
    course = spec_of({**DOCUMENT, "schedule": {"learning_rate": {"kind": "cosine_restarts", "cycles": cycles, "cycle_growth": growth}}})
    lengths = [growth**number for number in range(cycles)]
    assert (found is not None) == (steps * lengths[0] / sum(lengths) < 2)
    if found is None:
        schedule = resolve_schedule(course.schedule, samples_per_epoch=100, sequence_length=LENGTH)
        factors = [course.schedule.learning_rate.factor(step, warmup_steps=0, total_steps=steps) for step in range(2)]  # type: ignore[attr-defined]
        assert schedule.warmup_steps == 0
        assert factors[1] < factors[0]
    elif fewer := re.fullmatch(r"use (\d+) or fewer", found.hint or ""):
        assert not restarts(steps, int(fewer[1]), growth)
    else:
        assert found.hint == "use kind: warmup_cosine, or a longer schedule.duration"
        assert restarts(steps, 2, growth)


def test_what_is_told_of_cycles_reads_as_a_sentence() -> None:
    found = restarts(100, 100)["schedule.learning_rate.cycles"]
    assert found.message == "100 cycles do not fit 100 steps: the first has 1 step, and the learning rate comes down in 2 at least"
    assert found.hint == "use 50 or fewer"
    found = restarts(20, 8, 10.0)["schedule.learning_rate.cycles"]
    assert found.message == ("8 cycles, each 10 times as long as the one before, do not fit 20 steps: the first has less than a hundredth "
                             "of a step, and the learning rate comes down in 2 at least")  # fmt: skip
    assert "cycles" not in str(restarts(200, 100))


def test_what_does_not_depend_on_the_data_is_exact_before_it_is_counted() -> None:
    patience = {"early_stopping": {"patience": "9 evaluations"}}
    (found,) = told(exact=False, **patience).values()
    assert "of 10 evaluations" in found.message
    (found,) = told(exact=False, duration="9h", **patience).values()
    assert "of 10 evaluations" in found.message
    (found,) = told(exact=False, duration="1 epoch", evaluate={"every": "10 steps"}, **patience).values()
    assert "of about 10 evaluations" in found.message
    restarting = {"kind": "cosine_restarts", "cycles": 80}
    (found,) = told(exact=False, learning_rate=restarting).values()
    assert "do not fit 20 steps" in found.message
    (found,) = told(exact=False, learning_rate={**restarting, "warmup": "0.1 epochs"}).values()
    assert "do not fit about 10 steps" in found.message


def test_lengths_of_data_that_is_not_known_are_not_judged() -> None:
    spec = spec_of({**DOCUMENT, "schedule": {"duration": "20 steps", "learning_rate": {"kind": "constant", "warmup": "1 epoch"}}})
    facts = Facts(None, None, exact=False, basis="unknown")
    found = forecast(spec, facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s")
    assert not list(length_problems(spec, found))
