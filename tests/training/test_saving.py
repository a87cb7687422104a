"""Saving beside training: what is written is the state of the save, in order, and a failure or an end is told to training."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from specrun.errors import StorageFailure
from specrun.runtime.device import Device
from specrun.runtime.signals import StopNow
from specrun.training import checkpoint_files as cf
from specrun.training.checkpoints import step_tensors
from specrun.training.loop import TrainState
from specrun.training.saving import Saver, _Writer

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)


def state() -> TrainState:
    torch.manual_seed(1)
    model = torch.nn.Linear(8, 8)
    nothing: Any = None
    return TrainState(model, torch.optim.AdamW(model.parameters(), lr=0.1), nothing, DEVICE, lambda _: 0.1, None, 1, 0)


def advance(it: TrainState) -> None:
    it.model(torch.ones(8)).sum().backward()
    it.optimizer.step()
    it.step += 1
    it.position += 1


def saver(folder: Path, **more: int) -> Saver:
    return Saver(folder, key="k", device=DEVICE, **({"keep_last": 2, "keep_best": 1} | more))


class Gate:
    """Holds each write of a checkpoint until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached, self._opened = threading.Event(), threading.Event()
        real = cf.save

        def save(*args: Any, **kwargs: Any) -> cf.CheckpointInfo:
            self.reached.set()
            assert self._opened.wait(10)
            return real(*args, **kwargs)

        patch.setattr(cf, "save", save)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert "specrun-checkpoints" not in {thread.name for thread in set(threading.enumerate()) - before}


def test_what_training_does_after_a_save_does_not_show_in_it(tmp_path: Path, gate: Gate) -> None:
    it = state()
    advance(it)
    weights = {name: tensor.clone() for name, tensor in it.model.state_dict().items()}
    with saver(tmp_path) as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        assert gate.reached.wait(10)
        advance(it)
        gate.open()
    found = load_file(tmp_path / "step-00000001" / "model.safetensors")
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_memory_that_the_system_does_not_pin_is_counted_and_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.zeros

    def zeros(*args: Any, pin_memory: bool = False, **kwargs: Any) -> torch.Tensor:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return real(*args, **kwargs)

    monkeypatch.setattr(torch, "zeros", zeros)
    monkeypatch.setattr(torch, "Event", lambda _: SimpleNamespace(record=lambda: None, synchronize=lambda: None))
    it = state()
    advance(it)
    device = Device("cuda", torch.device("cpu"), torch.float32)
    with Saver(tmp_path, key="k", device=device, keep_last=2, keep_best=1) as saves:
        assert device.unpinned_bytes == 0
        saves.get_ready(it)
        saves.save_step(it, {}, metrics={}, best_step=None)
    found = load_file(tmp_path / "step-00000001" / "model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in it.model.state_dict().items())
    assert device.unpinned_bytes == sum(tensor.nbytes for file in step_tensors(it).values() for tensor in file.values())


def test_what_was_saved_is_held_no_longer_than_it_is_written() -> None:
    class Moments:
        """Of the optimizer, as a job holds them."""

    writer, moments = _Writer(), Moments()
    held = weakref.ref(moments)
    writer.submit(partial(lambda _: None, moments))
    del moments
    writer.wait()
    assert held() is None
    writer.close(at_once=False)


def test_a_checkpoint_is_named_only_once_it_is_durable(tmp_path: Path, gate: Gate) -> None:
    it = state()
    advance(it)
    with saver(tmp_path) as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        assert (saves.collect(), saves.last) == ([], None)
        gate.open()
        saves.wait()
        assert [written.info.step for written in saves.collect()] == [1]
        assert saves.last is not None
        assert cf.damage(saves.last.path) is None


def test_the_next_save_waits_for_the_one_under_way(tmp_path: Path, gate: Gate) -> None:
    it = state()
    advance(it)
    with saver(tmp_path) as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        advance(it)
        threading.Timer(0.05, gate.open).start()
        saves.save_step(it, {}, metrics={}, best_step=None)
        assert (tmp_path / "step-00000001").is_dir()
    assert [info.step for info in cf.checkpoints(tmp_path)] == [2, 1]
    assert all(cf.damage(info.path) is None for info in cf.checkpoints(tmp_path))


def test_best_weights_of_the_same_step_are_copied_once_and_written_first(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = state()
    advance(it)
    copied: list[int] = []
    real = Device.copy_to_host
    monkeypatch.setattr(Device, "copy_to_host", lambda self, tensors, into: (copied.append(len(into)), real(self, tensors, into))[1])
    with saver(tmp_path) as saves:
        saves.save_best(it, metrics={}, score=1.0)
        saves.save_step(it, {}, metrics={}, best_step=1)  # would wait for ever if it waited for the best
        gate.open()
        saves.wait()
        assert [written.info.role for written in saves.collect()] == ["best", "step"]
    assert copied == [2, 6]
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("best-00000001", "step-00000001"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_step_at_another_place_in_the_data_is_another_state(tmp_path: Path) -> None:
    """After training went back, a step is made again with other samples."""
    it = state()
    advance(it)
    with saver(tmp_path) as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        it.step -= 1
        advance(it)
        saves.save_step(it, {}, metrics={}, best_step=None)
    found = load_file(tmp_path / "step-00000001" / "model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in it.model.state_dict().items())


def test_a_write_that_fails_is_told_at_the_next_look_and_nothing_is_written_after_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    it = state()
    advance(it)
    with saver(tmp_path / "file") as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        saves.wait()
        with pytest.raises(StorageFailure, match="checkpoint-not-written"):
            saves.collect()
        advance(it)
        with pytest.raises(StorageFailure):
            saves.save_step(it, {}, metrics={}, best_step=None)


def test_what_was_written_before_a_failure_is_told_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = state()
    advance(it)
    real = cf.save

    def save(*args: Any, **kwargs: Any) -> cf.CheckpointInfo:
        if kwargs["step"] == 2:
            raise StorageFailure("full")
        return real(*args, **kwargs)

    monkeypatch.setattr(cf, "save", save)
    with saver(tmp_path) as saves:
        saves.save_step(it, {}, metrics={}, best_step=None)
        advance(it)
        saves.save_step(it, {}, metrics={}, best_step=None)
        saves.wait()
        assert [written.info.step for written in saves.collect()] == [1]
        with pytest.raises(StorageFailure):
            saves.collect()


def test_an_error_of_training_lets_the_write_under_way_come_to_its_end(tmp_path: Path, gate: Gate) -> None:
    it = state()
    advance(it)
    with pytest.raises(ValueError, match="training"), saver(tmp_path) as saves:  # noqa: PT012
        saves.save_step(it, {}, metrics={}, best_step=None)
        threading.Timer(0.05, gate.open).start()
        raise ValueError("training failed")
    assert cf.damage(tmp_path / "step-00000001") is None


def test_an_end_at_once_waits_for_no_write_and_leaves_no_half_checkpoint(tmp_path: Path, gate: Gate) -> None:
    it = state()
    advance(it)
    with pytest.raises(StopNow), saver(tmp_path) as saves:  # noqa: PT012
        saves.save_step(it, {}, metrics={}, best_step=None)
        assert gate.reached.wait(10)
        threading.Timer(0.05, gate.open).start()
        raise StopNow(2)
    assert not list(tmp_path.glob("step-*"))
    assert cf.recover(tmp_path, key="k", on_damage=lambda *_: None, on_lost_best=lambda _: None) is None
    assert not list(tmp_path.glob(".*.tmp"))


def test_buffers_are_used_again(tmp_path: Path) -> None:
    it = state()
    advance(it)
    with saver(tmp_path) as saves:
        saves.get_ready(it)
        saves.wait()
        rooms = [buffer.data_ptr() for snapshot in saves._snapshots.values() for buffer in snapshot.buffers]
        for _ in range(3):
            advance(it)
            saves.save_step(it, {}, metrics={}, best_step=None)
        assert [buffer.data_ptr() for snapshot in saves._snapshots.values() for buffer in snapshot.buffers] == rooms
    assert len(rooms) == 2 + 6


def test_each_checkpoint_is_read_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it, read = state(), []
    real = cf._hash_file
    monkeypatch.setattr(cf, "_hash_file", lambda path: (read.append(path.parent.name), real(path))[1])
    with saver(tmp_path) as saves:
        for _ in range(6):
            advance(it)
            saves.save_step(it, {}, metrics={}, best_step=None)
    assert sorted(set(read)) == [f"step-{step:08d}" for step in range(1, 7)]
    assert len(read) == 6 * 3, "three files each"


KILLED = """
import os, signal, sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
import test_saving
from specrun.training import checkpoint_files as cf

def patched(original, number):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    return call

test_saving.advance(test_saving.state())  # what torch imports at the first step is imported once
root, number, ended = Path(sys.argv[2]), 0, -1
while ended != 0:
    number += 1
    folder = root / str(number)
    child = os.fork()
    if child == 0:
        it = test_saving.state()
        with test_saving.saver(folder) as saves:
            for _ in range(3):
                test_saving.advance(it)
                saves.save_best(it, metrics={}, score=-float(it.step))
                saves.save_step(it, {}, metrics={}, best_step=it.step)
            saves.wait()
            count = 0
            for name in ("open", "write", "fsync", "close", "rename", "replace", "mkdir", "unlink", "rmdir"):
                setattr(os, name, patched(getattr(os, name), number))
            test_saving.advance(it)
            saves.save_best(it, metrics={}, score=-float(it.step))
            saves.save_step(it, {}, metrics={}, best_step=it.step)
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    assert ended in (0, signal.SIGKILL), ended
print(number)
"""


@pytest.mark.slow
def test_a_kill_at_any_call_of_a_save_beside_training_leaves_the_newest_or_the_one_before(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout) - 1
    assert kills > 60, "best weights, state, rotation"
    for number in range(1, kills + 1):
        damaged: list[Any] = []
        lost: list[int] = []
        found = cf.recover(tmp_path / str(number), key="k", on_damage=_both_into(damaged), on_lost_best=lost.append)
        assert found is not None, f"killed at call {number}"
        assert found.step in (3, 4)
        assert (damaged, lost) == ([], []), f"killed at call {number}"


def _both_into(found: list[Any]) -> Callable[[Path, str], None]:
    return lambda path, why: found.append((path, why))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted in /proc")
def test_no_thread_but_the_training_ones_own_computes_in_parallel(tmp_path: Path) -> None:
    """A second set of OpenMP's threads, once there are more than cores, keeps all of them from spinning: training goes a third slower."""
    program = """
import sys, threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
import torch
sys.path.insert(0, sys.argv[1])
from test_saving import advance, saver, state
torch.set_num_threads(2)
it = state()
it.model.register_buffer("large", torch.ones(1 << 20))  # filled by two threads by the one that trains
tasks = lambda: len(list(Path("/proc/self/task").iterdir()))
with saver(Path(sys.argv[2])) as saving:
    advance(it)
    before = tasks()
    saving.get_ready(it)
    saving.save_step(it, {}, metrics={}, best_step=None)
    saving.wait()
    assert len(saving.collect()) == 1
    print(tasks() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.strip() == "1"  # the writer alone
