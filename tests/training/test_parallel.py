"""A worker's share of a batch, of an evaluation and of the sums, without other workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specrun.runtime.device import Device
from specrun.runtime.distributed import ALONE, Workers, share_like, whole
from specrun.tasks.causal_lm.build import TokenBatch
from specrun.training import checkpoint_files
from specrun.training.parallel import ON_ITS_OWN, Parallel
from specrun.training.starting_again import Lessons, StartAgain, begin_anew, lessons, remember, remembering


@given(workers=st.integers(1, 5), parts=st.integers(1, 4), micro=st.integers(1, 4))
def test_the_workers_have_the_micro_batches_of_one_process_between_them(workers: int, parts: int, micro: int) -> None:
    size = workers * parts * micro
    batch = TokenBatch(torch.arange(size * 3).reshape(size, 3))
    alone = [(number, part.ids.tolist()) for number, part, _ in ON_ITS_OWN.parts(batch, micro)]
    together = [
        (number, part.ids.tolist())
        for rank in range(workers)
        for number, part, _ in Parallel(Workers(rank, workers), torch.nn.Identity()).parts(batch, micro)
    ]
    assert together == alone


@given(workers=st.integers(1, 4), share=st.integers(1, 9), micro=st.integers(1, 9))
def test_micro_batches_that_do_not_fit_a_share_are_still_each_samples_once(workers: int, share: int, micro: int) -> None:
    size = workers * share
    batch = TokenBatch(torch.arange(size * 3).reshape(size, 3))
    found = [
        (number, part)
        for rank in range(workers)
        for number, part, _ in Parallel(Workers(rank, workers), torch.nn.Identity()).parts(batch, micro)
    ]
    assert torch.equal(torch.cat([part.ids for _, part in found]), batch.ids)
    assert [number for number, _ in found] == list(range(len(found)))


@given(count=st.integers(0, 20), workers=st.integers(1, 6))
def test_items_are_shared_out_once_and_every_worker_has_equally_many(count: int, workers: int) -> None:
    shares = [list(Workers(rank, workers).share(range(count))) for rank in range(workers)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(item for share in shares for item, counts in share if counts) == list(range(count))


def test_a_process_alone_says_nothing_and_waits_for_no_one() -> None:
    tensor = torch.ones(2)
    assert ALONE.add(tensor) is tensor
    assert ALONE.total([1.5, 2.0]) == [1.5, 2.0]
    assert ALONE.largest(3) == 3
    assert ALONE.told({"a": 1}) == {"a": 1}
    with ALONE.first_before_others():
        assert whole(tensor) is tensor
    assert share_like(tensor, torch.zeros(2)) is tensor


@pytest.mark.slow
def test_a_process_alone_imports_no_sharded_tensors() -> None:
    import subprocess
    import sys

    code = "import sys, specrun.training.session, specrun.steps.train.run; print('torch.distributed.tensor' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("said", [None, "{", "[]", '{"micro_batch_size": 4}'])
def test_a_file_of_lessons_that_says_nothing_is_none(tmp_path, said) -> None:
    if said is not None:
        (tmp_path / "start-again.json").write_text(said)
    assert lessons(tmp_path) == Lessons()


def test_lessons_add_up_and_another_apply_keeps_the_sizes_alone(tmp_path) -> None:
    folder, small = tmp_path / "checkpoints", ("out-of-memory", "4 do not fit")
    assert begin_anew(folder) == Lessons()
    assert not folder.exists()
    for _ in range(2):  # two workers, or one after the other
        remember(folder, StartAgain("no room", alert=small, micro_batch_size=2))
    assert lessons(folder) == Lessons(2, eager=False, alerts=(small,))
    slow = ("compile-failed", "a kernel")
    remember(folder, StartAgain("a kernel", alert=slow, eager=True))
    assert lessons(folder) == Lessons(2, eager=True, alerts=(small, slow))
    for divided in (4, 1):
        remember(folder, StartAgain("no room", alert=slow, divided=divided))
    assert lessons(folder) == Lessons(2, divided=4, eager=True, alerts=(small, slow))
    assert begin_anew(folder) == lessons(folder) == Lessons(2, divided=4)
    assert [path.name for path in folder.iterdir()] == ["start-again.json"]


def test_a_lesson_is_kept_beside_a_save_of_another_worker_and_is_on_the_disk_before_it_is_named(tmp_path, monkeypatch) -> None:
    """Each save first removes what a killed one left in the same folder."""
    renamed, synced, fsync = Path.replace, [], os.fsync

    def replace(path, to):
        checkpoint_files.remove_unfinished(tmp_path)
        assert synced
        return renamed(path, to)

    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(number), fsync(number)))
    monkeypatch.setattr(Path, "replace", replace)
    remember(tmp_path, StartAgain("no room", alert=("out-of-memory", "4 do not fit"), micro_batch_size=2))
    assert lessons(tmp_path).micro_batch_size == 2


@pytest.mark.parametrize(("together", "found"), [(1, 40), (2, 60), (4, 90)])
def test_the_peaks_of_processes_that_share_a_memory_are_summed_and_the_fullest_memory_is_told(
    together: int, found: int, monkeypatch
) -> None:
    said: list[list[float]] = []
    monkeypatch.setattr(Workers, "total", lambda _, numbers: said.append(numbers) or numbers)
    for rank, peak in enumerate((10, 20, 40, 20)):
        Workers(rank, 4).largest_sum(peak, together=together)
    sums = [sum(column) for column in zip(*said, strict=True)]
    monkeypatch.setattr(Workers, "total", lambda *_: sums)
    assert Workers(3, 4).largest_sum(20, together=together) == found
    monkeypatch.undo()
    assert ALONE.largest_sum(7, together=1) == 7


def test_what_a_worker_cannot_do_is_remembered_and_raised_and_nothing_else_is(tmp_path) -> None:
    with pytest.raises(StartAgain), remembering(tmp_path):
        raise StartAgain("no room", alert=("out-of-memory", "it does not fit"), divided=4)
    assert lessons(tmp_path) == Lessons(divided=4, alerts=(("out-of-memory", "it does not fit"),))
    with pytest.raises(ValueError, match="a fault"), remembering(tmp_path / "other"):
        raise ValueError("a fault")
    assert not (tmp_path / "other").exists()


def test_lessons_of_before_evaluations_were_divided_are_read(tmp_path) -> None:
    (tmp_path / "start-again.json").write_text('{"micro_batch_size": 4, "eager": false, "alerts": []}')
    assert lessons(tmp_path) == Lessons(4)


@pytest.mark.slow
def test_weights_are_shared_where_they_lie_whatever_else_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a pass that an error leaves has them shared again."""
    import torch.distributed as dist
    from torch.distributed.fsdp._fully_shard import _fully_shard
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from specrun.training.spreading import spread

    def whose_is_it(*_: object, **__: object) -> None:
        raise AssertionError("torch would take the machine's accelerator")

    def fail(model: torch.nn.Module) -> None:
        raise LookupError(str(model))

    monkeypatch.setattr(_fully_shard, "_init_default_mesh", whose_is_it)
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        model = torch.nn.Linear(4, 4)
        device = Device("cpu", torch.device("cpu"), torch.float32)
        parallel = spread(model, Workers(0, 2), strategy="fsdp", device=device)
        names = [type(parameter).__name__ for parameter in model.parameters()]
        assert names == ["DTensor", "DTensor"]
        assert model.weight.device_mesh.device_type == "cpu"  # type: ignore[attr-defined]
        with pytest.raises(LookupError):
            parallel.judge(model, fail)
        assert [type(parameter).__name__ for parameter in model.parameters()] == names
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_a_device_never_holds_more_than_its_share_of_gradients_between_micro_batches() -> None:
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from specrun.training.spreading import spread

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        model = torch.nn.Sequential(torch.nn.Linear(4, 4))
        parallel = spread(model, Workers(0, 2), strategy="fsdp", device=Device("cpu", torch.device("cpu"), torch.float32))
        held: list[list[str]] = []
        for _, part, summing in parallel.parts(TokenBatch(torch.ones(6, 4)), 1):
            with summing:
                parallel.loss_sum(model, lambda network, x=part.ids: network(x).sum()).backward()
            held.append([type(parameter.grad).__name__ for parameter in model.parameters()])
        assert held == [["DTensor", "DTensor"]] * 3
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_a_device_is_given_its_shares_of_a_model_and_never_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that shards a part of it, and moves that part, finds all the rest on the host."""
    from specrun.training import spreading

    found: list[tuple[Any, set[str]]] = []
    model = torch.nn.Sequential()
    model.blocks = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))

    def shard(module: torch.nn.Module, *, mesh: object) -> Any:
        found.append((mesh, {parameter.device.type for parameter in model.parameters()}))
        return mock.Mock()

    monkeypatch.setattr(spreading, "init_device_mesh", lambda kind, shape: (kind, shape))
    monkeypatch.setattr(spreading, "fully_shard", shard)
    there = Device("cuda", torch.device("meta"), torch.float32)
    spreading.spread(model, Workers(0, 2), strategy="fsdp", device=there)
    assert found == [(("cuda", (2,)), {"cpu"})] * 3
