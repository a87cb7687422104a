"""Options of stochastic gradient descent with momentum (Polyak 1964; Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Part, Problem, option
from specrun.training.optimizers.base_rate import BaseRate

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(Part):
    """Momentum without adaptation. Weight decay is that of torch's SGD: an L2 penalty, so that momentum acts on it too.

    What decays is what decays with AdamW: matrices, embeddings of tokens and the output layer.
    """

    factory: ClassVar[str] = "specrun.training.optimizers.sgd.build:build"
    kind: Literal["sgd"] = option(impact="weights", description="Stochastic gradient descent.")
    learning_rate: BaseRate = option(
        0.1, impact="weights", description="Base learning rate, before the schedule's factor; auto finds one by a range test."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = option(
        0.9, impact="weights", description="Decay rate of the gathered gradients; 0 is without momentum."
    )
    nesterov: bool = option(False, impact="weights", description="Whether the newest gradient counts once more (Nesterov's momentum).")
    weight_decay: float = option(
        1e-4, impact="weights", description="Factor of the L2 penalty on matrices, added to their gradient.", ge=0, le=10
    )

    @property
    def moments(self) -> float:
        """Numbers kept for each one that is trained."""
        return 1.0 if self.momentum else 0.0

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.nesterov and self.momentum == 0:
            yield Problem((*path, "nesterov"), "nesterov-without-momentum", "nesterov: true needs a momentum, which is 0",
                          "use momentum: 0.9, or nesterov: false")  # fmt: skip
