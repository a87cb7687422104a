"""A train step whose model is compiled: recorded, timed apart, resumed and given up as it should be; and as exact as an eager one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import Listener, context, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.events import Alert, Metrics, Span
from specrun.runtime.choice import Choice
from specrun.runtime.compilation import compile_blocks
from specrun.spec.sections.schedule import Evaluate
from specrun.steps.train import run as train
from specrun.training.checkpoint_files import latest

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
COMPILED = ("compile/seconds", "compile/graphs", "compile/graph_breaks", "compile/recompilations")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    yield
    torch.compiler.reset()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Choose what compiles in the place of Inductor."""

    def choose(backend: Any) -> None:
        monkeypatch.setattr(train, "compile_blocks", partial(compile_blocks, backend=backend))

    return choose


def trained(
    root: Path, *, mode: str = "default", precision: str = "float32", stop: int | None = None, again: bool = False, **schedule: Any
) -> Any:
    listener = Listener()
    it = context(root / "run", listener, **({"stop": stop_after(stop)} if stop is not None else {}))
    hardware = replace(it.hardware, compilation=Choice(mode, "a test"), precision=Choice(precision, "a test"))
    inputs = parents(root / ("again" if again else "data"))
    return listener, train.run(replace(it, hardware=hardware), spec(**schedule), inputs)


def weights(root: Path) -> bytes:
    info = latest(root / "run" / "checkpoints", key="key")
    assert info is not None
    return (info.path / "model.safetensors").read_bytes()


def test_compiling_is_recorded_and_its_time_is_none_of_the_steps(tmp_path: Path, backend: Callable[[Any], None]) -> None:
    def slow(graph: Any, inputs: Any) -> Any:
        time.sleep(0.3)
        return graph

    backend(slow)
    listener, output = trained(tmp_path)
    (span,) = [it for it in listener.of(Span) if it.name == "compile"]
    assert (span.step, span.producer) == (1, "train[seed=0]")
    assert span.seconds > 0.3
    (record,) = [it for it in listener.of(Metrics) if "compile/seconds" in it.values]
    assert record.values == {
        "compile/seconds": span.seconds,
        "compile/graphs": 1.0,
        "compile/graph_breaks": 0.0,
        "compile/recompilations": 0.0,
    }
    found = output.values["compilation"]
    assert found == {"mode": "default", "failed": False, "seconds": span.seconds, "graphs": 1, "graph_breaks": 0, "recompilations": 0}
    steps = output.values["total_steps"] * output.values["metrics"]["throughput/step_seconds"]
    assert steps < output.values["seconds"] - span.seconds


def test_an_eager_run_records_nothing_of_compiling(tmp_path: Path) -> None:
    listener, output = trained(tmp_path, mode="eager")
    assert "compilation" not in output.values
    assert not [it for it in listener.of(Metrics) if set(COMPILED) & set(it.values)]


def test_windows_that_end_raggedly_are_not_compiled_anew(tmp_path: Path, backend: Callable[[Any], None]) -> None:
    backend("aot_eager")
    _, output = trained(tmp_path, evaluate=Evaluate(every=q("2 steps")), micro_batch_size=2)
    assert (output.values["compilation"]["graphs"], output.values["compilation"]["recompilations"]) == (1, 0)


def test_a_compile_failure_leaves_the_run_that_an_eager_one_is(tmp_path: Path, backend: Callable[[Any], None]) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("C++ compile error")

    backend(fails)
    listener, output = trained(tmp_path / "failed")
    eager_listener, _ = trained(tmp_path / "eager", mode="eager")
    assert listener.metric("train/loss") == eager_listener.metric("train/loss")
    assert listener.metric("validation/loss") == eager_listener.metric("validation/loss")
    assert weights(tmp_path / "failed") == weights(tmp_path / "eager")
    (alert,) = listener.of(Alert)
    assert (alert.level, alert.code, alert.step) == ("warning", "compile-failed", 1)
    assert alert.message.endswith("training goes on eagerly: RuntimeError: C++ compile error")
    assert output.warnings == (alert.message,)
    assert output.values["compilation"]["failed"] is True


@pytest.mark.parametrize(("mode", "precision"), [("default", "float32"), ("eager", "float16"), ("default", "float16")])
def test_an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one(
    tmp_path: Path, backend: Callable[[Any], None], mode: str, precision: str
) -> None:
    backend("aot_eager")
    trained(tmp_path / "straight", mode=mode, precision=precision, model={"dropout": 0.1})
    with pytest.raises(InterruptedRun):
        trained(tmp_path / "broken", mode=mode, precision=precision, model={"dropout": 0.1}, stop=7)
    trained(tmp_path / "broken", mode=mode, precision=precision, model={"dropout": 0.1}, again=True)
    assert weights(tmp_path / "straight") == weights(tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Inductor's own imports
def test_inductor_computes_the_losses_of_eager_training(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    every = {"log_every": q("1 steps"), "duration": q("20 steps"), "evaluate": Evaluate(every=q("20 steps"))}
    compiled, output = trained(tmp_path / "compiled", **every)
    eager, _ = trained(tmp_path / "eager", mode="eager", **every)
    a, b = compiled.metric("train/loss"), eager.metric("train/loss")
    assert len(a) == len(b) == 20
    assert max(abs(a[step] - b[step]) for step in a) < 1e-4
    assert compiled.metric("validation/loss")[20] == pytest.approx(eager.metric("validation/loss")[20], abs=1e-4)
    assert output.values["compilation"]["failed"] is False
    assert (output.values["compilation"]["graphs"], output.values["compilation"]["recompilations"]) == (1, 0)
    assert any((tmp_path / "compiled" / "cache" / "compile" / "fxgraph").iterdir())
