"""The layers of an `mlp`, known without building it: parameters, products, what autograd keeps. Tests hold them against the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from specrun.models.layer_costs import Layer, linear, parameter_shapes
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.mlp.options import Options

Edges = Sequence[Sequence[float]]


def thinned(edges: Sequence[float], bins: int) -> list[float]:
    """At most so many bins of those between the edges, the outermost edges kept."""
    if len(edges) <= bins + 1:
        return list(edges)
    return [edges[round(place * (len(edges) - 1) / bins)] for place in range(bins + 1)]


def most_bins(edges: Edges, bins: int) -> int:
    """Bins of the number that has most."""
    return max(len(thinned(of, bins)) - 1 for of in edges)


def layers(options: Options, *, numbers: int, categories: Sequence[int], edges: Edges, outputs: int) -> Iterator[Layer]:
    """In their order, for one row."""
    size = numbers
    if numbers and options.embeds_numbers:
        size = numbers * options.number_width
        bins = most_bins(edges, options.bins)
        shapes = {"numbers.weight": (numbers, bins, options.number_width), "numbers.bias": (numbers, options.number_width)}
        # Shares of bins are kept for the product, and the embedding for ReLU, unless it is what the next layer keeps as its input.
        yield Layer(shapes, products=bins * size, kept=numbers * bins + (size if categories else 0), made=numbers * bins + size)
    if categories:
        shape = (sum(categories), options.category_width)
        # Rows are kept by number, in 8 bytes.
        yield Layer({"category_embedding.weight": shape}, kept=2 * len(categories), made=len(categories) * options.category_width)
        size += len(categories) * options.category_width
    for number in range(options.num_layers):
        yield linear(f"blocks.{number}.linear", size, options.width)
        size = options.width
        # ReLU's backward pass needs its output alone, which the next layer keeps, unless dropout makes another of it, with a mask.
        before = options.activation != "relu" or options.dropout > 0
        yield Layer({}, kept=(size if before else 0) + (size if options.dropout else 0), made=size)
    yield linear("head", size, outputs)


def cost_of(layers: Iterable[Layer], *, outputs: int) -> ModelCost:
    """Of one row. The backward pass takes twice the products of the forward pass, of two operations each."""
    all_of_them = list(layers)
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in parameter_shapes(all_of_them).values()),
        flops_per_token=6 * sum(layer.products for layer in all_of_them),
        activation_bytes_per_token=4 * sum(layer.kept for layer in all_of_them),
        layer_bytes_per_token=8 * max(layer.made for layer in all_of_them),
        vocabulary_rows=outputs,
    )
