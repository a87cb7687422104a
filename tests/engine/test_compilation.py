"""`compile: auto` is weighed once in a plan: it may compile what has not begun, and never makes another experiment of what has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from specrun.engine import prepare
from specrun.engine.api import apply, compile_plan
from specrun.engine.history import append_history, read_history
from specrun.engine.plan import Plan
from specrun.errors import UsageError
from specrun.plan import compilation
from specrun.plan.compilation import RULE, Gain, compiled_signature
from specrun.plan.past import Past
from specrun.runtime.compilation import compile_blocks
from specrun.runtime.hardware import Machine
from specrun.steps.train import run as train

SPEC = """\
version: 1
name: tiny
task: {kind: causal_lm}
data:
  source: {kind: synthetic, characters: 4000}
  split: {kind: ratio, validation: 0.1}
  tokenizer: {kind: char}
  sequence_length: 16
model: {kind: gpt, num_layers: 1, width: 16, num_heads: 2}
schedule: {duration: 4 steps, batch_size: 4}
"""
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
LONG = "schedule.duration=100000000 steps"


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(prepare, "probe", lambda: Machine("a cpu", 2, 8 * 2**30, frozenset(), ()))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    yield
    torch.compiler.reset()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


def plan(spec: Path, *sets: str) -> Plan:
    return compile_plan(spec, store=spec.parent / "store", sets=list(sets))


def train_of(it: Plan) -> tuple[str, str]:
    (found,) = [d for d in it.decisions if d.step.kind == "train"]
    return found.step.key, found.action


def test_what_is_so_anyway_learns_from_the_same_runs_when_it_is_written(spec: Path) -> None:
    assert plan(spec, "model.mlp_width=64").signature == plan(spec).signature != plan(spec, "model.mlp_width=32").signature


def test_a_short_training_is_eager_and_the_plan_says_why(spec: Path) -> None:
    found = plan(spec)
    assert found.hardware.compilation.value == "eager"
    assert found.hardware.compilation.reason.startswith("4 steps would not repay compiling: ")
    assert "eager: 4 steps would not repay compiling" in " ".join(found.text().split())
    assert train_of(found) == train_of(plan(spec, "hardware.compile=off"))


def test_a_long_training_is_compiled_and_asking_for_that_in_words_changes_nothing(spec: Path) -> None:
    found = plan(spec, LONG)
    assert found.hardware.compilation.value == "default"
    assert "steps repay compiling: " in found.hardware.compilation.reason
    assert train_of(found) == train_of(plan(spec, LONG, "hardware.compile=default"))
    assert train_of(found) != train_of(plan(spec, LONG, "hardware.compile=off"))


def test_what_compiling_takes_is_part_of_the_predicted_time(spec: Path) -> None:
    def seconds(mode: str) -> float:
        found = plan(spec, f"hardware.compile={mode}").forecast.steps["train"].seconds
        assert found is not None
        return found

    assert seconds("default") == pytest.approx(seconds("off") + RULE["cpu"].seconds)


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again_because_history_has_grown(spec: Path) -> None:
    assert apply(spec, store=spec.parent / "store").runs[0].error is None
    before = plan(spec)
    assert train_of(before)[1] == "cached"
    assert before.hardware.compilation.reason == "as it began"
    (eager,) = [past for past in read_history(before.workspace.history_file) if past.kind == "train"]
    long: dict[str, Any] = {"steps": 1000, "seconds": 100.0}
    add(before, eager, **long)
    add(before, eager, signature=compiled_signature(eager.signature, "default"), rate=1e6 * eager.rate, compile_seconds=1e-9, **long)
    assert train_of(plan(spec)) == train_of(before)
    longer = plan(spec, "schedule.duration=5 steps")
    assert longer.hardware.compilation.value == "default"
    assert "from earlier runs" in longer.hardware.compilation.reason


@pytest.mark.slow
def test_a_run_that_began_compiled_goes_on_compiled(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "compile_blocks", partial(compile_blocks, backend="eager"))
    assert apply(spec, store=spec.parent / "store", sets=["hardware.compile=default"]).runs[0].error is None
    found = plan(spec)
    assert (found.hardware.compilation.value, train_of(found)[1]) == ("default", "cached")
    (past,) = [past for past in read_history(found.workspace.history_file) if past.kind == "train"]
    assert past.signature.endswith("|default")
    assert past.compile_seconds > 0


@pytest.mark.slow
def test_a_run_that_was_compiled_by_our_choice_is_gone_on_from_by_resume(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "compile_blocks", partial(compile_blocks, backend="eager"))
    monkeypatch.setattr(compilation, "RULE", {"cpu": Gain(1e-9, 0.5)})
    (run,) = apply(spec, store=spec.parent / "store").runs
    assert run.error is None
    longer, titled, same = (
        compile_plan(spec, store=spec.parent / "store", sets=sets, resume=run.run_id)
        for sets in (["schedule.duration=8 steps"], ["report.title=x"], [])
    )
    assert [train_of(it)[1] for it in (longer, titled, same)] == ["resume", "cached", "cached"]
    assert (longer.hardware.compilation.value, longer.hardware.compilation.reason) == ("default", "as it began")
    with pytest.raises(UsageError, match=r"hardware.compile auto -> off"):
        compile_plan(spec, store=spec.parent / "store", sets=["hardware.compile=off"], resume=run.run_id)
    forked = compile_plan(spec, store=spec.parent / "store", resume=run.run_id, fork=True)
    assert forked.hardware.compilation.reason != "as it began"


@pytest.mark.slow
def test_a_run_whose_compiling_failed_teaches_nothing(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(train, "compile_blocks", partial(compile_blocks, backend=fails))
    outcome = apply(spec, store=spec.parent / "store", sets=["hardware.compile=default"])
    assert outcome.runs[0].error is None
    assert not [past for past in read_history(plan(spec).workspace.history_file) if past.kind == "train"]


def test_where_nothing_can_compile_a_mode_is_warned_of_and_the_run_is_the_eager_one(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = train_of(plan(spec))
    monkeypatch.setattr(prepare, "probe", lambda: Machine("a cpu", 2, 8 * 2**30, frozenset(), (), "no C++ compiler (g++ not found)"))
    found = plan(spec, "hardware.compile=default")
    assert train_of(found) == eager
    assert [warning.code for warning in found.loaded.warnings] == ["compile-without-compiler"]
    assert plan(spec).hardware.compilation.reason == "no C++ compiler (g++ not found)"


def add(it: Plan, past: Past, **changes: Any) -> None:
    append_history(it.workspace.history_file, replace(past, **changes))
