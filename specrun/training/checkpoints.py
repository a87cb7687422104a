"""Training state as tensors in safetensors and facts in JSON, and back. No pickle; files and folders are `checkpoint_files`'."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from specrun.errors import SpecrunError
from specrun.runtime.device import Device
from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo, Chunk
from specrun.training.loop import TrainState

_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.bool: "BOOL"}


def save_step(
    folder: Path, state: TrainState, facts: Mapping[str, Any], *, key: str, metrics: Mapping[str, float], best_step: int | None
) -> CheckpointInfo:
    """Save everything that training goes on from. facts: plain JSON of whoever drives the loop; best_step: of the best weights so far."""
    files = {
        "model.safetensors": safetensors_chunks(state.model.state_dict(), state.device),
        "optimizer.safetensors": safetensors_chunks(optimizer_tensors(state.model, state.optimizer), state.device),
        "state.json": _json_chunks({"step": state.step, "position": state.position, "rate_factor": state.rate_factor, **facts}),
    }
    return checkpoint_files.save(folder, step=state.step, key=key, files=files, metrics=metrics, best_step=best_step)


def save_best(folder: Path, state: TrainState, *, key: str, metrics: Mapping[str, float], score: float) -> CheckpointInfo:
    """Save the weights alone, apart from the newest checkpoints. score: lower is better."""
    files = {
        "model.safetensors": safetensors_chunks(state.model.state_dict(), state.device),
        "state.json": _json_chunks({"step": state.step}),
    }
    return checkpoint_files.save(folder, step=state.step, key=key, files=files, role="best", metrics=metrics, score=score)


def load_step(info: CheckpointInfo, state: TrainState) -> dict[str, Any]:
    """Put a checkpoint's weights and optimizer into `state`; returns the facts saved with it."""
    load_weights(info.path / "model.safetensors", state.model, state.device)
    tensors = _load(info.path / "optimizer.safetensors", state.device)
    for name, parameter in state.model.named_parameters():
        kept = {key.rpartition("/")[2]: tensor for key, tensor in tensors.items() if key.rpartition("/")[0] == name}
        if kept:
            state.optimizer.state[parameter] = kept
    facts: dict[str, Any] = json.loads((info.path / "state.json").read_bytes())
    state.step, state.position, state.rate_factor = facts["step"], facts["position"], facts["rate_factor"]
    return facts


def load_weights(path: Path, model: nn.Module, device: Device) -> None:
    """Put saved weights into a model. Raises: SpecrunError where they are of another model."""
    try:
        model.load_state_dict(_load(path, device))
    except RuntimeError as error:
        raise SpecrunError(
            f"{path} holds the weights of another model: {str(error).splitlines()[-1].strip()}",
            code="checkpoint-does-not-fit",
            hint="use the spec that the checkpoint was trained with",
        ) from error


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by `<parameter>/<quantity>`."""
    return {
        f"{name}/{quantity}": tensor
        for name, parameter in model.named_parameters()
        for quantity, tensor in sorted(optimizer.state.get(parameter, {}).items())
    }


def safetensors_chunks(tensors: Mapping[str, Tensor], device: Device) -> Iterator[Chunk]:
    """The bytes of a safetensors file, tensor by tensor, so that no second copy of all of them is held.

    Layout: 8 bytes length of the header, the header as JSON, the tensors (https://github.com/huggingface/safetensors#format).
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in sorted(tensors.items()):
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for _, tensor in sorted(tensors.items()):
        yield device.to_host(tensor).data


def _json_chunks(document: Mapping[str, Any]) -> list[Chunk]:
    return [json.dumps(document, sort_keys=True, indent=1).encode()]


def _load(path: Path, device: Device) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path, device=str(device.place))
    except (OSError, SafetensorError) as error:
        raise SpecrunError(f"{path} cannot be read: {error}", code="unreadable-weights", hint="apply again to train anew") from error
    return tensors
