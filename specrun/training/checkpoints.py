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
from specrun.runtime.distributed import share_like, whole
from specrun.spec.sections.parameters import Lora
from specrun.training.checkpoint_files import CheckpointInfo, Chunk
from specrun.training.loop import TrainState
from specrun.training.lora import merged, scale

_DTYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.int64: "I64",
    torch.bool: "BOOL",
}  # fmt: skip


def step_tensors(state: TrainState) -> dict[str, Mapping[str, Tensor]]:
    """All tensors that training goes on from, by file."""
    scale = {} if state.loss_scale is None else {"loss_scale.safetensors": state.loss_scale.tensors()}
    optimizer = {"optimizer.safetensors": optimizer_tensors(state.model, state.optimizer)}
    average = {} if state.average is None else best_tensors(state)
    return {"model.safetensors": state.model.state_dict(), **optimizer, **scale, **average}


def best_tensors(state: TrainState) -> dict[str, Mapping[str, Tensor]]:
    """The tensors of weights that are kept as best, by the one file of a step's checkpoint that has them: their average's, where there
    is one."""
    if state.average is not None:
        return {"average.safetensors": state.average.tensors(state.model)}
    return {"model.safetensors": state.model.state_dict()}


def place_of(state: TrainState) -> dict[str, Any]:
    """Where training stands, as a checkpoint's facts have it."""
    return {"step": state.step, "position": state.position, "tokens": state.tokens, "rate_factor": state.rate_factor}


def load_step(info: CheckpointInfo, state: TrainState) -> dict[str, Any]:
    """Put a checkpoint's weights and optimizer into `state`; returns the facts saved with it.

    What the optimizer kept is let go of first, so that the device never holds more than it does in training.
    """
    state.optimizer.state.clear()
    load_weights(info.path / "model.safetensors", state.model)
    load_optimizer(load_tensors(info.path / "optimizer.safetensors"), state)
    if state.loss_scale is not None:
        state.loss_scale.load(load_tensors(info.path / "loss_scale.safetensors"))
    if state.average is not None:
        state.average.load(load_tensors(info.path / "average.safetensors"))
    facts: dict[str, Any] = json.loads((info.path / "state.json").read_bytes())
    state.step, state.position, state.rate_factor = facts["step"], facts["position"], facts["rate_factor"]
    state.tokens = facts["tokens"]
    return facts


def unusable_facts(info: CheckpointInfo, *, like: Mapping[str, Any]) -> str | None:
    """Why the facts of a checkpoint cannot be taken up, or None. like: facts as this version writes them: of these none may be lacking."""
    try:
        facts = json.loads((info.path / "state.json").read_bytes())
    except (OSError, ValueError) as error:
        return f"state.json cannot be read: {error}"
    if not isinstance(facts, dict):
        return "state.json holds no facts"
    lacking = sorted(_lacking(facts, like))
    return f"state.json has no {', '.join(lacking)}; another version of specrun wrote it" if lacking else None


def is_finite(state: TrainState) -> bool:
    """Whether no number of the weights and of the optimizer is NaN or infinite."""
    tensors = [tensor for file in step_tensors(state).values() for tensor in file.values() if tensor.is_floating_point()]
    return all(state.device.read([whole(tensor.isfinite().all()) for tensor in tensors]))


def _lacking(facts: Mapping[str, Any], like: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The dotted names of what `like` has and `facts` have not."""
    for name, value in like.items():
        if name not in facts:
            yield within + name
        elif isinstance(value, Mapping) and isinstance(facts[name], Mapping):
            yield from _lacking(facts[name], value, f"{within}{name}.")


def load_weights(path: Path, model: nn.Module, *, lora: Lora | None = None) -> None:
    """Put saved weights into a model, adapters merged where it was trained with them. Raises: SpecrunError where they are of another."""
    tensors = load_tensors(path)
    try:
        put_weights(model, tensors if lora is None else merged(tensors, scale=scale(lora)))
    except RuntimeError as error:
        raise SpecrunError(
            f"{path} holds the weights of another model: {str(error).splitlines()[-1].strip()}",
            code="checkpoint-does-not-fit",
            hint="use the spec that the checkpoint was trained with",
        ) from error


def put_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put whole tensors into a model by their names. Raises: RuntimeError where they are of another model."""
    own = model.state_dict()
    model.load_state_dict({name: share_like(tensor, own[name]) if name in own else tensor for name, tensor in tensors.items()})


def load_optimizer(tensors: Mapping[str, Tensor], state: TrainState) -> None:
    """Have an optimizer that keeps nothing keep what `optimizer_tensors` gave, one tensor after the other: copies, for on a processor
    those of a file would be that file."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, quantity = key.rpartition("/")
        found.setdefault(name, {})[quantity] = tensor
    for name, parameter in state.model.named_parameters():
        if name in found:
            place = state.device.place
            state.optimizer.state[parameter] = {kind: share_like(it.to(place, copy=True), parameter) for kind, it in found[name].items()}


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by `<parameter>/<quantity>`."""
    return {
        f"{name}/{quantity}": tensor
        for name, parameter in model.named_parameters()
        for quantity, tensor in sorted(optimizer.state.get(parameter, {}).items())
    }


def safetensors_head(tensors: Mapping[str, Tensor]) -> bytes:
    """What a safetensors file begins with; the bytes of the tensors follow, sorted by name.

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
    return len(text).to_bytes(8, "little") + text


def json_chunks(document: Mapping[str, Any]) -> list[Chunk]:
    """The bytes of a JSON file."""
    return [json.dumps(document, sort_keys=True, indent=1).encode()]


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the host, their bytes read from it as they are used: what several devices share need not fit on one.

    Raises: SpecrunError where it cannot be read.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SpecrunError(f"{path} cannot be read: {error}", code="unreadable-weights", hint="apply again to train anew") from error
    return tensors
