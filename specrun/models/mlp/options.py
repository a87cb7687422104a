"""Options of the `mlp` model: numbers and categories embedded, then layers of all to all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.models.layer_costs import Shape, parameter_shapes
from specrun.models.mlp.layers import cost_of, layers
from specrun.plan.cost import ModelCost
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(ModelOptions):
    """A multilayer perceptron for tables. Piecewise-linear embeddings of numbers: Gorishniy, Rubachev & Babenko 2022."""

    factory: ClassVar[str] = "specrun.models.mlp.build:build"
    serves: ClassVar[tuple[str, ...]] = ("table",)

    kind: Literal["mlp"] = option(impact="weights", description="Embeddings of numbers and categories, and layers of all to all.")
    width: int = option(256, impact="weights", description="Size of the hidden layers.", ge=1, le=65_536)
    num_layers: int = option(2, impact="weights", description="Hidden layers.", ge=1, le=256)
    activation: Literal["relu", "gelu", "silu"] = option("relu", impact="weights", description="After each hidden layer.")
    dropout: float = option(0.0, impact="weights", description="Dropout rate after each hidden layer, 0 to 1.", ge=0, lt=1)
    numbers: Literal["piecewise_linear", "standardized"] = option(
        "piecewise_linear",
        impact="weights",
        description="How a number is seen. piecewise_linear: as an embedding that bends at quantiles of the train split; standardized: "
        "as it is, with mean 0 and standard deviation 1.",
    )
    bins: int = option(16, impact="weights", description="Pieces of an embedded number at most, of equal shares of rows.", ge=1, le=64)
    number_width: int = option(16, impact="weights", description="Size of a number's embedding.", ge=1, le=4096)
    category_width: int = option(16, impact="weights", description="Size of a category's embedding.", ge=1, le=4096)

    @property
    def embeds_numbers(self) -> bool:
        return self.numbers == "piecewise_linear"

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training draws random numbers."""
        return self.dropout > 0

    @property
    def computed_with(self) -> Mapping[str, str]:
        """What the same weights can be computed with in more ways than one, by field."""
        return {"activation": self.activation}

    @property
    def linear_layers(self) -> list[str]:
        """Names of the hidden layers."""
        return [f"blocks.{number}.linear" for number in range(self.num_layers)]

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for name in ("bins", "number_width"):
            if not self.embeds_numbers and name in self.model_fields_set:
                yield Problem((*path, name), "option-without-effect", f"{name} is of embeddings, and numbers is standardized",
                              f"remove {name}, or use numbers: piecewise_linear", severity="warning")  # fmt: skip

    def parameter_shapes(
        self, *, numbers: int, categories: Sequence[int], edges: Sequence[Sequence[float]], outputs: int
    ) -> Mapping[str, Shape]:
        """Every parameter by name."""
        return parameter_shapes(layers(self, numbers=numbers, categories=categories, edges=edges, outputs=outputs))

    def cost(self, *, numbers: int, categories: Sequence[int], edges: Sequence[Sequence[float]], outputs: int) -> ModelCost:
        """Of one row, in closed form."""
        return cost_of(layers(self, numbers=numbers, categories=categories, edges=edges, outputs=outputs), outputs=outputs)
