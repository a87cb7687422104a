"""The base rate throughout."""

from __future__ import annotations

from typing import Literal

from specrun.spec.section import option
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Constant after the warm-up."""

    kind: Literal["constant"] = option(impact="weights", description="The base rate throughout, after the warm-up.")

    def after_warmup(self, step: int, steps: int) -> float:
        return 1.0
