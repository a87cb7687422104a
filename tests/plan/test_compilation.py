"""Whether compiling pays: planned steps x saved time against what compiling takes, by rule or by what this device did before."""

from __future__ import annotations

import pytest

from specrun.plan.compilation import RULE, Gain, compile_seconds, compiled_signature, known_gain, worth_compiling
from specrun.plan.past import Past

PLACE = {"device": "d", "kind": "cpu", "signature": "s", "mode": "default"}


def past(signature: str, rate: float, *, compile_seconds: float = 0.0, device: str = "d", kind: str = "train") -> Past:
    return Past(kind, signature, device, 1e9, 10.0, 100, rate, compile_seconds)


@pytest.mark.parametrize(
    ("steps", "compiled", "reason"),
    [
        (1, False, "1 step would not repay compiling: 2 ms saved, 25 s spent, by rule"),
        (1200, False, "1,200 steps would not repay compiling: 1.8 s saved, 25 s spent, by rule"),
        (16_666, False, "16,666 steps would not repay compiling: 25 s saved, 25 s spent, by rule"),
        (16_668, True, "16,668 steps repay compiling: 25 s saved, 25 s spent, by rule"),
        (2_000_000, True, "2,000,000 steps repay compiling: 50m00s saved, 25 s spent, by rule"),
    ],
)
def test_a_model_is_compiled_from_as_many_steps_on_as_save_what_compiling_takes(steps: int, compiled: bool, reason: str) -> None:
    found = worth_compiling(steps=steps, step_seconds=0.03, gain=Gain(25.0, 0.05), basis="by rule")
    assert (found.compiled, found.reason) == (compiled, reason)


def test_without_runs_of_both_kinds_the_rule_stands() -> None:
    eager, compiled = past("s", 100.0), past("s|default", 200.0, compile_seconds=9.0)
    assert compiled_signature("s", "default") == "s|default"
    for history in ([], [eager], [compiled], [eager, past("s|default", 200.0, device="another")], [eager, past("t|default", 200.0)]):
        assert known_gain(history, **PLACE) == (RULE["cpu"], "by rule")
    assert known_gain([], **{**PLACE, "kind": "cuda"}) == (RULE["cuda"], "by rule")


def test_runs_of_both_kinds_tell_the_gain() -> None:
    history = [past("s", 100.0), past("s|default", 125.0, compile_seconds=2.0), past("s|default", 125.0, compile_seconds=30.0)]
    assert known_gain(history, **PLACE) == (Gain(30.0, pytest.approx(0.2)), "from earlier runs")
    slower, _ = known_gain([past("s", 100.0), past("s|default", 80.0)], **PLACE)
    found = worth_compiling(steps=10**9, step_seconds=1.0, gain=slower, basis="from earlier runs")
    assert (found.compiled, found.reason) == (False, "compiled steps are no shorter, from earlier runs")


@pytest.mark.parametrize(("short", "long"), [("s|default", "s"), ("s", "s|default")])
def test_a_run_of_a_few_steps_tells_nothing_of_the_gain(short: str, long: str) -> None:
    few = Past("train", short, "d", 1e9, 3.0, 4, 1.0, 2.7)
    assert known_gain([past(long, 100.0), few], **PLACE) == (RULE["cpu"], "by rule")
    gain, basis = known_gain([past(long, 100.0), past(short, 100.0), few], **PLACE)
    assert (gain.saved_share, basis) == (pytest.approx(0.0), "from earlier runs")


def test_the_seconds_of_a_first_compiled_run_are_the_rules() -> None:
    assert compile_seconds([], **PLACE) == RULE["cpu"].seconds
    assert compile_seconds([past("s|default", 1.0, compile_seconds=3.0)], **PLACE) == 3.0
