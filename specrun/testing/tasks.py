"""What every task must keep, whatever it is: a check a law, each a function of a case."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import Workers
from specrun.runtime.protocols import Batch, Task
from specrun.spec.task_options import TaskOptions

COUNT = 8
"""Samples of a batch: so many that they can be shared and divided."""
_TOLERANCE = 1e-5
_PATIENCE_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class TaskCase:
    """A task to be checked. open: the task for a seed, anew each time; model: one that it can train; split: that it can be judged on."""

    options: TaskOptions
    open: Callable[[int], Task]
    model: nn.Module
    split: str = "validation"

    def loss(self, task: Task, batch: Any, *, seed: int = 0) -> float:
        """Of the model as it is evaluated, in which nothing is drawn but by the task itself."""
        torch.manual_seed(seed)
        with torch.no_grad():
            return float(task.loss_sum(self.model.eval(), batch))


def the_same_seed_gives_the_same_batches(case: TaskCase) -> None:
    """Sample number n is a function of (seed, n): whatever was asked for before, and in whichever pieces."""
    first, second = case.open(3), case.open(3)
    second.train_batch(5 * COUNT, count=COUNT)
    at = first.samples_per_epoch - COUNT // 2 if first.samples_per_epoch > COUNT else 0  # across the end of an epoch
    for start in (0, at):
        assert _same(first.train_batch(start, count=COUNT), second.train_batch(start, count=COUNT)), f"batches from {start} differ"


def another_seed_gives_another_order(case: TaskCase) -> None:
    """So that runs of several seeds tell how much chance does."""
    first, second = (case.open(seed).train_batch(0, count=COUNT) for seed in (0, 1))
    assert not _same(first, second), "two seeds give the same first batch"


def parts_are_the_whole_batch(case: TaskCase) -> None:
    """What `split` and `share` give holds each sample once: weights and losses add up."""
    task = case.open(0)
    batch = task.train_batch(0, count=COUNT)
    divisions = {"split(3)": list(batch.split(3)), "share": [batch.share(rank, size=2) for rank in range(2)]}
    whole = case.loss(task, batch)
    drawn = whole != case.loss(task, batch, seed=1)  # a loss that draws differs from part to part
    for name, parts in divisions.items():
        weight = sum(part.weight for part in parts)
        assert weight == batch.weight, f"{name}: the parts weigh {weight}, and the batch {batch.weight}"
        loss = sum(case.loss(task, part) for part in parts)
        assert drawn or math.isclose(loss, whole, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE), f"{name}: losses add up to {loss}, not {whole}"


def the_loss_is_a_number_to_descend(case: TaskCase) -> None:
    """A float32 scalar, finite, whose gradient reaches the model."""
    task, model = case.open(0), copy.deepcopy(case.model).train()
    loss = task.loss_sum(model, task.train_batch(0, count=COUNT))
    assert loss.shape == (), f"the loss has the shape {tuple(loss.shape)}"
    assert loss.dtype == torch.float32, f"the loss is {loss.dtype}"
    assert bool(loss.isfinite()), f"the loss of a new model is {loss.item()}"
    loss.backward()  # type: ignore[no-untyped-call]
    assert any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in model.parameters()), "no gradient but zero"


def an_evaluation_is_repeatable(case: TaskCase) -> None:
    """Twice the same sums, plain JSON, also after other batches and with another state of torch's generator."""
    task = case.open(0)
    torch.manual_seed(0)
    first = task.evaluate(case.model, case.split)
    task.train_batch(0, count=COUNT)
    torch.manual_seed(1)
    second = task.evaluate(case.model, case.split)
    assert json.dumps(first) == json.dumps(second), "two evaluations of the same model differ"


def an_evaluation_adds_up_over_workers(case: TaskCase) -> None:
    """Two workers come to the sums of one, each of them."""
    alone = case.open(0).evaluate(case.model, case.split)
    for rank, sums in enumerate(_together(case)):
        _assert_close(sums, alone, f"worker {rank} of 2")


def metrics_are_those_declared(case: TaskCase) -> None:
    """Numbers under names that the options declare, those that they say a run will have among them, where the data has them."""
    task = case.open(0)
    metrics = task.metrics(task.evaluate(case.model, case.split))
    undeclared = sorted(metrics.keys() - case.options.metrics.keys())
    assert not undeclared, f"{', '.join(undeclared)} is not among the metrics of its options"
    assert metrics.keys() & case.options.measured().keys(), "it measures nothing of what its options say"
    assert all(isinstance(value, float) for value in metrics.values()), f"metrics are numbers: {metrics}"


class Ended(Exception):
    """What a check ends an evaluation by."""


def the_model_keeps_its_mode(case: TaskCase) -> None:
    """Whether an evaluation, or examples, end well or are ended."""

    def end() -> None:
        raise Ended

    calls: tuple[Callable[[Task, nn.Module], Any], ...] = (
        lambda task, model: task.evaluate(model, case.split),
        lambda task, model: task.examples(model, count=2),
        lambda task, model: task.evaluate(model, case.split, divided=10**6, between=end),
    )
    for training in (True, False):
        for call in calls:
            task, model = case.open(0), case.model.train(training)
            with contextlib.suppress(Ended):
                call(task, model)
            assert model.training is training, f"the model was in mode training={training}, and is not any more"


def examples_are_short_texts(case: TaskCase) -> None:
    """As many as asked for at most, the same for the same model, plain JSON."""
    task = case.open(0)
    first, second = (task.examples(case.model, count=3) for _ in range(2))
    assert len(first) <= 3, f"{len(first)} examples where 3 were asked for"
    assert json.dumps(first) == json.dumps(second), "the same model gives other examples"


TASK_CHECKS: tuple[Callable[[TaskCase], None], ...] = (
    the_same_seed_gives_the_same_batches,
    another_seed_gives_another_order,
    parts_are_the_whole_batch,
    the_loss_is_a_number_to_descend,
    an_evaluation_is_repeatable,
    an_evaluation_adds_up_over_workers,
    metrics_are_those_declared,
    the_model_keeps_its_mode,
    examples_are_short_texts,
)
"""Each raises AssertionError with a sentence on what is wrong."""


def check_task(case: TaskCase) -> None:
    """All of them."""
    for check in TASK_CHECKS:
        check(case)


def _same(first: Batch, second: Batch) -> bool:
    mine, others = list(_tensors(first)), list(_tensors(second))
    return len(mine) == len(others) and all(map(torch.equal, mine, others))


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a value, in order."""
    if isinstance(value, Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        for item in dataclasses.fields(value):
            yield from _tensors(getattr(value, item.name))
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield torch.tensor(value, dtype=torch.float64)


@dataclasses.dataclass(frozen=True)
class _Pair(Workers):
    """One of two workers that are threads of this process."""

    said: dict[int, Any] = dataclasses.field(default_factory=dict)
    meeting: threading.Barrier = dataclasses.field(default_factory=lambda: threading.Barrier(2))

    def _all(self, mine: Any) -> list[Any]:
        self.said[self.rank] = mine
        self.meeting.wait(_PATIENCE_SECONDS)
        found = [self.said[rank] for rank in range(self.size)]
        self.meeting.wait(_PATIENCE_SECONDS)
        return found

    def add(self, tensor: Tensor) -> Tensor:
        return torch.stack(self._all(tensor.clone())).sum(dim=0).to(tensor.dtype)

    def total(self, numbers: Sequence[float]) -> list[float]:
        return [math.fsum(of) for of in zip(*self._all(list(numbers)), strict=True)]

    def largest(self, number: int) -> int:
        return int(max(self._all(number)))

    def told(self, document: Any) -> Any:
        return self._all(document)[0]


def _together(case: TaskCase) -> list[Mapping[str, Any]]:
    """The sums that each of two workers is given."""
    said, meeting = dict[int, Any](), threading.Barrier(2)
    found: dict[int, Any] = {}

    def work(rank: int) -> None:
        try:
            found[rank] = case.open(0).evaluate(
                copy.deepcopy(case.model), case.split, workers=_Pair(rank, 2, said=said, meeting=meeting), divided=64
            )
        except BaseException as failure:  # noqa: BLE001 - raised again where it is heard
            found[rank] = failure
            meeting.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [it for it in found.values() if isinstance(it, BaseException)]
    for failure in sorted(failures, key=lambda it: isinstance(it, threading.BrokenBarrierError)):
        if isinstance(failure, threading.BrokenBarrierError):
            raise AssertionError("two workers do not speak to one another equally often")
        raise failure
    return [found[rank] for rank in range(2)]


def _assert_close(first: Any, second: Any, what: str) -> None:
    mine, others = (torch.stack([it.nan_to_num() for it in _tensors(sums)] or [torch.zeros(())]) for sums in (first, second))
    assert mine.shape == others.shape, f"{what}: other sums than one alone"
    scale = 1 + float(others.abs().max())
    apart = float((mine - others).abs().max())
    assert apart <= 10 * _TOLERANCE * scale, f"{what}: sums are up to {apart:.3g} apart from those of one alone"
