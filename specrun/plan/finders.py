"""Which of a spec's values a plan finds by measurement, and what it supposes of them until then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from specrun.plan import figures
from specrun.plan.cost import ModelCost
from specrun.plan.memory import Memory, predict_memory
from specrun.plan.resolve import ResolvedSchedule
from specrun.plan.spread import ON_ONE, Spread
from specrun.plan.step import StepKind
from specrun.spec.document import Spec
from specrun.spec.section import Problem, Section

MICRO_BATCH = "find_micro_batch"
LEARNING_RATE = "find_learning_rate"
MICRO_BATCH_TRIAL_STEPS = 12
"""Optimizer steps' worth of work in finding a micro-batch size: each size once to see whether it fits, a few timed on whole batches."""
ROOMY = {"cpu": 0.9, "cuda": 0.5}
"""Share of the memory that the whole batch may be expected to take without being tried. The prediction is measured on processors, where
moreover one large product is as good as several small ones; for a CUDA device it is a closed form alone."""

S = TypeVar("S", bound=Section)


def planned_kinds(kinds: Sequence[StepKind], spec: Spec, *, idle: Collection[str] = ()) -> tuple[StepKind, ...]:
    """The kinds that a spec's plan has, needing one another: what its task is prepared by, and finders only of what the spec leaves to
    them. idle: finders with nothing to find out."""
    there = [kind for kind in kinds if _is_planned(kind, spec, idle)]
    names = {kind.kind for kind in there}
    return tuple(replace(kind, needs=tuple(need for need in kind.needs if need in names)) for kind in there)


def _is_planned(kind: StepKind, spec: Spec, idle: Collection[str]) -> bool:
    if kind.prepares and kind.kind not in spec.task.prepared_by:
        return False
    return kind.finds is None or (kind.kind not in idle and value_at(spec, kind.finds) == "auto")


def value_at(section: Section, path: str) -> Any:
    """The value at a dotted path of fields that are there."""
    value: Any = section
    for name in path.split("."):
        value = getattr(value, name)
    return value


def with_value(section: S, path: str, value: Any) -> S:
    """A copy of a section with the value at a dotted path replaced, unchecked."""
    name, _, rest = path.partition(".")
    return section.model_copy(update={name: with_value(getattr(section, name), rest, value) if rest else value})


def is_roomy(memory: Memory | None, *, memory_bytes: int, kind: str) -> bool:
    """Whether a whole batch fits beyond doubt, so that no smaller micro-batch is looked for. memory: as predicted for it; of what cannot
    be predicted yet, nothing is said before it can. kind: cpu or cuda."""
    return memory is None or memory.in_training <= ROOMY.get(kind, ROOMY["cuda"]) * memory_bytes


def micro_batch_sizes(batch_size: int) -> tuple[int, ...]:
    """Sizes to try, the whole batch first: for each half of the one before, the largest that divides the batch."""
    sizes, limit = [batch_size], batch_size // 2
    while limit:
        sizes.append(next(size for size in range(limit, 0, -1) if batch_size % size == 0))
        limit //= 2
    return tuple(dict.fromkeys(sizes))


def expected_micro_batch(
    cost: ModelCost, schedule: ResolvedSchedule, *, evaluation_tokens: int, kind: str, memory_bytes: int, margin: float,
    spread: Spread = ON_ONE,
) -> int:  # fmt: skip
    """The largest size that the prediction lets fit, leaving a margin; 1 where none does."""

    def needed(size: int) -> int:
        sized = replace(schedule, micro_batch_size=size)
        return predict_memory(cost, sized, evaluation_tokens=evaluation_tokens, kind=kind, spread=spread).in_training

    sizes = micro_batch_sizes(schedule.micro_batch_size)
    return next((size for size in sizes if needed(size) <= (1 - margin) * memory_bytes), 1)


def range_test_problems(cost: ModelCost, schedule: ResolvedSchedule, *, kind: str, memory_bytes: int) -> Iterator[Problem]:
    """Why a training that several devices share out cannot have its learning rate found: one device would have to hold all of it."""
    alone = predict_memory(cost, schedule, evaluation_tokens=0, kind=kind).in_training
    if alone > memory_bytes:
        yield Problem(
            ("schedule", "optimizer", "learning_rate"),
            "range-test-exceeds-device",
            f"the range test trains on one device, not on a share of the model: {figures.size(alone)} are expected there, more than its "
            f"{figures.size(memory_bytes)}",
            "give schedule.optimizer.learning_rate a number, such as 3e-4",
        )
