"""The memory of a training, term by term; what cannot fit is refused, what may not is warned of, each with what dominates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.engine.api import apply, compile_plan
from specrun.errors import SpecError
from specrun.plan.cost import LOGITS_AT_ONCE, ModelCost
from specrun.plan.memory import PROCESS_BYTES, Memory, memory_problems, predict_memory
from specrun.plan.resolve import resolve_schedule
from specrun.records.queries import open_records
from tests.engine.conftest import TINY

from .conftest import DOCUMENT, spec_of

COST = ModelCost(parameters=1000, flops_per_token=1, activation_bytes_per_token=4000, layer_bytes_per_token=400, vocabulary_rows=50)
SCHEDULE = resolve_schedule(spec_of(DOCUMENT).schedule, samples_per_epoch=100, sequence_length=16)
GB = 10**9


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


@given(st.integers(1, 10**10), st.integers(0, 10**10), st.integers(0, 10**10), st.integers(1, 2 * 10**10), st.booleans())
def test_state_beyond_the_device_is_an_error_and_a_total_beyond_it_a_warning(state, activations, evaluation, have, limited) -> None:
    memory = Memory(0, state, activations, evaluation, parameters=state // 16, micro_batch_size=2)
    problems = found(memory, have, limited=limited)
    if state > have:
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
        (Memory(2000, 10, 20, 9, 6, 8), "activations of a micro-batch", "allow 1.98 KiB or more"),
    ],
)
def test_a_warning_names_the_term_that_dominates_and_its_own_remedy(memory: Memory, named: str, remedy: str) -> None:
    (problem,) = memory_problems(memory, memory_bytes=1000, limited=False)
    assert named in problem.message
    assert remedy in problem.hint


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


def test_a_training_that_may_not_fit_is_warned_of_in_its_record(spec_file, tmp_path) -> None:
    store = tmp_path / "s"
    outcome = apply(spec_file, store=store, sets=["hardware.memory=64MB"])
    with open_records(store) as records:
        assert "memory-exceeds-device" in [alert.code for alert in records.alerts(outcome.runs[0].run_id)]
    again = compile_plan(spec_file, store=store, sets=["hardware.memory=64MB"])
    assert again.loaded.warnings == ()
