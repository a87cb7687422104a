"""Options of the `tft` model: the Temporal Fusion Transformer (Lim et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from specrun.models.forecast_sizes import ForecastSizes, Shape
from specrun.models.size_problems import head_problems
from specrun.models.tft.cost import model_cost
from specrun.models.tft.parameters import parameter_shapes
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """Sizes of the network."""

    factory: ClassVar[str] = "specrun.models.tft.build:build"
    serves: ClassVar[tuple[str, ...]] = ("forecaster",)

    kind: Literal["tft"] = option(impact="weights", description="A Temporal Fusion Transformer, which reads columns of every role.")
    width: int = option(32, impact="weights", description="Size of the vectors of all layers.", ge=2, le=4096)
    num_heads: int = option(4, impact="weights", description="Attention heads; width is a multiple of them.", ge=1, le=256)
    num_lstm_layers: int = option(1, impact="weights", description="Layers of each of the two LSTMs.", ge=1, le=16)
    dropout: float = option(
        0.1, impact="weights", description="Dropout rate before gates and between layers of an LSTM, 0 to 1.", ge=0, lt=1
    )

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers, so that its result depends on how samples are grouped."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, int]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"num_heads": self.num_heads}

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from head_problems(path, width=self.width, heads=self.num_heads, written=self.model_fields_set)

    def parameter_shapes(self, **sizes: Unpack[ForecastSizes]) -> Mapping[str, Shape]:
        """Every parameter by name."""
        return parameter_shapes(self, sizes)

    def cost(self, **sizes: Unpack[ForecastSizes]) -> ModelCost:
        """Of a step of context or horizon, in closed form."""
        return model_cost(self, sizes)
