"""What models of forecasts are built with, and what a spec tells them that they do not read. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from specrun.plan.cost import ModelCost
from specrun.spec.section import Problem

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Shape = tuple[int, ...]


class ForecastSizes(TypedDict):
    """Keywords of `runtime.interfaces.Forecaster`: steps, how many numbers of each role, and the cardinality of each category."""

    context: int
    horizon: int
    targets: int
    observed: int
    known: int
    static: int
    known_categories: Sequence[int]
    static_categories: Sequence[int]
    quantiles: int


def cost_of(shapes: Mapping[str, Shape], sizes: ForecastSizes, *, products: float, kept: float, made: float) -> ModelCost:
    """Of a position, as plans count them: a step of context or horizon. products: multiply-adds of a window, forward; kept: numbers
    that autograd keeps of one; made: numbers that its largest layer makes."""
    positions = sizes["context"] + sizes["horizon"]
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        # The backward pass takes twice the products of the forward pass, of two operations each.
        flops_per_token=math.ceil(6 * products / positions),
        activation_bytes_per_token=math.ceil(4 * kept / positions),
        layer_bytes_per_token=math.ceil(8 * made / positions),
        vocabulary_rows=sizes["targets"] * sizes["quantiles"],
    )


def targets_alone_problems(kind: str, spec: Spec) -> Iterator[Problem]:
    """Warnings of a model that reads the past of the targets and nothing else."""
    columns = spec.data.columns
    for role in ("known", "observed", "static"):
        if getattr(columns, role):
            yield _unread(("data", "columns", role), kind, f"data.columns.{role}", f"data.columns.{role}")
    if getattr(spec.task, "calendar", ()):
        yield _unread(("task", "calendar"), kind, "the calendar", "task.calendar")


def _unread(path: tuple[str, ...], kind: str, what: str, key: str) -> Problem:
    return Problem(path, "option-without-effect", f"model {kind} reads the past of the targets alone, and not {what}",
                   f"remove {key}, or use model: {{kind: tft}}", severity="warning")  # fmt: skip
