"""The `evaluate` step: the best checkpoint on whole splits, what it writes, and the baseline that any model has to beat."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from specrun.errors import StoreError
from specrun.events import Alert, Example, Metrics, Progress, Span
from specrun.runtime.device import Device, open_device
from specrun.runtime.distributed import ALONE
from specrun.runtime.protocols import Task
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.evaluate.load import DamagedCheckpoint, load_model
from specrun.tasks.opening import open_task
from specrun.training.checkpoint_files import set_aside
from specrun.training.parallel import ON_ITS_OWN, Parallel
from specrun.training.recovery import evaluate_what_fits, examples_that_fit
from specrun.training.starting_again import lessons, remembering
from specrun.training.token_file import open_tokens, splits

_COUNT_TOKENS = 2**24
"""Tokens counted at once."""


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Evaluate on the validation split and, where there is one, on the test split; then let the model write its samples."""
    workers = context.workers or ALONE
    device = open_device(context.hardware, number=workers.local_rank)
    train, tokens = inputs["train"], inputs["tokens"]
    vocab_size = int(tokens.values["vocab_size"])
    checkpoint = str(train.values["best_checkpoint"])
    folders = {kind: parent.folder for kind, parent in inputs.items()}
    task = open_task(spec, folders=folders, seed=context.seed, device=device)
    with workers.first_before_others():
        model = load_trained(spec, train.folder / checkpoint, vocab_size=vocab_size, device=device)
    parallel = place_to_judge(context, model, device)
    names = [name for name in splits(tokens.folder) if name != "train"]
    metrics: dict[str, float] = {}
    sums: dict[str, Mapping[str, float]] = {}
    learned = context.folder / "checkpoints"
    divided = int(workers.told(lessons(learned).divided))
    for done, split in enumerate(names):
        context.emit(Progress(context.step.id, done, len(names), "split"))
        started = time.perf_counter()
        with remembering(learned):
            sums[split], divided = evaluate_what_fits(
                partial(_evaluate, task, model, split, parallel), device=device, divided=divided, workers=workers,
                warn=lambda code, message: context.emit(Alert("warning", code, message)),
            )  # fmt: skip
        found = {f"{split}/{name}": value for name, value in sorted(task.metrics(sums[split]).items())}
        if split != "validation" and found:
            context.emit(Metrics(int(train.values["best_step"]), found))
        context.emit(Span("evaluation", context.step.id, time.perf_counter() - started))
        metrics |= found
    context.emit(Progress(context.step.id, len(names), len(names), "split"))
    write = partial(task.examples, count=spec.schedule.evaluate.samples)
    examples = _examples(write, model, parallel, warn=lambda code, message: context.emit(Alert("warning", code, message)))
    for number, data in enumerate(examples, start=1):
        context.emit(Example(int(train.values["best_step"]), "final" if number == 1 else f"final-{number}", data))
    values = {
        "metrics": metrics,
        "sums": sums,
        "checkpoint": checkpoint,
        "unigram_entropy": unigram_entropies(tokens.folder, names, vocab_size=vocab_size, packing=spec.data.packing),
        "peak_memory_bytes": workers.largest_sum(device.peak_memory_bytes, together=context.sharing_memory),
    }
    return StepOutput(values)


def _evaluate(task: Task, model: nn.Module, split: str, parallel: Parallel, *, divided: int) -> Mapping[str, float]:
    return parallel.judge(model, partial(task.evaluate, split=split, divided=divided, workers=parallel.workers))


def _examples(
    write: Callable[[nn.Module], list[dict[str, Any]]], model: nn.Module, parallel: Parallel, *, warn: Callable[[str, str], None]
) -> list[dict[str, Any]]:
    """What there is to look at, made by the first worker; by all of them where each has a share of the weights."""
    together = parallel.fsdp is not None
    if not (together or parallel.first):
        return []
    return examples_that_fit(lambda: parallel.judge(model, write), together=together, warn=warn)


def place_to_judge(context: StepContext, model: nn.Module, device: Device) -> Parallel:
    """Put a model where it is judged, in place: each of several processes holds it all, or what it held in training."""
    strategy = context.hardware.strategy
    if context.workers is None or strategy is None or strategy.value != "fsdp":
        model.to(device.place)
        return ON_ITS_OWN if context.workers is None else Parallel(context.workers)
    from specrun.training.spreading import spread

    return spread(model, context.workers, strategy="fsdp", device=device)


def load_trained(spec: Spec, checkpoint: Path, *, vocab_size: int, device: Device) -> nn.Module:
    """The model to judge. Raises: StoreError for a damaged checkpoint, which is set aside: training no longer counts as finished
    then, and the next apply goes on from before the damage."""
    try:
        return load_model(spec, checkpoint, vocab_size=vocab_size, device=device)
    except DamagedCheckpoint as error:
        kept = f", the damaged ones are in {set_aside(checkpoint)}" if checkpoint.exists() else ""
        raise StoreError(error.message, code=error.code, hint=f"apply again, which makes these weights again{kept}") from error


def unigram_entropies(folder: Path, names: list[str], *, vocab_size: int, packing: str = "stream") -> dict[str, float]:
    """Nats a token that a model without context reaches: token frequencies of the train split, add-one smoothed.

    packing: as in the spec: the tokens that are predicted, and no others, are what is judged by it.
    """
    counts = _count_tokens(folder, "train", vocab_size) + 1
    log_probabilities = np.log(counts) - math.log(counts.sum())
    found = {}
    for name in names:
        predicted = _count_tokens(folder, name, vocab_size) - _count_given(folder, name, vocab_size, packing)
        if total := predicted.sum():
            found[name] = float(-(predicted * log_probabilities).sum() / total)
    return found


def _count_given(folder: Path, split: str, vocab_size: int, packing: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often each id stands where nothing predicts it: first in the stream, or in a document that no end-of-text is before."""
    file = open_tokens(folder, split)
    if packing == "stream" or file.info.leading_end_of_text:
        given = np.asarray(file.ids[:1])
    else:
        begins = np.asarray(file.offsets)
        given = np.asarray(file.ids[begins[:-1][np.diff(begins) > 0]])
    return np.bincount(given, minlength=vocab_size)


def _count_tokens(folder: Path, split: str, vocab_size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often each id occurs. Shape: (vocab_size,)."""
    ids = np.asarray(open_tokens(folder, split).ids)
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(ids), _COUNT_TOKENS):
        counts += np.bincount(ids[start : start + _COUNT_TOKENS], minlength=vocab_size)
    return counts
