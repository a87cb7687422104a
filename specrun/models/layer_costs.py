"""The layers of a network for images as its options tell them without building it: parameters by name, products, what autograd keeps.

Tests hold the sums against the built models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from specrun.plan.cost import ModelCost

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """shapes: parameters by their full name. products: multiply-adds for one image. kept: numbers that it keeps of one image for its
    backward pass; made: numbers that it makes of one."""

    shapes: Mapping[str, Shape]
    products: int = 0
    kept: int = 0
    made: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """Of what stands between two layers, for one image."""

    channels: int
    height: int
    width: int

    @property
    def numbers(self) -> int:
        return self.channels * self.height * self.width

    def strided(self, channels: int, *, stride: int) -> Size:
        """What a padded convolution, or a padded pool, of that stride makes of it."""
        return Size(channels, -(-self.height // stride), -(-self.width // stride))


def convolution(name: str, inputs: Size, outputs: Size, *, kernel_size: int, bias: bool = False) -> Layer:
    """Keeps its input."""
    weight = (outputs.channels, inputs.channels, kernel_size, kernel_size)
    shapes = {f"{name}.weight": weight} | ({f"{name}.bias": (outputs.channels,)} if bias else {})
    return Layer(shapes, math.prod(weight) * outputs.height * outputs.width, inputs.numbers, outputs.numbers)


def norm(name: str, size: Size, *, kind: str) -> Layer:
    """Keeps its input; nothing at all of kind none."""
    if kind == "none":
        return Layer({})
    return Layer({f"{name}.weight": (size.channels,), f"{name}.bias": (size.channels,)}, 0, size.numbers, size.numbers)


def linear(name: str, inputs: int, outputs: int) -> Layer:
    """A layer with biases that is applied once to an image."""
    return Layer({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}, inputs * outputs, inputs, outputs)


def parameter_shapes(layers: Iterable[Layer]) -> dict[str, Shape]:
    """Every parameter by name."""
    return {name: shape for layer in layers for name, shape in layer.shapes.items()}


def model_cost(layers: Iterable[Layer], *, num_classes: int, height: int, width: int) -> ModelCost:
    """Of one image. The backward pass takes twice the products of the forward pass, of two operations each."""
    all_of_them = list(layers)
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in parameter_shapes(all_of_them).values()),
        flops_per_token=6 * sum(layer.products for layer in all_of_them),
        activation_bytes_per_token=4 * sum(layer.kept for layer in all_of_them),
        layer_bytes_per_token=8 * max(layer.made for layer in all_of_them),
        vocabulary_rows=num_classes,
        image_size=(height, width),
    )
