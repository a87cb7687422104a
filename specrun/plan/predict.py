"""What the steps of a plan will cost, from earlier runs where there are any, else from stated rules.

Pure: everything known about data and history comes in as values. Figures carry their basis, and are never more exact than it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from specrun.plan.cost import ModelCost
from specrun.plan.memory import NUMBER_BYTES, Memory, predict_memory
from specrun.plan.past import Past
from specrun.plan.resolve import EXPECTED_STEPS, ResolvedSchedule, resolve_schedule, samples_per_epoch
from specrun.plan.speed import Load, Speed, expected_speed, runs
from specrun.plan.spread import ON_ONE, Spread
from specrun.plan.step import Predicted
from specrun.plan.trainable import as_trained
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.sections.parameters import Parameters

BYTES_PER_TOKEN = {"char": 1.0, "byte": 1.0, "bpe": 3.5}
"""Rule for English text that has not been tokenised yet."""
START_SECONDS = 3.0
"""Rule for what a training takes before its first step: importing torch, building the model."""
_ALIKE = 2.0
"""Steps on at most so many times as much text, or as little, are taken to last as long."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the data before training. train_tokens is None where nothing is known at all: of a task on a stream of tokens how
    many there are, of any other its predictions in a pass; vocab_size: of the tokenizer, None where there is none or nothing is known;
    sizes: what the model is built with, None where the vocabulary alone tells, or nothing is known.

    exact: counted, not estimated. basis: where the figures come from. text_bytes: of all splits, None where unknown.
    train_samples, predicted_tokens: samples in a pass and what these predict, where samples are what they are in the data;
    None where they are windows of a stream, or where nothing is known. evaluation_tokens, train_positions: positions that an evaluation,
    and a pass over the train split, compute; train_positions None: of each sample as many as it predicts.
    """

    train_tokens: int | None
    vocab_size: int | None
    exact: bool
    basis: str
    evaluation_tokens: int = 0
    text_bytes: int | None = None
    train_samples: int | None = None
    predicted_tokens: int | None = None
    train_positions: int | None = None
    sizes: Mapping[str, Any] | None = None

    def samples(self, sequence_length: int) -> int:
        """Training samples in one pass; 0 where the split is shorter than one sequence. To be asked where the tokens are known."""
        assert self.train_tokens is not None
        return samples_per_epoch(self.train_tokens, sequence_length) if self.train_samples is None else self.train_samples


@dataclass(frozen=True, slots=True)
class Forecast:
    """The training as planned. schedule, cost and memory are None where the data is not known yet. counts: what predictions are called."""

    facts: Facts
    schedule: ResolvedSchedule | None
    cost: ModelCost | None
    steps: Mapping[str, Predicted]
    memory: Memory | None
    counts: str = "tokens"

    @property
    def flops(self) -> float | None:
        """Floating-point operations of the whole training, forward and backward."""
        if self.schedule is None or self.cost is None:
            return None
        return float(self.cost.flops_per_token) * self.schedule.total_steps * self.schedule.positions_per_step


def forecast(
    spec: Spec, *, facts: Facts, history: Sequence[Past], device: str, kind: str, cores: int, signature: str,
    trials: Mapping[str, int] | None = None, compile_seconds: float = 0.0, spread: Spread = ON_ONE,
) -> Forecast:  # fmt: skip
    """Predict every step kind. device: its name; kind: cpu or cuda; signature: see `training_signature`. trials: by kind of step that
    finds a value, optimizer steps' worth of its work. compile_seconds: what compiling the model adds to a training. spread: over how many
    processes."""
    speed_of = partial(expected_speed, history, device=device, kind=kind, cores=cores, signature=signature)
    devices = spread.workers if kind == "cuda" else spread.nodes
    cost = _cost(spec, facts)
    schedule = _schedule(spec, facts, workers=spread.workers)
    if schedule is not None and cost is not None:
        schedule = _timed(spec, schedule, cost, facts, workers=spread.workers, speed_of=partial(speed_of, devices=devices))
    predicted = {
        name: _from_history(name, history, device, signature=step_signature(name, spec, training=signature), text_bytes=facts.text_bytes)
        for name in ("data", "tokenizer", "tokens", "examples", "evaluate", "report")
    }
    memory = None
    if cost is not None and schedule is not None:
        memory = predict_memory(cost, schedule, evaluation_tokens=facts.evaluation_tokens, kind=kind, spread=spread)
        once, speed = START_SECONDS + compile_seconds, partial(speed_of, devices=devices)
        predicted["train"] = _training(spec, cost, schedule, memory, facts, once=once, speed_of=speed)
        for name, steps in (trials or {}).items():
            step_work = _step_work(cost, schedule)
            trial = speed_of(Load(steps * step_work, steps, step_work), devices=1)
            predicted[name] = Predicted(START_SECONDS + steps * step_work / trial.rate, memory.total, basis=trial.basis)
    else:
        predicted["train"] = Predicted(basis=facts.basis)
    return Forecast(facts, schedule, cost, predicted, memory, spec.task.counts)


def eager_step_seconds(expected: Forecast) -> float | None:
    """What an optimizer step is expected to take in a forecast of a training that compiles nothing; None where that is not known."""
    schedule, cost, training = expected.schedule, expected.cost, expected.steps["train"]
    if schedule is None or cost is None or training.seconds is None:
        return None
    work = training_work(cost, schedule, expected.facts, steps=schedule.total_steps)
    return (training.seconds - START_SECONDS) * cost.flops_per_token * schedule.positions_per_step / work


def training_signature(
    model: Mapping[str, Any], spec: Spec, vocab_size: int | None, *, threads: int = 0, precision: str = "", spread: Spread = ON_ONE
) -> str:
    """Equal for trainings whose optimizer steps cost the same: model, optimizer, sequence, batch, vocabulary, threads, precision,
    processes."""
    schedule = spec.schedule
    sizes: list[Any] = [spec.task.sample_positions(spec), schedule.batch_size, schedule.micro_batch_size, vocab_size, threads, precision]
    if schedule.parameters != Parameters() or spec.hardware.activation_checkpointing:
        sizes += [dump(schedule.parameters), spec.hardware.activation_checkpointing]
    if spec.data.packing != "stream":
        sizes += [spec.data.packing, spec.data.group_by_length]
    if spread != ON_ONE:
        sizes.append(spread)
    if schedule.optimizer.kind != "adamw":
        sizes.append(schedule.optimizer.kind)
    return "|".join([*(f"{k}={v}" for k, v in sorted(model.items())), *map(str, sizes)])


def step_signature(kind: str, spec: Spec, *, training: str) -> str:
    """Equal for steps of a kind that cost the same on the same text. training: see `training_signature`."""
    match kind:
        case "data":
            return f"{spec.data.source.kind}|{spec.data.split.kind}"
        case "examples":
            return spec.task.kind
        case "tokenizer" | "tokens":
            return f"{spec.data.tokenizer.kind}|{getattr(spec.data.tokenizer, 'vocab_size', None)}"
        case "train" | "evaluate":
            return training
        case _:
            return ""


def _cost(spec: Spec, facts: Facts) -> ModelCost | None:
    cost, sizes = getattr(spec.model, "cost", None), built_with(spec, facts)
    if cost is None or sizes is None:
        return None
    result: ModelCost = cost(**sizes)
    return as_trained(result, spec, sizes=sizes)


def built_with(spec: Spec, facts: Facts) -> Mapping[str, Any] | None:
    """What the spec's model is built with; None where that is not known yet. A model that says how many rows its embedding has is as
    large whatever the vocabulary."""
    if facts.sizes is not None:
        return facts.sizes
    known = facts.vocab_size or getattr(spec.model, "vocab_size", None)
    try:
        return None if known is None else spec.task.sizes(spec, {"vocab_size": known})
    except KeyError:
        return None


def _timed(
    spec: Spec, schedule: ResolvedSchedule, cost: ModelCost, facts: Facts, *, workers: int, speed_of: Callable[..., Speed]
) -> ResolvedSchedule:
    """The schedule with what of it goes by time counted at the speed to expect. speed_of: `expected_speed` of the training."""
    lasts, by_time = schedule.duration_seconds, spec.schedule.evaluate.every.unit == "seconds"
    if lasts is None and not by_time:
        return schedule
    steps = schedule.total_steps if lasts is None else _steps_in(lasts, cost, schedule, facts, speed_of, by_time=by_time)
    work = _step_work(cost, schedule)
    pace = work / speed_of(Load(steps * work, steps, work)).rate
    timed = _schedule(spec, facts, workers=workers, expected_steps=steps, step_seconds=pace)
    assert timed is not None, "it was counted before"
    return timed


def _steps_in(
    seconds: float, cost: ModelCost, schedule: ResolvedSchedule, facts: Facts, speed_of: Callable[..., Speed], *, by_time: bool
) -> int:
    """Optimizer steps to expect in a time, with their evaluations. by_time: these come by the time of steps, their own left out."""
    step, every, steps = _step_work(cost, schedule), schedule.evaluate_every_seconds, 1
    evaluation = float(cost.flops_per_token) * facts.evaluation_tokens / 3
    for _ in range(2):  # what history tells may depend on how much there is to do
        rate = speed_of(Load(steps * step, steps, step)).rate
        work = seconds * rate
        if every is None:
            assert schedule.evaluate_every_steps is not None
            found = work / (step + evaluation / schedule.evaluate_every_steps)
        elif by_time:
            found = work / (step + evaluation * step / (every * rate))
        else:
            found = (work - evaluation * seconds / every) / step
        steps = max(1, int(found))
    return steps


def _schedule(
    spec: Spec, facts: Facts, *, workers: int, expected_steps: int = EXPECTED_STEPS, step_seconds: float | None = None
) -> ResolvedSchedule | None:
    length, each, positions = spec.task.sample_length(spec), None, None
    if facts.train_tokens is None:
        if spec.schedule.duration.unit == "epochs":
            return None
        samples = spec.schedule.batch_size
    else:
        samples = max(1, facts.samples(length))
        each = None if facts.predicted_tokens is None else facts.predicted_tokens / samples
        positions = None if facts.train_positions is None else facts.train_positions / samples
    return resolve_schedule(
        spec.schedule, samples_per_epoch=samples, sequence_length=length, sample_tokens=each, sample_positions=positions,
        full_positions=spec.task.sample_positions(spec), workers=workers, expected_steps=expected_steps, step_seconds=step_seconds,
    )  # fmt: skip


def _training(
    spec: Spec, cost: ModelCost, schedule: ResolvedSchedule, memory: Memory, facts: Facts, *, once: float, speed_of: Callable[..., Speed]
) -> Predicted:
    work = training_work(cost, schedule, facts, steps=schedule.total_steps)
    speed = speed_of(Load(work, schedule.total_steps, _step_work(cost, schedule)))
    seconds = work / speed.rate if schedule.duration_seconds is None else schedule.duration_seconds
    return Predicted(once + seconds, memory.total, _checkpoint_bytes(spec, cost, schedule), speed.basis)


def _checkpoint_bytes(spec: Spec, cost: ModelCost, schedule: ResolvedSchedule) -> int:
    """Of the checkpoints that are there at the end: no more than are saved. How many those are is not known where they come by time."""
    kept, every = spec.schedule.checkpoint, schedule.checkpoint_every_steps
    saved = -(-schedule.total_steps // every) if every is not None else kept.keep_last
    evaluated = _evaluations(schedule, schedule.total_steps)
    newest = min(kept.keep_last, saved)
    best = min(max(kept.keep_best, newest), evaluated)  # each of the newest keeps the best that it knows of
    return int(NUMBER_BYTES * (cost.parameters * (newest + best) + cost.moments * cost.trainable_parameters * newest))


def _step_work(cost: ModelCost, schedule: ResolvedSchedule) -> float:
    """FLOPs of an optimizer step."""
    return float(cost.flops_per_token) * schedule.positions_per_step


def training_work(cost: ModelCost, schedule: ResolvedSchedule, facts: Facts, *, steps: int) -> float:
    """FLOPs of so many optimizer steps with the evaluations that fall into them.

    An evaluation is a forward pass: a third of the work of training on the same tokens.
    """
    evaluations = _evaluations(schedule, steps)
    return float(cost.flops_per_token) * (steps * schedule.positions_per_step + facts.evaluation_tokens * evaluations / 3)


def as_timed(schedule: ResolvedSchedule, spec: Spec, *, tokens_per_second: float) -> ResolvedSchedule:
    """The schedule with evaluations that come by time counted at a speed that was measured."""
    every = spec.schedule.evaluate.every
    if every.unit != "seconds":
        return schedule
    return replace(schedule, evaluate_every_steps=max(1, math.ceil(every.amount * tokens_per_second / schedule.tokens_per_step)))


def _evaluations(schedule: ResolvedSchedule, steps: int) -> int:
    """How many fall into so many steps; the last one alone where they come by time and nothing is known of the speed."""
    every = schedule.evaluate_every_steps
    return 1 if every is None else -(-steps // every)


def _from_history(kind: str, history: Sequence[Past], device: str, *, signature: str, text_bytes: int | None) -> Predicted:
    """What a step took: where there are such steps, on about as much text, else any of its kind, which the basis says."""
    past = [past for past in history if past.kind == kind and past.device == device]
    if kind == "report":
        alike = past
    else:
        alike = [p for p in past if p.signature == signature and text_bytes and text_bytes / _ALIKE <= p.work <= text_bytes * _ALIKE]
    newest = (alike or past)[-5:]
    if not newest:
        return Predicted(basis="no earlier run on this device")
    basis = f"from {runs(newest)}"
    return Predicted(statistics.median(p.seconds for p in newest), basis=basis if alike else f"{basis} on other data or settings")
