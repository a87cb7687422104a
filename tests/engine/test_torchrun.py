"""Several processes under torchrun, gloo between them: the losses of one, whatever happens to the workers."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from tiny_run import Listener, context, finished, hardware, parents, q, spec, stop_after

from specrun.engine.executors.torchrun import run_on_workers
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Alert, Event, Example, Metrics, Status, System
from specrun.plan.start import LABEL, Start
from specrun.runtime.hardware import Choice
from specrun.runtime.signals import StopNow, StopSignals
from specrun.spec.document import Spec
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.contract import StepContext, StepOutput
from specrun.steps.registry import step_kinds
from specrun.steps.train.run import run
from specrun.training import recovery

pytestmark = pytest.mark.slow
TRAIN = next(kind for kind in step_kinds() if kind.kind == "train")


def settings(**schedule: object) -> Spec:
    """Two micro-batches for each of two workers; dropout, so that random numbers matter."""
    return spec(model={"dropout": 0.1}, **({"batch_size": 8, "micro_batch_size": 2, "log_every": q("1 steps"),
                "evaluate": Evaluate(every=q("8 steps")), "checkpoint": Checkpoint(every=q("8 steps"))} | schedule))  # fmt: skip


@dataclass
class Asked:
    """What a signal would be: pending once it is asked for, and heeded by whoever asks as the step has ended."""

    number: int | None = None
    heeded: bool = False

    def pending(self) -> int | None:
        return self.number

    def requested(self) -> int | None:
        self.heeded = True
        return self.number


NEVER = Asked()


def on_two(
    folder: Path, listener: Listener, *, strategy: str = "ddp", signals: Asked | StopSignals = NEVER, compiled: str = "eager"
) -> StepContext:
    machine = replace(hardware(), devices=2, strategy=Choice(strategy, "a test"), compilation=Choice(compiled, "a test"))
    return replace(context(folder, listener, stop=signals.requested), hardware=machine, stop_pending=signals.pending)


@pytest.fixture
def in_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has code run in each worker as it starts, in which `rank` is its number."""

    def arrange(code: str) -> None:
        (tmp_path / "site").mkdir()
        lines = "import os\nrank = int(os.environ.get('RANK', '-1'))\nif rank >= 0:\n" + indent(dedent(code), "    ")
        (tmp_path / "site" / "sitecustomize.py").write_text(lines)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    return arrange


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
    one = max(event.values["system/process_rss_peak_bytes"] for event in listener.of(System))
    assert 1.5 * one < output.values["peak_memory_bytes"] < 2.5 * one
    assert (output.values["peak_memory_processes"], alone[0].values["peak_memory_processes"]) == (2, 1)


@dataclass
class Doing(Listener):
    """Does something once as the metrics of an optimizer step arrive, by the step."""

    at: dict[int, Callable[[], None]] = field(default_factory=dict)

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, Metrics) and (act := self.at.pop(event.step, None)) is not None:
            act()


def children(pid: int) -> list[int]:
    """The processes that a process has started, whoever of its threads did."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


KILLS = """
import signal, time
from pathlib import Path
from specrun.training import recovery
update = recovery.update
restart = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
step, victim, saved = [(2, 1, 0), (10, 0, 8), (18, 1, 16), (-1, -1, 0)][restart]
def killed(state, loss):
    if state.step == step and rank == victim:
        while saved and not Path({folder!r}, f"step-{{saved:08d}}").is_dir():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return update(state, loss)
recovery.update = killed
"""


def test_killed_workers_cost_no_step_and_no_digit(tmp_path, alone, in_workers):
    """Before the first checkpoint, which begins the record anew, and after it."""
    in_workers(KILLS.format(folder=str(tmp_path / "run" / "checkpoints")))
    output, listener = train_on_two(tmp_path / "run", settings(), tmp_path)
    alerts = list(listener.of(Alert))
    assert [alert.code for alert in alerts] == ["worker-restarted"] * 3
    assert output.warnings == tuple(alert.message for alert in alerts)
    # Where the other process has ended too by the time that torchrun looks, it may name that one.
    causes = ("rank 1 was killed (SIGKILL), as the system does when memory runs out", "rank 0 no longer heard the others")
    assert any(f"a worker was lost ({cause})" in alerts[-1].message for cause in causes)
    assert "3 of at most 3 times" in alerts[-1].message
    assert [status.resumed_from for status in listener.of(Status)] == [0, 8, 16]
    assert_same_training(listener, tmp_path / "run", alone)


SLOW_EVALUATION = """
from specrun.tasks.causal_lm import build
build.EVALUATION_TOKENS["cpu"] = 8
import time
from specrun.training.session import Session
look = Session._look_up
Session._look_up = lambda self: (time.sleep(1.0), look(self))
"""


STOPPED_WRITING = """
import gc
from specrun.tasks.causal_lm import build
generate, looks = build.generate, []
def asked_at_the_third_token(*args, between, **kwargs):
    def look():
        looks.append(None)
        if rank == 0 and len(looks) == 3:
            [asked] = [it for it in gc.get_objects() if type(it).__name__ == "_Asked"]
            asked.by_parent.note(15)  # what the parent would say
        between()
    return generate(*args, between=look, **kwargs)
build.generate = asked_at_the_third_token
"""


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_signal_to_one_process_while_samples_are_written_has_all_leave_the_evaluation(strategy, tmp_path, in_workers):
    in_workers(STOPPED_WRITING)
    listener, folder = Listener(), tmp_path / "run"
    with pytest.raises(InterruptedRun, match="signal 15 ended training after step 8 "):
        run_on_workers(TRAIN, on_two(folder, listener, strategy=strategy), settings(), parents(tmp_path))
    assert [event.step for event in listener.of(Example)] == []
    assert "validation/loss" not in {name for event in listener.of(Metrics) for name in event.values}
    assert (folder / "checkpoints" / "step-00000008").is_dir()


def test_a_signal_saves_what_another_number_of_processes_goes_on_from(tmp_path, alone, in_workers, monkeypatch):
    in_workers(SLOW_EVALUATION)
    asked = Asked()
    listener = Doing(at={8: lambda: setattr(asked, "number", signal.SIGTERM)})
    place, data = tmp_path / "run", parents(tmp_path)
    with pytest.raises(InterruptedRun, match="signal 15 ended training after step 8 ") as interrupted:
        run_on_workers(TRAIN, on_two(place, listener, strategy="fsdp", signals=asked), settings(), data)
    assert interrupted.value.exit_code == 143
    assert asked.heeded
    assert listener.metric("validation/loss") == {}  # the evaluation after step 8 was left
    monkeypatch.delenv("PYTHONPATH")
    second = Listener()
    with pytest.raises(InterruptedRun):  # one process goes on from what two have saved,
        run(context(place, second, stop=stop_after(3)), settings(), data)
    assert [status.resumed_from for status in second.of(Status)] == [8]
    third = Listener()
    run_on_workers(TRAIN, on_two(place, third), settings(), data)  # and two from what one has
    (resumed,) = third.of(Status)
    listener.events += [*second.events, *third.events]
    assert 8 < resumed.resumed_from < 24
    assert_same_training(listener, place, alone)
    assert children(os.getpid()) == []


ENDLESS_STEP = """
from specrun.training.session import Session
after_step = Session.after_step
def without_end(self, stats):
    after_step(self, stats)
    if self.state.step == 3:
        import time
        time.sleep(600)
Session.after_step = without_end
"""


def test_the_grace_ends_workers_that_come_to_no_end_of_their_step(tmp_path, in_workers):
    in_workers(ENDLESS_STEP)
    signals = StopSignals(grace_seconds=0.5)
    listener = Doing(at={3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with signals.listening(), pytest.raises(StopNow) as stop, signals.polite():
        run_on_workers(TRAIN, on_two(tmp_path / "run", listener, signals=signals), settings(), parents(tmp_path))
    assert (stop.value.number, stop.value.late) == (signal.SIGTERM, True)
    assert children(os.getpid()) == []


def killed_while_it_trains(root: Path) -> None:
    """Not to be called by the tests' own process."""
    listener = Doing(at={5: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    run_on_workers(TRAIN, on_two(root / "run", listener), settings(duration=q("100000 steps")), parents(root))


def test_no_process_outlives_one_that_is_killed(tmp_path):
    code = f"from pathlib import Path; from tests.engine.test_torchrun import *; killed_while_it_trains(Path({str(tmp_path)!r}))"
    apply = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert apply.returncode == -signal.SIGKILL
    trying = 600
    while trying and any(str(tmp_path).encode() in read(process / "cmdline") for process in Path("/proc").glob("[0-9]*")):
        trying -= 1
        time.sleep(0.05)
    assert trying


def read(file: Path) -> bytes:
    """What a process says of itself, while it is there."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


POISON = """
import math
from specrun.training import checkpoint_files, recovery
accumulate, hashed = recovery.accumulate, checkpoint_files._hash_file
recovery.accumulate = lambda state, batch: accumulate(state, batch) * (math.nan if state.position in range(16, 19) else 1.0)
def read_slowly(path):
    import time
    time.sleep(0.5 if "step-" in str(path) else 0)
    return hashed(path)
if rank == 1:
    checkpoint_files._hash_file = read_slowly
"""


def test_all_processes_go_back_to_the_same_checkpoint(tmp_path, in_workers, monkeypatch):
    in_workers(POISON)
    data = parents(tmp_path)
    given = settings(checkpoint=Checkpoint(every=q("4 steps")))
    listener, reference = Listener(), Listener()
    run_on_workers(TRAIN, on_two(tmp_path / "run", listener), given, data)
    real, bad = recovery.accumulate, range(16, 19)
    monkeypatch.setattr(recovery, "accumulate", lambda state, batch: real(state, batch) * (math.nan if state.position in bad else 1.0))
    output = run(context(tmp_path / "alone", reference), given, data)
    assert [status.resumed_from for status in listener.of(Status)] == [16]
    assert list(listener.of(Alert)) == list(reference.of(Alert))
    assert list(listener.of(Alert))[-1].code == "rolled-back"
    for events in (listener, reference):  # what was skipped has no finite loss
        events.events = [event for event in events.events if not isinstance(event, Metrics) or event.step not in range(17, 20)]
    assert_same_training(listener, tmp_path / "run", (output, reference, tmp_path / "alone"))


def test_all_processes_of_a_training_that_is_carried_further_go_back_to_what_the_one_before_came_to(tmp_path, in_workers, monkeypatch):
    """Twice: to the checkpoint that was taken over, and as no step counts to the same."""
    in_workers(POISON.replace("range(16, 19)", "range(12, 18)"))
    data, kept, runs = parents(tmp_path), settings(checkpoint=Checkpoint(every=q("4 steps"))), tmp_path / "runs"
    run(context(runs / "parent", Listener()), settings(duration=q("12 steps")), data)
    manifest = runs / "parent" / "checkpoints" / "step-00000012" / "manifest.json"
    start = Start("extend", "parent", 12, hashlib.sha256(manifest.read_bytes()).hexdigest(), optimizer="adamw")

    def extended(there: StepContext) -> StepContext:
        return replace(there, store=tmp_path, step=replace(there.step, label={LABEL: start.to_json()}))

    listener, reference = Listener(), Listener()
    run_on_workers(TRAIN, extended(on_two(runs / "two", listener)), kept, data)
    real, bad = recovery.accumulate, range(12, 18)
    monkeypatch.setattr(recovery, "accumulate", lambda state, batch: real(state, batch) * (math.nan if state.position in bad else 1.0))
    output = run(extended(context(runs / "alone", reference)), kept, data)
    assert [status.resumed_from for status in listener.of(Status)] == [12, 12, 12]
    assert list(listener.of(Alert)) == list(reference.of(Alert))
    for events in (listener, reference):  # what was skipped has no finite loss
        events.events = [event for event in events.events if not isinstance(event, Metrics) or event.step not in range(13, 19)]
    assert_same_training(listener, runs / "two", (output, reference, runs / "alone"))


ONE_MODEL = """
import hashlib, time
from specrun.training import checkpoint_files, recovery
update, save = recovery.update, checkpoint_files.save
def compared(state, loss):
    stats = update(state, loss)
    weights = b"".join(parameter.detach().numpy().tobytes() for parameter in state.model.parameters())
    own = [state.step, stats.learning_rate, hashlib.sha256(weights).hexdigest()]
    first = state.parallel.workers.told(own)
    assert own == first, f"{own} is not {first}"
    return stats
def save_slowly(*args, **kwargs):
    time.sleep(0.3)
    return save(*args, **kwargs)
recovery.update, checkpoint_files.save = compared, save_slowly
"""


def test_a_duration_in_time_trains_one_model_whatever_the_clocks_of_its_processes(tmp_path, in_workers):
    in_workers(ONE_MODEL)
    given = settings(duration=q("3s"), evaluate=Evaluate(every=q("20%")), checkpoint=Checkpoint(every=q("40%")))
    output, listener = train_on_two(tmp_path / "run", given, tmp_path)
    assert output.values["stop_reason"] == f"time limit of 3s reached after step {output.values['steps']}"
    assert len(listener.metric("validation/loss")) > 1
    assert output.values["steps"] > max(list(listener.metric("validation/loss"))[:-1]), "steps follow an evaluation"


def test_a_failure_arrives_with_its_code_and_nothing_is_started_again(tmp_path):
    listener = Listener()
    with pytest.raises(SpecrunError) as failed:
        run_on_workers(TRAIN, on_two(tmp_path / "run", listener), settings(), parents(tmp_path, train=5))
    assert failed.value.code == "corpus-shorter-than-sequence"
    assert "rank" not in failed.value.message
    assert "DataError" in (tmp_path / "run" / "workers" / "rank-0.log").read_text()
    assert not list(listener.of(Alert))
    assert children(os.getpid()) == []


WANTS = """
from specrun.runtime import compilation
from specrun.tasks.causal_lm import build
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
def fail(graph, inputs):
    raise RuntimeError("no such instruction")
failing = aot_autograd(fw_compiler=lambda graph, inputs: make_boxed_func(graph.forward), bw_compiler=fail)
compilation.compile_blocks.__kwdefaults__["backend"] = failing
split = build.TokenBatch.split
def split_small(self, size):
    if size == 2 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "1":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    return split(self, size)
if rank == 1:
    build.TokenBatch.split = split_small
"""


def test_what_workers_cannot_do_they_do_otherwise_from_a_start_that_is_no_loss(tmp_path, in_workers, monkeypatch):
    monkeypatch.setattr("specrun.engine.executors.hearing.MAX_LOSSES", 0)
    in_workers(WANTS)
    listener = Listener()
    output = run_on_workers(TRAIN, on_two(tmp_path / "run", listener, compiled="default"), settings(), parents(tmp_path))
    alerts = [(alert.code, alert.message) for alert in listener.of(Alert)]
    assert [code for code, _ in alerts] == ["compile-failed", "worker-restarted", "out-of-memory", "worker-restarted"]
    assert "all workers go on from the last checkpoint eagerly: RuntimeError: no such instruction" in alerts[0][1]
    assert "no such instruction; nothing is compiled from here on" in alerts[1][1]
    assert "is computed 1 sequence at a time from here on" in alerts[2][1]
    assert "rank 1: CUDA out of memory. Tried to allocate 2 GiB; 1 sequence at a time from here on" in alerts[3][1]
    assert set(output.warnings) == {message for _, message in alerts}
    assert output.values["micro_batch_size"] == 1
    assert output.values["compilation"]["failed"] is True
    small = Listener()
    smaller = run(context(tmp_path / "small" / "run", small), settings(micro_batch_size=1), parents(tmp_path / "small"))
    assert_same_training(listener, tmp_path / "run", (smaller, small, tmp_path / "small" / "run"))


LARGE_EVALUATION = """
from specrun.tasks.causal_lm import build
from specrun.training.windows import Windows
build.EVALUATION_TOKENS["cpu"] = 32
evaluation_batches = Windows.evaluation_batches
def wanting(self, split, tokens, workers, *, at_once):
    for number, batch in enumerate(evaluation_batches(self, split, tokens, workers, at_once=at_once)):
        if rank == 1 and number == 1 and at_once > 8:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        yield batch
Windows.evaluation_batches = wanting
"""


@pytest.mark.parametrize(("strategy", "learned"), [("ddp", True), ("fsdp", False)])
def test_an_evaluation_that_one_process_has_no_memory_for_is_made_by_all_in_smaller_pieces(
    strategy, learned, tmp_path, alone, in_workers, monkeypatch
):
    """In training, and as a step of its own, which begins with what training has learned."""
    monkeypatch.setattr("specrun.engine.executors.hearing.MAX_LOSSES", 0)
    in_workers(LARGE_EVALUATION)
    listener, place, data = Listener(), tmp_path / "run", parents(tmp_path)
    output = run_on_workers(TRAIN, on_two(place, listener, strategy=strategy), settings(), data)
    alerts = [(alert.code, alert.message) for alert in listener.of(Alert)]
    assert [code for code, _ in alerts] == ["out-of-memory", "worker-restarted"]
    assert alerts[0][1] == "an evaluation does not fit in memory; from here on 1/4 as much as usual is computed at once"
    assert "rank 1: CUDA out of memory. Tried to allocate 2 GiB; evaluations compute 1/4 as much at once from here on" in alerts[1][1]
    assert set(output.warnings) == {message for _, message in alerts}
    assert_same_training(listener, place, alone)
    trained = {**data, "train": replace(finished("train", place, output.values), folder=place)}
    evaluate = next(kind for kind in step_kinds() if kind.kind == "evaluate")
    if not learned:
        (place / "checkpoints" / "start-again.json").unlink()
    heard = Listener()
    judged = run_on_workers(evaluate, on_two(place, heard, strategy=strategy), settings(), trained)
    assert [alert.code for alert in heard.of(Alert)] == ([] if learned else ["out-of-memory", "worker-restarted"])
    assert judged.values["metrics"]["validation/loss"] == pytest.approx(alone[0].values["best_metric"], abs=1e-5)
