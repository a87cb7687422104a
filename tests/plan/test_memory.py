"""The memory of a training, term by term; what cannot fit is refused, what may not is warned of, each with what dominates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.engine.api import apply, compile_plan
from specrun.errors import SpecError
from specrun.plan.cost import LOGITS_AT_ONCE, ModelCost
from specrun.plan.memory import PROCESS_BYTES, Memory, predict_memory
from specrun.plan.resolve import resolve_schedule
from specrun.plan.room import allow, memory_problems
from specrun.records.queries import open_records
from specrun.spec.units import parse_byte_size
from tests.engine.conftest import TINY

from .conftest import DOCUMENT, spec_of

COST = ModelCost(parameters=1000, flops_per_token=1, activation_bytes_per_token=4000, layer_bytes_per_token=400, vocabulary_rows=50)
SCHEDULE = resolve_schedule(spec_of(DOCUMENT).schedule, samples_per_epoch=100, sequence_length=16)
GB = 10**9
SHORT = ["hardware.memory=340300 kB", "schedule.micro_batch_size=4"]
"""Less than a tiny training is expected to take, by what its activations take."""


def predict(cost: ModelCost = COST, *, micro: int = 4, kind: str = "cpu", evaluation_tokens: int = 0) -> Memory:
    return predict_memory(cost, replace(SCHEDULE, micro_batch_size=micro), evaluation_tokens=evaluation_tokens, kind=kind)


def found(memory: Memory, have: int, *, limited: bool = False):
    return [(p.code, p.severity) for p in memory_problems(memory, memory_bytes=have, limited=limited)]


@given(st.integers(1, 64))
def test_activations_grow_with_the_micro_batch_and_nothing_else_does(micro: int) -> None:
    one, many = predict(micro=1), predict(micro=micro)
    assert many.activations == pytest.approx(micro * one.activations, abs=micro)
    assert replace(many, activations=0, micro_batch_size=0) == replace(one, activations=0, micro_batch_size=0)


def test_logits_are_counted_up_to_what_is_held_at_once() -> None:
    large, larger = (predict(replace(COST, vocabulary_rows=rows), micro=64) for rows in (10**6, 10**7))
    assert large.activations == larger.activations
    assert large.activations > 3 * 4 * LOGITS_AT_ONCE["cpu"]


def test_the_process_counts_where_the_device_is_the_processor() -> None:
    assert predict().process == PROCESS_BYTES
    assert predict(kind="cuda").process == 0


SIZES = st.integers(0, 10**10)


@given(SIZES, st.integers(1, 10**10), SIZES, SIZES, st.integers(1, 2 * 10**10), st.booleans())
def test_what_any_batch_needs_beyond_the_device_is_an_error_and_a_total_beyond_it_a_warning(
    process, state, activations, evaluation, have, limited
) -> None:
    memory = Memory(process, state, activations, evaluation, parameters=state // 16, micro_batch_size=2)
    problems = found(memory, have, limited=limited)
    if process + state > have:
        assert problems == [("model-exceeds-memory", "error")]
    elif memory.total > have:
        assert problems == [("memory-exceeds-device", "warning")]
    else:
        assert problems == []


@pytest.mark.parametrize(
    ("memory", "named", "remedy"),
    [
        (Memory(0, 900, 500, 100, 50, 8), "weights, gradients and optimizer moments", "model.width"),
        (Memory(0, 100, 1200, 100, 6, 8), "activations of a micro-batch", "schedule.micro_batch_size, now 8"),
        (Memory(0, 100, 1200, 100, 6, 1), "activations of a micro-batch", "data.sequence_length"),
        (Memory(0, 100, 1200, 100, 6, 1, could_checkpoint=True), "activations of a micro-batch", "hardware.activation_checkpointing: true"),
        (Memory(0, 100, 200, 950, 6, 8), "an evaluation's forward pass", "model.width"),
        (Memory(900, 10, 200, 9, 6, 8), "900 B, is Python and torch", "use a machine with 10 MiB of memory or more"),
    ],
)
def test_a_warning_names_the_term_that_dominates_and_its_own_remedy(memory: Memory, named: str, remedy: str) -> None:
    (problem,) = memory_problems(memory, memory_bytes=1000, limited=False)
    assert named in problem.message
    assert remedy in problem.hint


def test_where_python_and_torch_do_not_fit_the_remedy_is_as_much_as_is_needed() -> None:
    memory = replace(predict(), process=PROCESS_BYTES, state=3 * 2**20, activations=2**20, parameters=150_000)
    (problem,) = memory_problems(memory, memory_bytes=200 * 2**20, limited=True)
    assert (problem.severity, problem.path) == ("error", ("hardware", "memory"))
    assert problem.message == (
        "Python and torch take 324 MiB, weights, gradients and optimizer moments of 150k parameters take 3 MiB, together more than "
        "the 200 MiB that hardware.memory allows"
    )
    assert problem.hint == "set hardware.memory: 330 MiB"
    (two,) = memory_problems(replace(memory, process=2 * PROCESS_BYTES), memory_bytes=200 * 2**20, limited=False)
    assert two.message.startswith("Python and torch in 2 processes take 648 MiB")
    assert two.hint == "use a machine with 660 MiB of memory or more"


@given(SIZES, SIZES, SIZES, SIZES, st.integers(1, 10**10), st.integers(1, 64), st.sampled_from([None, 0.1]))
def test_the_memory_that_a_remedy_names_is_enough(process, state, activations, evaluation, have, micro, margin) -> None:
    memory = Memory(process, state, activations, evaluation, parameters=state // 16, micro_batch_size=micro)
    for problem in memory_problems(memory, memory_bytes=have, limited=True, margin=margin):
        if problem.hint.startswith("set hardware.memory: "):
            enough = parse_byte_size(problem.hint.removeprefix("set hardware.memory: ").partition(",")[0])
            left = memory_problems(memory, memory_bytes=enough, limited=True, margin=margin)
            assert problem.code not in [other.code for other in left]


@given(st.integers(1, 10**14))
def test_an_allowance_is_a_round_figure_at_most_a_tenth_above_what_is_needed_from_a_gigabyte_on(needed: int) -> None:
    given_bytes = parse_byte_size(allow(needed, limited=True).removeprefix("set hardware.memory: "))
    assert needed <= given_bytes <= max(1.1 * needed, needed + 10 * 2**20)


def test_what_a_trial_is_expected_to_fail_by_is_an_error_of_the_plan() -> None:
    """The trial judges by the memory without its margin; a size that the spec gives is trusted."""
    memory = Memory(PROCESS_BYTES, 10**6, 10**6, 0, parameters=60_000, micro_batch_size=1)
    (problem,) = memory_problems(memory, memory_bytes=335 * 2**20, limited=True, margin=0.1)
    assert (problem.code, problem.severity) == ("micro-batch-exceeds-memory", "error")
    assert problem.message == (
        "not even a micro-batch of one sample is expected to fit: it takes 326 MiB, and of the 335 MiB that hardware.memory allows, "
        "a margin of 10% is left alone"
    )
    assert problem.hint == "set hardware.memory: 370 MiB, or set schedule.micro_batch_size: 1, which leaves no margin"
    assert not list(memory_problems(memory, memory_bytes=335 * 2**20, limited=True))
    assert not list(memory_problems(replace(memory, micro_batch_size=2), memory_bytes=335 * 2**20, limited=True, margin=0.1))


@pytest.fixture
def spec_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_a_model_beyond_the_memory_is_refused_before_anything_is_run(spec_file, tmp_path) -> None:
    with pytest.raises(SpecError) as caught:
        compile_plan(spec_file, store=tmp_path / "s", sets=["model.width=8192", "model.num_layers=500", "hardware.memory=1GiB"])
    (diagnostic,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert diagnostic.code == "model-exceeds-memory"
    assert diagnostic.path == "hardware.memory"
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("memory", ["64MB", "200 MiB", "324 MiB", "335 MiB"])
def test_less_memory_than_any_training_takes_is_refused_by_the_plan_whatever_the_amount(memory, spec_file, tmp_path) -> None:
    with pytest.raises(SpecError) as caught:
        compile_plan(spec_file, store=tmp_path / "s", sets=[f"hardware.memory={memory}"])
    (diagnostic,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert diagnostic.code == ("micro-batch-exceeds-memory" if memory == "335 MiB" else "model-exceeds-memory")
    enough = diagnostic.hint.removeprefix("set hardware.memory: ").partition(",")[0]
    assert compile_plan(spec_file, store=tmp_path / "s", sets=[f"hardware.memory={enough}"]).loaded.warnings == ()


@pytest.mark.slow
def test_a_training_that_may_not_fit_is_warned_of_in_its_record(spec_file, tmp_path) -> None:
    store = tmp_path / "s"
    outcome = apply(spec_file, store=store, sets=SHORT)
    with open_records(store) as records:
        assert "memory-exceeds-device" in [alert.code for alert in records.alerts(outcome.runs[0].run_id)]
    again = compile_plan(spec_file, store=store, sets=SHORT)
    assert again.loaded.warnings == ()
