"""Options of the `dlinear` model: two linear maps of a decomposed past (Zeng et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from specrun.models.forecast_sizes import ForecastSizes, Shape, cost_of, targets_alone_problems
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """A moving average of each target's past and what is left of it, each mapped to the horizon by a matrix of its own."""

    factory: ClassVar[str] = "specrun.models.dlinear.build:build"
    serves: ClassVar[tuple[str, ...]] = ("forecaster",)

    kind: Literal["dlinear"] = option(impact="weights", description="Linear maps of trend and remainder, of the targets' past alone.")
    trend_window: int = option(25, impact="weights", description="Steps that the moving average is over.", ge=2, le=100_000)
    individual: bool = option(False, impact="weights", description="Whether each target has maps of its own, else all share two.")

    @property
    def computed_with(self) -> Mapping[str, int]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"trend_window": self.trend_window}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from targets_alone_problems(self.kind, spec)

    def parameter_shapes(self, **sizes: Unpack[ForecastSizes]) -> Mapping[str, Shape]:
        """Every parameter by name."""
        rows = sizes["horizon"] * sizes["quantiles"] * (sizes["targets"] if self.individual else 1)
        return {
            "remainder.weight": (rows, sizes["context"]), "remainder.bias": (rows,),
            "trend.weight": (rows, sizes["context"]), "trend.bias": (rows,),
        }  # fmt: skip

    def cost(self, **sizes: Unpack[ForecastSizes]) -> ModelCost:
        """Of a step of context or horizon, in closed form."""
        past, ahead = sizes["targets"] * sizes["context"], sizes["targets"] * sizes["horizon"] * sizes["quantiles"]
        products = 2 * past * sizes["horizon"] * sizes["quantiles"]
        return cost_of(self.parameter_shapes(**sizes), sizes, products=products, kept=2 * past + 2 * ahead, made=2 * ahead)
