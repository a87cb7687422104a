"""Options of AdamW (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Part, option
from specrun.training.optimizers.base_rate import BaseRate

Beta = Annotated[float, Field(ge=0, lt=1)]


class Options(Part):
    """Adam with decoupled weight decay, on matrices only: norms, biases and embeddings of positions do not decay."""

    factory: ClassVar[str] = "specrun.training.optimizers.adamw.build:build"
    moments: ClassVar[float] = 2.0
    """Numbers kept for each one that is trained."""
    kind: Literal["adamw"] = option(impact="weights", description="AdamW.")
    learning_rate: BaseRate = option(
        3e-4, impact="weights", description="Base learning rate, before the schedule's factor; auto finds one by a range test."
    )
    betas: tuple[Beta, Beta] = option((0.9, 0.95), impact="weights", description="Decay rates of the first and second moment.")
    epsilon: float = option(1e-8, impact="weights", description="Added to the denominator.", gt=0, le=1)
    weight_decay: float = option(0.1, impact="weights", description="Decoupled decay of matrices, per unit of learning rate.", ge=0, le=10)
