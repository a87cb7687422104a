"""How a training begins with the state of another run: everything as it was saved, or its weights alone.

Owns what is read of that run and what is left behind there: nothing is changed. Which run, and whether, is `engine.continuing`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from specrun.errors import SpecrunError, StorageFailure, StoreError
from specrun.events import Status
from specrun.plan.start import NOT_POSSIBLE, Start
from specrun.spec.sections.parameters import Lora
from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo, Chunk
from specrun.training.checkpoints import load_optimizer, load_tensors, put_weights
from specrun.training.loading import OUTDATED
from specrun.training.loop import TrainState
from specrun.training.lora import LoraLinear, merged, scale
from specrun.training.session import Session

_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Forked:
    """Another run's weights as a model takes them, by name. checkpoint: the folder that they are of; merged: whether that run's adapters
    were added to the weights that they belong to."""

    tensors: Mapping[str, Tensor]
    checkpoint: Path
    merged: bool


def adopt(start: Start, source: Path, folder: Path, *, key: str, unusable: Callable[[CheckpointInfo], str | None]) -> None:
    """Make another run's checkpoint, and the best weights that it knows of, this run's own. source, folder: `checkpoints` of both;
    unusable: why a whole one cannot be taken up all the same.

    Raises: StoreError where a byte is not as it was planned with, or where it cannot be taken up.
    """
    info = whole_checkpoint(start, source)
    if (reason := unusable(info)) is not None:
        what = f"the checkpoint of step {start.step} of {start.run_id} cannot be gone on from: {reason}"
        hint = f"begin a run of its own with its weights: --resume {start.run_id} --fork"
        raise StoreError(what, code=OUTDATED, hint=hint)
    best = next((it for it in checkpoint_files.checkpoints(source, key=info.key, role="best") if it.step == info.best_step), None)
    if info.best_step is not None and (best is None or checkpoint_files.damage(best.path) is not None):
        raise StoreError(f"the best weights of {start.run_id}, those of its step {info.best_step}, are gone", code="lost-best-checkpoint",
                         hint=f"apply the spec of {start.run_id} again, which makes them again; then this one")  # fmt: skip
    for it in (best, info):
        if it is not None:
            files = {path.name: _pieces(path) for path in sorted(it.path.iterdir()) if path.name != "manifest.json"}
            checkpoint_files.save(folder, step=it.step, key=key, files=files, role=it.role, metrics=it.metrics, score=it.score,
                                  best_step=it.best_step)  # fmt: skip


def begin(session: Session, start: Start | None, *, runs: Path, draw: Callable[[], nn.Module], optimizer: str) -> None:
    """Go on from the run's own checkpoints; without any, from another run, or with drawn weights. runs: the folder of all runs; draw:
    makes the model as it is before step 0; optimizer: the kind of this training's.

    Raises: StoreError where the other run's checkpoint is not as it was planned with and the outcome depends on it, SpecrunError for
    weights of another model.
    """
    state = session.state
    source = runs / start.run_id / "checkpoints" if start is not None else runs
    if start is None or start.how == "extend":
        session.loader.put_start = lambda: put_weights(state.model, draw().state_dict())
        session.loader.adopt = partial(_extend, session, start, source) if start is not None else None
        session.resume()
        return
    session.loader.put_start = partial(put_forked, start, source, state, draw=draw, kind=optimizer)
    session.resume()
    if session.last is None:
        why = session.loader.begin()
        session.emit(Status("running", f"begins with the weights of {start.run_id} at its step {start.step}"))
        if why is not None:
            session.warn("optimizer-begins-anew", f"the optimizer keeps nothing of {start.run_id}: {why}")


def _extend(session: Session, start: Start, source: Path) -> None:
    """Make the other run's checkpoint this run's own. Where training from the start gives the same, that is done instead of an error."""
    try:
        adopt(start, source, session.folder, key=session.key, unusable=session.loader.unusable)
    except StorageFailure:
        raise
    except StoreError as error:
        if not start.exact:
            raise
        session.loader.adopt = None  # what begins at step 0 goes back there
        session.emit(Status("running", "trains from the start", resumed_from=0))
        session.warn(NOT_POSSIBLE, f"{error.message}; training begins at step 0 instead, which gives the same")


def put_forked(start: Start, source: Path, state: TrainState, *, draw: Callable[[], nn.Module], kind: str) -> str | None:
    """Put another run's weights and what fits of its optimizer into the state. Returns: why the optimizer begins anew, where it does.

    source, draw, kind: as `begin` has them. Raises: as `begin`.
    """
    forked = forked_weights(start, source, draw())
    put_weights(state.model, forked.tensors)
    return _begin_with_optimizer(start, forked, state, kind=kind)


def forked_weights(start: Start, source: Path, model: nn.Module) -> Forked:
    """The weights that a model begins with: another run's, adapters merged where the model has none, or other ones.

    source: the other run's `checkpoints`. Raises: as `begin`.
    """
    checkpoint = whole_checkpoint(start, source).path
    tensors, own = load_tensors(checkpoint / "model.safetensors"), dict(model.state_dict())
    adapted = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    is_merged = False
    if start.lora is not None:
        trained_with = scale(Lora(rank=start.lora["rank"], alpha=start.lora["alpha"]))
        is_merged = _strange(tensors, own) is not None or any(layer.scale != trained_with for layer in adapted.values())
        tensors = merged(tensors, scale=trained_with) if is_merged else tensors
    if _strange(tensors, own) is None:
        return Forked(tensors, checkpoint, is_merged)
    adapters = {f"{name}.{part}" for name in adapted for part in ("lora_A", "lora_B")}
    strange = _strange(tensors, {name: tensor for name, tensor in own.items() if name not in adapters})
    if strange is None:
        return Forked(own | tensors, checkpoint, is_merged)
    raise SpecrunError(f"the weights of {start.run_id} do not fit this model: {strange}", code="checkpoint-does-not-fit",
                       hint=f"use the model, data.tokenizer and data.sequence_length of {start.run_id}, or train anew without --resume"
                       )  # fmt: skip


def whole_checkpoint(start: Start, source: Path) -> CheckpointInfo:
    """The checkpoint that was planned with. Raises: StoreError where it is gone, replaced or damaged."""
    path = source / f"step-{start.step:08d}"
    info = checkpoint_files.read_manifest(path)
    if info is not None and hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest() == start.digest:
        if (reason := checkpoint_files.damage(path)) is None:
            return info
        what = f"is damaged: {reason}"
    else:
        what = "is gone, or is another than was planned with"
    raise StoreError(f"the checkpoint of step {start.step} of {start.run_id} {what}", code="damaged-checkpoint",
                     hint=f"specrun runs remove {start.run_id}, then apply its spec, which trains it again, then this one")  # fmt: skip


def _begin_with_optimizer(start: Start, forked: Forked, state: TrainState, *, kind: str) -> str | None:
    """Give the optimizer what the other run's kept, if all of it fits. Returns: why it begins anew, where it does."""
    if kind != start.optimizer:
        return f"that was {start.optimizer}, this is {kind}"
    if forked.merged:
        return "its adapters were merged into the weights that they belong to"
    trained = {id(parameter) for group in state.optimizer.param_groups for parameter in group["params"]}
    parameters = {name: parameter for name, parameter in state.model.named_parameters() if id(parameter) in trained}
    kept = load_tensors(forked.checkpoint / "optimizer.safetensors")
    if not kept:
        return "it kept no moments"
    if {key.rpartition("/")[0] for key in kept} != parameters.keys():
        return "that trained other parameters"
    load_optimizer(kept, state)
    return None


def _strange(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    """The first weight that a model does not share with saved ones, in words; None where they fit."""
    for name, tensor in own.items():
        if name not in tensors:
            return f"there is no {name} there"
        if tensors[name].shape != tensor.shape:
            here, there = (" x ".join(map(str, it.shape)) for it in (tensor, tensors[name]))
            return f"{name} is {here} here and {there} there"
    return next((f"this model has no {name}" for name in tensors if name not in own), None)


def _pieces(path: Path) -> Iterator[Chunk]:
    """A file of another run. Raises: StoreError where it cannot be read, which is not the fault of the folder that it is copied to."""
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", code="unreadable-weights",
                         hint="see to the disk that it is on, then apply again") from error  # fmt: skip
