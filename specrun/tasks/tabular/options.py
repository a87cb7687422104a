"""Options of the `tabular` task: a number or a class from the other columns of its row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.spec.section import Problem, apart, option
from specrun.spec.task_options import Goal, Need, TaskOptions
from specrun.tasks.classification_metrics import METRIC_LABELS, METRICS, SHARES

if TYPE_CHECKING:
    from specrun.spec.document import Spec

REGRESSION: Mapping[str, Goal] = {"loss": "minimize", "mae": "minimize", "rmse": "minimize", "r2": "maximize"}
_CLASSIFICATION_ONLY = {"class_weights": "balanced", "label_smoothing": "0.1"}
_REGRESSION_ONLY = {"regression_loss": "squared"}


class Options(TaskOptions):
    """Regression or classification of rows. Numbers are standardised, and so are targets that are numbers, by the train split's rows."""

    factory: ClassVar[str] = "specrun.tasks.tabular.build:build"
    prepare: ClassVar[str | None] = "specrun.tasks.tabular.prepare:prepare"
    prepare_fields: ClassVar[frozenset[str] | None] = frozenset({"objective"})
    interface: ClassVar[str] = "table"
    roles: ClassVar[Mapping[str, Need]] = {"target": "required", "numbers": "optional", "categories": "optional"}
    counts: ClassVar[str] = "rows"
    metrics: ClassVar[Mapping[str, Goal]] = {**METRICS, **REGRESSION}
    metric_labels: ClassVar[Mapping[str, str]] = {
        **METRIC_LABELS, "loss": "loss", "mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²",
    }  # fmt: skip
    metric_shares: ClassVar[frozenset[str]] = SHARES

    kind: Literal["tabular"] = option(impact="weights", description="A number or a class from the other columns of its row.")
    objective: Literal["auto", "regression", "classification"] = option(
        "auto",
        impact="weights",
        description="What the target is. auto: numbers with decimals are regression, and so are whole numbers of more than 20 different "
        "values and several targets; everything else is classes.",
    )
    class_weights: Literal["balanced"] | None = option(
        None,
        impact="weights",
        description="balanced: the loss of a row counts by the inverse of its class's share of the train split, 1 on average. Absent means "
        "all rows count alike.",
    )
    label_smoothing: float = option(
        0.0, impact="weights", description="Share of each class that is spread over all of them, in training only.", ge=0, lt=1
    )
    regression_loss: Literal["squared", "absolute", "huber"] = option(
        "squared",
        impact="weights",
        description="Of standardised targets. huber: squared up to one standard deviation, absolute beyond.",
    )

    def measured(self) -> Mapping[str, Goal]:
        given: Mapping[str, Mapping[str, Goal]] = {"regression": REGRESSION, "classification": METRICS}
        return given.get(self.objective, self.metrics)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._role_problems(spec), self._target_problems(spec, path), self._without_effect(path))

    def _role_problems(self, spec: Spec) -> Iterator[Problem]:
        columns = spec.data.columns
        at, numbers, categories = ("data", "columns"), columns.numbers or (), columns.categories or ()
        for name in names(columns.target):
            for role in (role for role, listed in (("numbers", numbers), ("categories", categories)) if name in listed):
                yield Problem((*at, role), "target-is-an-input", f"{name} is the target and cannot be among data.columns.{role} too",
                              f"remove {name} from data.columns.{role}")  # fmt: skip
        for name in sorted(set(numbers) & set(categories)):
            yield Problem((*at, "categories"), "column-in-two-roles", f"{name} is in data.columns.numbers and in data.columns.categories",
                          f"leave {name} in one of them")  # fmt: skip

    def _target_problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        targets = names(spec.data.columns.target)
        if self.objective == "classification" and len(targets) > 1:
            yield Problem((*path, "objective"), "several-class-targets", f"classification has one target, and there are {len(targets)}",
                          f"use data.columns.target: {targets[0]}, or objective: regression")  # fmt: skip

    def _without_effect(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for counts_for, examples in (("classification", _CLASSIFICATION_ONLY), ("regression", _REGRESSION_ONLY)):
            for name in (name for name in examples if name in self.model_fields_set and self.objective != counts_for):
                if getattr(self, name) == type(self).model_fields[name].default:
                    continue
                why = f"{name} counts for {counts_for} alone, and objective is {self.objective}"
                yield Problem((*path, name), "option-without-effect", why, f"remove {name}, or write objective: {counts_for}",
                              severity="warning")  # fmt: skip


def names(column: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Columns of a role that takes one or several."""
    return () if column is None else (column,) if isinstance(column, str) else column
