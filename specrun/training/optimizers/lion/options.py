"""Options of Lion (Chen et al. 2023)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Part, option
from specrun.training.optimizers.base_rate import BaseRate

Beta = Annotated[float, Field(ge=0, lt=1)]


class Options(Part):
    """The sign of an averaged gradient, with decoupled decay of what decays with AdamW.

    Every weight moves by the whole learning rate, so that it has to be 3 to 10 times smaller than AdamW's, and the decay larger by as
    much: the defaults multiply to what those of AdamW do.
    """

    factory: ClassVar[str] = "specrun.training.optimizers.lion.build:build"
    moments: ClassVar[float] = 1.0
    """Numbers kept for each one that is trained."""
    kind: Literal["lion"] = option(impact="weights", description="Lion.")
    learning_rate: BaseRate = option(
        1e-4, impact="weights", description="Base learning rate, before the schedule's factor; auto finds one by a range test."
    )
    betas: tuple[Beta, Beta] = option(
        (0.9, 0.99), impact="weights", description="Share of the average in the direction of a step, and its decay rate."
    )
    weight_decay: float = option(0.3, impact="weights", description="Decoupled decay of matrices, per unit of learning rate.", ge=0, le=100)
