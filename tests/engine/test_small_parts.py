"""History, gates, environment: the small parts around an apply."""

from __future__ import annotations

import multiprocessing

from hypothesis import given
from hypothesis import strategies as st

from specrun.engine.environment import packages, python_version
from specrun.engine.gates import judge
from specrun.engine.history import append_history, read_history
from specrun.engine.outcome import gather_metrics
from specrun.plan.past import Past


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
