"""What a plan finds by measurement: which finders it has, and what their keys and those of the training depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.compiler import compile_steps
from specrun.plan.finders import LEARNING_RATE, MICRO_BATCH, expected_micro_batch, is_roomy, micro_batch_sizes, planned_kinds, with_value
from specrun.plan.memory import Memory, predict_memory
from specrun.plan.resolve import resolve_schedule
from specrun.runtime.hardware import resolve
from specrun.spec.parts import kinds as kinds_of
from specrun.spec.sections.parameters import Average, Parameters
from specrun.spec.units import Quantity
from specrun.steps.registry import step_kinds

from .conftest import DOCUMENT, MACHINE, spec_of

RATE, MICRO = "schedule.optimizer.learning_rate", "schedule.micro_batch_size"
SCHEDULE = resolve_schedule(spec_of(DOCUMENT).schedule, samples_per_epoch=100, sequence_length=16)


@pytest.fixture
def asking(spec):
    """A spec that leaves its learning rate to be found."""
    return with_value(spec, RATE, "auto")


def plan(spec, asked, *, machine=None, identity=None):
    """The plan of a spec as far as it is found; asked: as it was written."""
    device = identity or resolve(spec.hardware, MACHINE).identity
    return compile_steps(spec, kinds=planned_kinds(step_kinds(), asked), digest_inputs=lambda path, part: {}, device=device,
                         spec_digest="d", machine=machine or {"name": "a", "memory_bytes": 2**30})  # fmt: skip


def keys(spec, asked, **options):
    return {step.id: step.key for step in plan(spec, asked, **options).steps}


def test_a_plan_has_a_finder_where_the_spec_leaves_a_value_to_it_and_only_there(spec, asking):
    def finders(one, **options):
        return [kind.kind for kind in planned_kinds(step_kinds(), one, **options) if kind.finds]

    assert finders(asking) == [MICRO_BATCH, LEARNING_RATE]
    assert finders(asking, idle={MICRO_BATCH}) == [LEARNING_RATE]
    assert finders(spec) == [MICRO_BATCH]
    assert finders(with_value(spec, MICRO, 2)) == []


def test_finders_come_between_tokens_and_training_which_waits_for_them(asking):
    made = plan(asking, asking)
    assert [step.id for step in made.steps][:6] == ["data", "tokenizer", "tokens", MICRO_BATCH, LEARNING_RATE, "train[seed=0]"]
    assert made.step("train[seed=0]").needs == made.step("train[seed=1]").needs == ("tokenizer", "tokens", MICRO_BATCH, LEARNING_RATE)
    assert made.step(LEARNING_RATE).needs == ("tokenizer", "tokens", MICRO_BATCH)


@pytest.mark.parametrize(
    ("path", "value", "counts"),
    [
        ("schedule.duration", Quantity(99, "steps"), set()),
        ("schedule.learning_rate.warmup", Quantity(9, "steps"), set()),
        ("schedule.evaluate.max_batches", 3, set()),
        ("schedule.early_stopping", None, set()),
        ("schedule.checkpoint.metric", "validation/accuracy", set()),
        ("seeds", (5, 6), set()),
        (RATE, 0.5, set()),
        ("schedule.batch_size", 8, {LEARNING_RATE, MICRO_BATCH}),
        ("schedule.gradient_clip", 2.0, {LEARNING_RATE, MICRO_BATCH}),
        ("schedule.optimizer.weight_decay", 0.7, {LEARNING_RATE, MICRO_BATCH}),
        ("model.width", 32, {LEARNING_RATE, MICRO_BATCH}),
        ("data.sequence_length", 8, {LEARNING_RATE, MICRO_BATCH}),
        ("data.source.seed", 9, {LEARNING_RATE, MICRO_BATCH}),
        ("hardware.threads", 1, {MICRO_BATCH}),
        ("schedule.parameters", Parameters(average=Average(decay=0.9)), {MICRO_BATCH}),
        ("schedule.parameters", Parameters(frozen=("blocks.0.*",)), {LEARNING_RATE, MICRO_BATCH}),
    ],
)
def test_what_a_finder_reads_and_nothing_else_is_in_its_key(asking, path, value, counts):
    before, after = keys(asking, asking), keys(with_value(asking, path, value), asking)
    assert {kind for kind in (LEARNING_RATE, MICRO_BATCH) if before[kind] != after[kind]} == counts


def test_the_machine_counts_for_what_is_measured_on_it_and_compilation_for_no_finder(asking):
    before, elsewhere = keys(asking, asking), keys(asking, asking, machine={"name": "b", "memory_bytes": 2**31})
    assert {id for id in before if before[id] != elsewhere[id]} == {MICRO_BATCH}
    identity = resolve(asking.hardware, MACHINE).identity
    compiled = keys(asking, asking, identity={**identity, "compile": "default"})
    assert not {id for id in before if before[id] != compiled[id]} & {MICRO_BATCH, LEARNING_RATE, "tokens"}


def test_a_found_rate_makes_the_training_that_the_same_rate_written_makes(spec, asking):
    found, written = with_value(asking, RATE, 0.02), with_value(spec, RATE, 0.02)
    assert keys(found, asking)["train[seed=0]"] == keys(written, written)["train[seed=0]"]
    assert keys(found, asking)["train[seed=0]"] != keys(with_value(asking, RATE, 0.01), asking)["train[seed=0]"]
    assert keys(found, asking)["train[seed=0]"] != keys(asking, asking)["train[seed=0]"]


@pytest.mark.parametrize(("dropout", "touched"), [(0.0, set()), (0.1, {LEARNING_RATE, "train[seed=0]"})])
def test_a_found_micro_batch_counts_only_where_masks_are_drawn(spec, dropout, touched):
    asked = with_value(with_value(spec, "model.dropout", dropout), RATE, "auto")
    before, after = keys(with_value(asked, MICRO, 4), asked), keys(with_value(asked, MICRO, 2), asked)
    assert {id for id in (LEARNING_RATE, "train[seed=0]", MICRO_BATCH) if before[id] != after[id]} == touched


@pytest.mark.parametrize("kind", kinds_of("optimizer"))
def test_every_optimizer_can_be_left_to_the_finder(kind):
    document = {**DOCUMENT, "schedule": {**DOCUMENT["schedule"], "optimizer": {"kind": kind, "learning_rate": "auto"}}}
    assert spec_of(document).schedule.optimizer.learning_rate == "auto"


@given(st.integers(1, 100_000))
def test_sizes_to_try_divide_the_batch_and_go_down_from_it_to_one_in_few_strides(batch_size):
    sizes = micro_batch_sizes(batch_size)
    assert sizes[0] == batch_size
    assert sizes[-1] == 1
    assert all(batch_size % size == 0 for size in sizes)
    assert list(sizes) == sorted(set(sizes), reverse=True)
    assert len(sizes) <= batch_size.bit_length()


def test_sizes_of_a_power_of_two_are_all_the_powers_below():
    assert micro_batch_sizes(16) == (16, 8, 4, 2, 1)
    assert micro_batch_sizes(30) == (30, 15, 6, 3, 1)


def memory(activations, *, process=100, state=100, evaluation=0):
    return Memory(process, state, activations, evaluation, parameters=1, micro_batch_size=4)


@pytest.mark.parametrize(
    ("needed", "kind", "roomy"),
    [
        (memory(600), "cpu", True),
        (memory(800), "cpu", False),
        (memory(200, process=0), "cuda", True),
        (memory(600, process=0), "cuda", False),
        (memory(100, evaluation=5000), "cpu", True),
        (memory(800, process=950), "cpu", False),
        (None, "cpu", True),
    ],
    ids=["fits", "tight", "half a card", "more than that", "evaluation alone is too large", "nothing would fit", "not known"],
)  # fmt: skip
def test_a_size_is_looked_for_only_where_the_whole_batch_may_not_fit_and_a_part_of_it_may(needed, kind, roomy):
    assert is_roomy(needed, memory_bytes=1000, kind=kind) is roomy


def test_the_expected_size_is_the_largest_that_the_prediction_lets_fit(spec):
    cost = spec.model.cost(vocab_size=1000, sequence_length=16)
    schedule = replace(SCHEDULE, batch_size=64, micro_batch_size=64)

    def total(size):
        needed = predict_memory(cost, replace(schedule, micro_batch_size=size), evaluation_tokens=0, kind="cuda")
        return needed.state + needed.activations

    def expected(memory_bytes):
        return expected_micro_batch(cost, schedule, evaluation_tokens=0, kind="cuda", memory_bytes=memory_bytes, margin=0.1)

    for size in (64, 16, 2):
        assert expected(total(size) / 0.9 + 1) == size
    assert expected(1) == 1
