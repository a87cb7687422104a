"""A task of your own: regression of rows as the task `tabular` has it, with a loss, an option and a metric of its own.

To change more, replace more methods; to write a task from nothing, follow the contract in `specrun.tasks.contract` and
`specrun.runtime.protocols`. docs/own-code.md says how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from specrun.spec.section import option
from specrun.spec.task_options import Goal
from specrun.tasks.contract import Baseline, Opening
from specrun.tasks.tabular import options as tabular
from specrun.tasks.tabular.build import Tabular
from torch import Tensor


class CLASS(tabular.Options):
    """Regression by the log-cosh loss: squared near the target, absolute far from it."""

    factory: ClassVar[str] = "NAME:build"
    metrics: ClassVar[Mapping[str, Goal | None]] = {**tabular.REGRESSION, "relative_rmse": "minimize"}
    metric_labels: ClassVar[Mapping[str, str]] = {"loss": "log-cosh loss", "relative_rmse": "RMSE, of the target's deviation"}

    sharpness: float = option(
        1.0, impact="weights", description="Deviations beyond 1/sharpness standard deviations count about linearly.", gt=0, le=100
    )

    def measured(self) -> Mapping[str, Goal | None]:
        return self.metrics


class Task(Tabular):
    """What is trained and judged by."""

    def __init__(self, options: CLASS, opening: Opening) -> None:
        super().__init__(options, opening)
        self._sharpness = options.sharpness

    def errors(self, outputs_BY: Tensor, targets_BY: Tensor) -> Tensor:
        """log(cosh(x)) of each standardised value, written so that it overflows nowhere."""
        x_BY = self._sharpness * (outputs_BY - targets_BY).abs()
        return x_BY + torch.nn.functional.softplus(-2 * x_BY) - math.log(2)

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Those of regression, and the root mean squared error as a share of the target's own spread."""
        found = super().metrics(sums)
        return {**found, "relative_rmse": math.sqrt(max(0.0, 1 - found["r2"]))} if "r2" in found else found

    def baselines(self, split: str) -> list[Baseline]:
        """Those of tabular, without their loss, which is another one."""
        found = super().baselines(split)
        return [replace(one, metrics={name: value for name, value in one.metrics.items() if name != "loss"}) for one in found]


def build(options: CLASS, opening: Opening) -> Task:
    """The task on prepared data."""
    return Task(options, opening)
