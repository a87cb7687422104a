"""The `evaluate` step: the best checkpoint on whole splits, what it writes, and the baselines that any model has to beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from specrun.errors import StoreError
from specrun.events import Alert, Example, Metrics, Progress, Span
from specrun.runtime.device import Device, open_device
from specrun.runtime.distributed import ALONE
from specrun.runtime.protocols import Compared, Illustrated, Signed, Task
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput, facts_of, folders_of
from specrun.steps.evaluate.load import DamagedCheckpoint, load_model
from specrun.tasks.opening import model_sizes, open_task
from specrun.training.checkpoint_files import set_aside
from specrun.training.parallel import ON_ITS_OWN, Parallel
from specrun.training.recovery import evaluate_what_fits, examples_that_fit
from specrun.training.starting_again import lessons, remembering

_SPLITS = ("validation", "test")


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Evaluate on the validation split and, where there is one, on the test split; then let the model write its samples."""
    workers = context.workers or ALONE
    device = open_device(context.hardware, number=workers.local_rank)
    train, facts = inputs["train"], facts_of(inputs)
    checkpoint = str(train.values["best_checkpoint"])
    task = open_task(spec, folders=folders_of(inputs), facts=facts, seed=context.seed, device=device, final=True)
    with workers.first_before_others():
        model = load_trained(spec, train.folder / checkpoint, sizes=model_sizes(spec, facts), device=device)
    parallel = place_to_judge(context, model, device)
    names = judged_splits(facts[spec.task.prepared_by[-1]])
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
        "baselines": baselines_of(task, names) if parallel.first else {},
        "signatures": task.signatures() if isinstance(task, Signed) else {},
        "figures": _figures(task, model, parallel, names, sums),
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


def load_trained(spec: Spec, checkpoint: Path, *, sizes: Mapping[str, Any], device: Device) -> nn.Module:
    """The model to judge. Raises: StoreError for a damaged checkpoint, which is set aside: training no longer counts as finished
    then, and the next apply goes on from before the damage."""
    try:
        return load_model(spec, checkpoint, sizes=sizes, device=device)
    except DamagedCheckpoint as error:
        kept = f", the damaged ones are in {set_aside(checkpoint)}" if checkpoint.exists() else ""
        raise StoreError(error.message, code=error.code, hint=f"apply again, which makes these weights again{kept}") from error


def judged_splits(prepared: Mapping[str, Any]) -> list[str]:
    """The splits that a model is judged on, of those that were prepared."""
    return [name for name in _SPLITS if name in prepared["splits"]]


def baselines_of(task: Task, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What any model has to beat, by split, where the task knows of something."""
    if not isinstance(task, Compared):
        return {}
    return {split: [asdict(baseline) for baseline in task.baselines(split)] for split in names}


def _figures(
    task: Task, model: nn.Module, parallel: Parallel, names: list[str], sums: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """What there is to show of the model, of the last split that it was judged on, where the task draws something."""
    if not isinstance(task, Illustrated) or not names or not (parallel.first or parallel.fsdp is not None):
        return {}
    draw = partial(task.figures, split=names[-1], sums=sums[names[-1]])
    return {names[-1]: parallel.judge(model, draw)}
