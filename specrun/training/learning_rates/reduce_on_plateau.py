"""The base rate until evaluations stop improving, then less. What has been seen is kept by `training.plateau`."""

from __future__ import annotations

from typing import Annotated, Literal

from specrun.spec.section import option
from specrun.spec.units import Quantity, Units
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Constant after the warm-up, and reduced each time a metric has not improved for as many evaluations as it may."""

    kind: Literal["reduce_on_plateau"] = option(impact="weights", description="Reduced whenever evaluations stop improving.")
    metric: str = option("validation/loss", impact="weights", description="Metric that has to improve.")
    patience: Annotated[Quantity, Units("evaluations")] = option(
        Quantity(2, "evaluations"), impact="weights", description="Evaluations without an improvement before the rate is reduced."
    )
    min_delta: float = option(
        0.0, impact="weights", description="Smallest change that counts as an improvement, in the metric's unit.", ge=0, le=10**6
    )
    reduction: float = option(0.5, impact="weights", description="What the rate is multiplied by.", gt=0, lt=1)
    min_fraction: float = option(0.01, impact="weights", description="Least rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        return 1.0
