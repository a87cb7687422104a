"""The smoke layer makes everything smaller, and smoke stores are removed once nobody works in them."""

from __future__ import annotations

import fcntl
import json
from contextlib import ExitStack
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specrun.engine.locks import removing
from specrun.engine.smoke import smoke_layers, sole_use
from specrun.plan.resolve import resolve_schedule
from specrun.spec.assembly import check_bytes

durations = st.tuples(st.integers(1, 50), st.sampled_from(["steps", "samples", "tokens", "s"])).map(lambda given: f"{given[0]} {given[1]}")
warmups = st.sampled_from(["0 steps", "1 steps", "5%", "7%", "2s"])
courses = st.sampled_from(["constant", "warmup_cosine", "warmup_linear", "wsd"])


@st.composite
def documents(draw: st.DrawFn) -> dict:
    """A spec whose sizes are anything, down to the least."""
    some = st.none() | st.integers(1, 400)
    evaluate = {"every": "100%", "samples": draw(st.integers(0, 16)), "max_batches": draw(some)}
    data = {"source": {"kind": "synthetic"}, "split": {"kind": "ratio"}, "tokenizer": {"kind": "char"},
            "sequence_length": draw(st.integers(2, 100)), "limit": draw(some)}  # fmt: skip
    return {
        "version": 1,
        "name": "any",
        "task": {"kind": "causal_lm", "sample_tokens": draw(st.integers(1, 200))},
        "data": {key: value for key, value in data.items() if value is not None},
        "model": {"kind": "gpt", "num_layers": 1, "width": 16, "num_heads": 2},
        "schedule": {
            "duration": draw(durations),
            "batch_size": draw(st.integers(1, 8)),
            "learning_rate": {"kind": draw(courses)},
            "evaluate": {key: value for key, value in evaluate.items() if value is not None},
            "log_every": "1 steps",
        },
    }


def checked(document: dict, *layers):
    found = check_bytes(json.dumps(document).encode(), "any.yaml", folder=Path(), layers=layers)
    return found.loaded.spec if found.loaded else None


def sizes(spec) -> dict[str, float]:
    schedule = resolve_schedule(spec.schedule, samples_per_epoch=10**6, sequence_length=spec.data.sequence_length)
    unlimited = float("inf")
    return {
        "steps": schedule.total_steps,
        "warmup": schedule.warmup_steps,
        "batch": schedule.batch_size,
        "tokens": schedule.total_tokens,
        "length": spec.data.sequence_length,
        "documents": spec.data.limit or unlimited,
        "evaluated": spec.schedule.evaluate.max_batches or unlimited,
        "texts": spec.schedule.evaluate.samples,
        "generated": spec.task.sample_tokens,
    }


@settings(max_examples=150)
@given(documents(), warmups)
def test_a_smoke_run_is_valid_and_in_nothing_larger_than_its_spec(document, warmup):
    if document["schedule"]["learning_rate"]["kind"] != "constant":
        document["schedule"]["learning_rate"]["warmup"] = warmup
    spec = checked(document)
    assume(spec is not None)  # a warm-up that is not shorter than the duration is refused
    smoke = checked(document, *smoke_layers(spec))
    assert smoke is not None
    before, after = sizes(spec), sizes(smoke)
    assert {name: size for name, size in after.items() if size > before[name]} == {}
    assert after["steps"] <= 2


def test_the_smoke_layer_shrinks_a_large_spec_to_two_small_steps():
    large = {
        "version": 1,
        "name": "large",
        "task": {"kind": "causal_lm"},
        "data": {"source": {"kind": "synthetic"}, "split": {"kind": "ratio"}, "tokenizer": {"kind": "char"}},
        "model": {"kind": "gpt", "num_layers": 1, "width": 16, "num_heads": 2},
        "schedule": {"duration": "3 epochs"},
        "expect": ["validation/loss < 100"],
    }
    smoke = checked(large, *smoke_layers(checked(large)))
    assert str(smoke.schedule.duration) == "2 steps"
    assert (smoke.schedule.batch_size, smoke.data.sequence_length, smoke.data.limit) == (2, 32, 200)
    assert smoke.expect == ()


def test_a_smoke_store_that_is_worked_in_outlives_the_smoke_runs_that_begin_meanwhile(tmp_path):
    first, second, third = (tmp_path / "smoke" / str(number) for number in range(3))
    with sole_use(first):
        first.mkdir()
        with sole_use(second):
            second.mkdir()
            assert first.is_dir()
        with sole_use(third):
            assert first.is_dir()
            assert not second.exists()
    with sole_use(second):
        assert not first.exists()
        assert sorted(path.name for path in (tmp_path / "smoke").iterdir()) == ["1.lock"]


def test_a_smoke_run_begins_though_another_one_tidies_its_lock_away_as_it_is_made(tmp_path, monkeypatch):
    smoke, tidying, real, calls = tmp_path / "smoke" / "1", ExitStack(), fcntl.flock, []

    def flock(descriptor, operation):
        calls.append(operation)
        if len(calls) == 1:
            assert tidying.enter_context(removing(tmp_path / "smoke" / "1.lock"))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("time.sleep", lambda _: tidying.close())
    with sole_use(smoke), removing(tmp_path / "smoke" / "1.lock") as ended:
        assert not ended, "it holds the lock that is there"
