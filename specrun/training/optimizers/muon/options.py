"""Options of Muon (Jordan 2024) with AdamW for what is no matrix between hidden states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.patterns import matched
from specrun.spec.section import Part, Problem, apart, option
from specrun.training.optimizers.base_rate import BaseRate

if TYPE_CHECKING:
    from specrun.spec.document import Spec

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
    newton_schulz_precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", impact="weights",
        description="Arithmetic of these iterations. auto: bfloat16 where the model's products are computed in it, else float32. bfloat16 "
        "is what Muon was published with: faster where the device has it, slower on a processor without instructions for it.",
    )  # fmt: skip
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

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._nesterov_problems(path), self._matrix_problems(spec, path))

    def _nesterov_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.nesterov and self.momentum == 0:
            at, why = ("nesterov", "") if "nesterov" in self.model_fields_set else ("momentum", ", as it is by default,")
            yield Problem((*path, at), "nesterov-without-momentum", f"nesterov: true{why} needs a momentum, which is 0",
                          "use momentum: 0.95, or nesterov: false")  # fmt: skip

    def _matrix_problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Where the model tells its layers: whether any that is trained is a hidden matrix. Adapters are."""
        layers: Sequence[str] = getattr(spec.model, "linear_layers", None) or ()
        parameters = spec.schedule.parameters
        matrices = [f"{layer}.weight" for layer in layers]
        if matrices and parameters.lora is None and len(matched(parameters.frozen, matrices)) == len(matrices):
            fact = (f"muon moves hidden matrices, and schedule.parameters.frozen freezes all of them: what is left is trained by "
                    f"AdamW, at rest_learning_rate {self.rest_learning_rate:g}")  # fmt: skip
            hint = "use kind: adamw, or freeze less"
            yield Problem((*path, "kind"), "muon-without-matrices", fact, hint, severity="warning")
