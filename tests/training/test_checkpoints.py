"""Training state to files and back: every bit, in a format that safetensors reads, without pickle."""

from __future__ import annotations

import copy
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from specrun.errors import SpecrunError
from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.training.checkpoint_files import CheckpointInfo
from specrun.training.checkpoints import load_step, load_weights, optimizer_tensors, safetensors_head
from specrun.training.loop import TrainState
from specrun.training.optimizers.adamw.build import build as build_adamw
from specrun.training.optimizers.adamw.options import Options as AdamW
from specrun.training.saving import Saver

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
MAPS = Path("/proc/self/maps")


def state(width: int = 16) -> TrainState:
    torch.manual_seed(1)
    model: GPT = build(Gpt(kind="gpt", num_layers=1, width=width, num_heads=2), vocab_size=9, sequence_length=6)
    optimizer = build_adamw(AdamW(kind="adamw"), model=model)
    task: Any = None
    return TrainState(model, optimizer, task, DEVICE, lambda _: 1e-3, None, 4, 0)


def trained() -> TrainState:
    it = state()
    for _ in range(3):
        it.model(torch.randint(9, (2, 6))).square().mean().backward()
        it.optimizer.step()
        it.optimizer.zero_grad()
        it.step += 1
    return it


def save_step(folder: Path, it: TrainState, facts: dict[str, Any] | None = None) -> CheckpointInfo:
    """What is durable once the saver is left."""
    with Saver(folder, key="k", device=DEVICE, keep_last=2, keep_best=1) as saver:
        saver.save_step(it, facts or {}, metrics={}, best_step=None)
    return saver.collect()[0].info


def save_best(folder: Path, it: TrainState) -> CheckpointInfo:
    with Saver(folder, key="k", device=DEVICE, keep_last=2, keep_best=1) as saver:
        saver.save_best(it, metrics={"validation/loss": 1.0}, score=1.0)
    return saver.collect()[0].info


def test_weights_and_moments_come_back_bit_for_bit(tmp_path: Path) -> None:
    before, after = trained(), state()
    before.position, before.rate_factor, before.tokens = 4, 0.5, 96
    info = save_step(tmp_path, before, {"note": [1, 2.5, None]})
    facts = load_step(info, after)
    assert facts == {"note": [1, 2.5, None], "step": 3, "position": 4, "rate_factor": 0.5, "tokens": 96}
    assert (after.step, after.position, after.rate_factor, after.tokens) == (3, 4, 0.5, 96)
    for one, other in ((before.model.state_dict(), after.model.state_dict()),
                       (optimizer_tensors(before.model, before.optimizer), optimizer_tensors(after.model, after.optimizer))):  # fmt: skip
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


class OnTheDevice(TorchDispatchMode):
    """Bytes of the tensors that are made on the meta device, which stands in for one of its own memory, while they live."""

    now = peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        known = {it.untyped_storage()._cdata for it in args if isinstance(it, torch.Tensor)}
        if isinstance(out, torch.Tensor) and out.is_meta and (storage := out.untyped_storage())._cdata not in known:
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.freed, storage.nbytes())
        return out

    def freed(self, size: int) -> None:
        self.now -= size


@pytest.mark.filterwarnings("ignore:.*meta parameter:UserWarning")
def test_loading_never_holds_more_on_the_device_than_training_does(tmp_path: Path) -> None:
    """Neither a file as a whole nor old moments beside new ones: what is shared over devices would not fit on one."""
    info, again = save_step(tmp_path, trained()), trained()
    place = torch.device("meta")
    again.model.to(place)
    again.device = Device("cuda", place, torch.float32)
    with OnTheDevice() as device:
        for kept in again.optimizer.state.values():
            kept.update({name: tensor.to(place) for name, tensor in kept.items()})
        held = device.peak
        del kept
        load_step(info, again)
    assert held == sum(tensor.nbytes for kept in again.optimizer.state.values() for tensor in kept.values())
    assert device.peak == held
    assert {tensor.device for tensor in optimizer_tensors(again.model, again.optimizer).values()} == {place}


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells which files a process has in its memory")
def test_what_is_loaded_holds_no_file_of_the_checkpoint(tmp_path: Path) -> None:
    """It would keep the room of one that is rotated away, and a file that a server loses would end the process in the midst of a step."""
    info, again = save_step(tmp_path, trained()), state()
    with safe_open(info.path / "optimizer.safetensors", framework="pt") as file:
        held = file.get_tensor(next(iter(file.keys())))
        assert str(info.path) in MAPS.read_text(), "a guard that sees such a file"
    del held, file
    load_step(info, again)
    assert str(info.path) not in MAPS.read_text()


def test_the_next_step_after_loading_is_the_step_that_would_have_been(tmp_path: Path) -> None:
    before, after = trained(), state()
    load_step(save_step(tmp_path, before), after)
    ids = torch.randint(9, (2, 6))
    for it in (before, after):
        it.model(ids).square().mean().backward()
        it.optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before.model.parameters(), after.model.parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_the_safetensors_library_reads_every_type_and_shape(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "matrix": torch.randn(3, 5).mul(10).to(dtype),
        "scalar": torch.ones((), dtype=dtype),
        "a/b.c": torch.zeros(7, dtype=dtype),
        "transposed": torch.randn(4, 2).to(dtype).t(),
    }
    buffers = {name: DEVICE.host_buffer(tensor) for name, tensor in tensors.items()}
    DEVICE.copy_to_host(list(tensors.values()), list(buffers.values()))()
    content = b"".join(buffers[name].numpy().tobytes() for name in sorted(buffers))
    (tmp_path / "x.safetensors").write_bytes(safetensors_head(tensors) + content)
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_a_best_checkpoint_holds_the_weights_alone(tmp_path: Path) -> None:
    it = trained()
    info = save_best(tmp_path, it)
    assert sorted(path.name for path in info.path.iterdir()) == ["manifest.json", "model.safetensors", "state.json"]
    other = copy.deepcopy(state().model)
    load_weights(info.path / "model.safetensors", other)
    assert all(torch.equal(a, b) for a, b in zip(it.model.parameters(), other.parameters(), strict=True))


def test_weights_of_another_model_are_a_clear_error(tmp_path: Path) -> None:
    info = save_best(tmp_path, trained())
    with pytest.raises(SpecrunError, match="checkpoint-does-not-fit") as caught:
        load_weights(info.path / "model.safetensors", state(width=20).model)
    assert "spec that the checkpoint was trained with" in str(caught.value.hint)


@pytest.mark.parametrize("content", [None, b"", b"garbage that is no safetensors file"])
def test_weights_that_cannot_be_read_are_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecrunError, match="unreadable-weights"):
        load_weights(path, state().model)


def test_no_file_of_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    info = save_step(tmp_path, trained())
    for path in info.path.iterdir():
        assert path.suffix in (".safetensors", ".json")
        assert not path.read_bytes().startswith((b"\x80", b"PK"))
