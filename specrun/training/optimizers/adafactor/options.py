"""Options of Adafactor (Shazeer & Stern 2018), in the form of torch's."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option
from specrun.training.optimizers.base_rate import BaseRate


class Options(Part):
    """Second moments of a matrix kept as a row and a column, and steps relative to the size of the weights.

    A step moves a weight's root mean square (at least 0.001) by the learning rate, or by 1 / sqrt(step) where that is less. Decay is
    decoupled, of what decays with AdamW: matrices, embeddings of tokens and the output layer.
    """

    factory: ClassVar[str] = "specrun.training.optimizers.adafactor.build:build"
    moments: ClassVar[float] = 0.0
    """Numbers kept for each one that is trained: of a matrix only a row and a column."""
    kind: Literal["adafactor"] = option(impact="weights", description="Adafactor, which keeps next to no state.")
    learning_rate: BaseRate = option(
        0.01,
        impact="weights",
        description="Base learning rate, relative to the weights, before the schedule's factor; auto finds one by a range test.",
    )
    beta2_decay: float = option(
        -0.8, impact="weights", description="Exponent of the step: the second moments decay at 1 - step ^ beta2_decay.", ge=-2, lt=0
    )
    clip_threshold: float = option(
        1.0, impact="weights", description="Largest root mean square of an update before the learning rate.", ge=1, le=1000
    )
    weight_decay: float = option(0.0, impact="weights", description="Decoupled decay of matrices, per unit of learning rate.", ge=0, le=10)
