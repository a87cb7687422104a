"""History, gates, environment: the small parts around an apply."""

from __future__ import annotations

import multiprocessing
import os
import platform
from contextlib import nullcontext
from dataclasses import replace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.engine import running
from specrun.engine.environment import packages, python_version
from specrun.engine.gates import judge
from specrun.engine.history import append_history, read_history
from specrun.engine.outcome import gather_metrics
from specrun.errors import SpecrunError
from specrun.plan.past import Past
from specrun.runtime.allocation import keep_freed_memory
from specrun.steps.contract import StepOutput
from specrun.steps.registry import step_kinds


def test_history_comes_back_in_order_and_passes_over_torn_lines(tmp_path):
    path = tmp_path / "history.jsonl"
    entries = [Past("train", f"s{n}", "d", 1.0 * n, 2.0) for n in range(3)]
    for entry in entries:
        append_history(path, entry)
    with path.open("ab") as file:
        file.write(b'{"kind": "train", "sig')
    assert read_history(path) == entries
    assert read_history(tmp_path / "nothing") == []


def write_many(path, name):
    for n in range(200):
        append_history(path, Past("train", f"{name}-{n}", "d", 1.0, 1.0))


def test_concurrent_writers_of_history_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "history.jsonl"
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    writers = [context.Process(target=write_many, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {past.signature for past in read_history(path)} == {f"{name}-{n}" for name in "ab" for n in range(200)}


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e6, 1e6).map(lambda value: round(value, 3)))
def test_a_gate_passes_exactly_when_its_bound_holds(value, bound):
    (gate,) = judge([f"test/loss < {bound}"], {"test/loss": value})
    assert gate.passed is (value < bound)
    assert gate.value == value


def test_a_gate_on_a_missing_figure_fails_and_says_so():
    (gate,) = judge(["test/loss < 1"], {})
    assert not gate.passed
    assert gate.sentence == "test/loss is missing, expected test/loss < 1"


def test_a_later_step_s_figure_stands():
    assert gather_metrics([{"metrics": {"a": 1.0, "b": 2.0}}, {}, {"metrics": {"b": 3.0}}]) == {"a": 1.0, "b": 3.0}


def test_the_environment_names_python_and_the_packages_that_decide_results():
    assert python_version().split()[1].count(".") == 2
    assert {"torch", "pydantic", "tokenizers"} <= packages().keys()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told to keep memory that is freed")
@pytest.mark.parametrize("fails", [False, True])
def test_a_step_leaves_none_of_the_memory_that_it_used_to_the_process_it_ran_in(monkeypatch, fails):
    """What comes next, in this process or in a child of it, wants its own."""
    if not keep_freed_memory(os.environ):
        pytest.skip("the user has said how memory is kept")

    kept = []

    def runner(*_):
        used = [b"1" * 2**20 for _ in range(64)]
        del used
        kept.append(psutil.Process().memory_info().rss)
        if fails:
            raise SpecrunError("no", code="no")
        return StepOutput()

    monkeypatch.setattr(running, "load_runner", lambda _: runner)
    train = next(kind for kind in step_kinds() if kind.kind == "train")
    assert not train.isolated
    with pytest.raises(SpecrunError) if fails else nullcontext():
        running.run_step(replace(train, parallel=False), None, None, {})
    assert kept[0] - psutil.Process().memory_info().rss > 40 * 2**20
