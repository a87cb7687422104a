"""Several processes under torchrun, gloo between them: the losses of one, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from tiny_run import Listener, context, hardware, parents, q, spec, stop_after

from specrun.engine.executors.torchrun import run_on_workers
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Alert, Event, Metrics, Status, System
from specrun.runtime.hardware import Choice
from specrun.spec.document import Spec
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.contract import StepContext, StepOutput
from specrun.steps.registry import step_kinds
from specrun.steps.train.run import run

pytestmark = pytest.mark.slow
TRAIN = next(kind for kind in step_kinds() if kind.kind == "train")


def settings(**schedule: object) -> Spec:
    """Two micro-batches for each of two workers; dropout, so that random numbers matter."""
    return spec(model={"dropout": 0.1}, **({"batch_size": 8, "micro_batch_size": 2, "log_every": q("1 steps"),
                "evaluate": Evaluate(every=q("8 steps")), "checkpoint": Checkpoint(every=q("8 steps"))} | schedule))  # fmt: skip


def on_two(folder: Path, listener: Listener, *, strategy: str = "ddp", stop: object = lambda: None) -> StepContext:
    machine = replace(hardware(), devices=2, strategy=Choice(strategy, "a test"))
    return replace(context(folder, listener, stop=stop), hardware=machine)  # type: ignore[arg-type]


def train_on_two(folder: Path, given: Spec, root: Path, **options: object) -> tuple[StepOutput, Listener]:
    listener = Listener()
    return run_on_workers(TRAIN, on_two(folder, listener, **options), given, parents(root)), listener  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[StepOutput, Listener, Path]:
    """A training by one process, in a folder."""
    root = tmp_path_factory.mktemp("alone")
    listener = Listener()
    return run(context(root / "run", listener), settings(), parents(root)), listener, root / "run"


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    last = folder / "checkpoints" / "step-00000024"
    return load_file(last / "model.safetensors") | load_file(last / "optimizer.safetensors")


def assert_same_training(listener: Listener, folder: Path, alone: tuple[StepOutput, Listener, Path]) -> None:
    _, reference, reference_folder = alone
    for name in ("train/loss", "validation/loss", "validation/bits_per_byte"):
        there, here = reference.metric(name), listener.metric(name)
        assert there.keys() == here.keys()
        assert max(abs(there[step] - here[step]) for step in there) <= 1e-5
    norms, own = reference.metric("train/gradient_norm"), listener.metric("train/gradient_norm")
    assert own == {step: pytest.approx(norm, rel=1e-3) for step, norm in norms.items()}
    there, here = tensors(reference_folder), tensors(folder)
    assert there.keys() == here.keys()
    assert all(here[name].shape == there[name].shape and here[name].dtype == there[name].dtype for name in there)
    assert max((here[name] - there[name]).abs().max().item() for name in there) <= 1e-3


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_losses_of_one(strategy, tmp_path, alone):
    output, listener = train_on_two(tmp_path / "run", settings(), tmp_path, strategy=strategy)
    assert_same_training(listener, tmp_path / "run", alone)
    assert output.values["best_step"] == alone[0].values["best_step"]
    assert output.values["tokens"] == alone[0].values["tokens"]
    assert any(isinstance(event, System) for event in listener.events)


@dataclass
class Doing(Listener):
    """Does something once, as the metrics of an optimizer step arrive."""

    at_step: int = 0
    act: Callable[[], None] = lambda: None
    done: bool = field(default=False)

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, Metrics) and event.step >= self.at_step and not self.done:
            self.done = True
            self.act()


def children(pid: int) -> list[int]:
    """The processes that a process has started, whoever of its threads did."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def workers_of_this_process() -> dict[int, int]:
    """The process id of each rank."""
    found = {}
    for agent in children(os.getpid()):
        for child in children(agent):
            names = dict(entry.split("=", 1) for entry in Path(f"/proc/{child}/environ").read_text().split("\0") if "=" in entry)
            found[int(names["RANK"])] = child
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_costs_no_step_and_no_digit(rank, tmp_path, alone):
    listener = Doing(at_step=11, act=lambda: os.kill(workers_of_this_process()[rank], signal.SIGKILL))
    output = run_on_workers(TRAIN, on_two(tmp_path / "run", listener), settings(), parents(tmp_path))
    assert listener.done
    (alert,) = listener.of(Alert)
    assert alert.code == "worker-restarted"
    assert alert.message in output.warnings
    assert [status.resumed_from for status in listener.of(Status)] == [8]
    assert_same_training(listener, tmp_path / "run", alone)


def test_a_worker_killed_before_the_first_checkpoint_begins_the_record_anew(tmp_path, alone):
    listener = Doing(at_step=2, act=lambda: os.kill(workers_of_this_process()[1], signal.SIGKILL))
    run_on_workers(TRAIN, on_two(tmp_path / "run", listener), settings(), parents(tmp_path))
    assert [status.resumed_from for status in listener.of(Status)] == [0]
    assert_same_training(listener, tmp_path / "run", alone)


def test_a_signal_saves_what_another_number_of_processes_goes_on_from(tmp_path, alone):
    asked: list[int] = []
    listener = Doing(at_step=10, act=lambda: asked.append(signal.SIGTERM))
    place, data = tmp_path / "run", parents(tmp_path)
    with pytest.raises(InterruptedRun, match="signal 15 ended training after step") as interrupted:
        run_on_workers(TRAIN, on_two(place, listener, strategy="fsdp", stop=lambda: asked[0] if asked else None), settings(), data)
    assert interrupted.value.exit_code == 143
    (saved,) = (int(path.name.removeprefix("step-")) for path in sorted((place / "checkpoints").glob("step-*"))[-1:])
    assert 10 <= saved < 24
    second = Listener()
    with pytest.raises(InterruptedRun):  # one process goes on from what two have saved,
        run(context(place, second, stop=stop_after(3)), settings(), data)
    assert [status.resumed_from for status in second.of(Status)] == [saved]
    third = Listener()
    run_on_workers(TRAIN, on_two(place, third), settings(), data)  # and two from what one has
    assert [status.resumed_from for status in third.of(Status)] == [saved + 3]
    listener.events = [*(event for event in listener.events if not isinstance(event, Metrics) or event.step <= saved),
                       *second.events, *third.events]  # fmt: skip
    assert_same_training(listener, place, alone)
    assert children(os.getpid()) == []


def test_a_failure_arrives_with_its_code_and_nothing_is_started_again(tmp_path):
    listener = Listener()
    with pytest.raises(SpecrunError) as failed:
        run_on_workers(TRAIN, on_two(tmp_path / "run", listener), settings(), parents(tmp_path, train=5))
    assert failed.value.code == "corpus-shorter-than-sequence"
    assert "rank" not in failed.value.message
    assert "DataError" in (tmp_path / "run" / "workers" / "rank-0.log").read_text()
    assert not list(listener.of(Alert))
    assert children(os.getpid()) == []


WANT_OF_MEMORY = """
import os
if os.environ.get("RANK") == "1":
    from specrun.tasks.causal_lm import build
    split = build.TokenBatch.split
    def split_small(self, size):
        if size == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return split(self, size)
    build.TokenBatch.split = split_small
"""


def test_one_worker_without_memory_has_all_start_again_with_smaller_parts(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WANT_OF_MEMORY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    output, listener = train_on_two(tmp_path / "run", settings(), tmp_path)
    (alert,) = listener.of(Alert)
    assert alert.code == "worker-restarted"
    assert "rank 1: CUDA out of memory. Tried to allocate 2 GiB; 1 samples are computed at once from here on" in alert.message
    assert output.values["micro_batch_size"] == 1
    small = Listener()
    smaller = run(context(tmp_path / "small" / "run", small), settings(micro_batch_size=1), parents(tmp_path / "small"))
    assert_same_training(listener, tmp_path / "run", (smaller, small, tmp_path / "small" / "run"))
