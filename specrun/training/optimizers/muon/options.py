"""Options of Muon (Jordan 2024) with AdamW for what is no matrix between hidden states."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Part, option
from specrun.training.optimizers.base_rate import BaseRate

Beta = Annotated[float, Field(ge=0, lt=1)]


class Options(Part):
    """Momentum made orthogonal for hidden matrices; AdamW for embeddings, the output layer, norms and biases.

    Projections that share a weight (queries, keys and values; gate and up) are made orthogonal one by one. What decays is what
    decays with AdamW: matrices, embeddings of tokens and the output layer.
    """

    factory: ClassVar[str] = "specrun.training.optimizers.muon.build:build"
    moments: ClassVar[float] = 2.0
    """Numbers kept for each one that is trained, at most: hidden matrices have one."""
    kind: Literal["muon"] = option(impact="weights", description="Muon for hidden matrices, AdamW for all other weights.")
    learning_rate: BaseRate = option(
        0.02,
        impact="weights",
        description="Base learning rate of hidden matrices, before the schedule's factor; auto finds one by a range test.",
    )
    momentum: Beta = option(0.95, impact="weights", description="Decay rate of the hidden matrices' averaged gradient.")
    nesterov: bool = option(True, impact="weights", description="Whether the newest gradient counts once more, as in Nesterov's momentum.")
    weight_decay: float = option(0.1, impact="weights", description="Decoupled decay of matrices, per unit of learning rate.", ge=0, le=10)
    newton_schulz_steps: int = option(5, impact="weights", description="Iterations that make a matrix nearly orthogonal.", ge=1, le=20)
    adjust: Literal["original", "match_rms_adamw"] = option(
        "original", impact="weights",
        description="Scale of a matrix's update. original: sqrt(max(1, rows / columns)); match_rms_adamw: 0.2 sqrt(max(rows, columns)), "
        "which takes learning rates of AdamW, such as 1e-3.",
    )  # fmt: skip
    rest_learning_rate: float = option(
        3e-3, impact="weights", description="Base learning rate of all other weights, before the schedule's factor.", gt=0, le=10
    )
    betas: tuple[Beta, Beta] = option((0.9, 0.95), impact="weights", description="Decay rates of AdamW's moments, for all other weights.")
    epsilon: float = option(1e-8, impact="weights", description="Added to AdamW's denominator, for all other weights.", gt=0, le=1)
