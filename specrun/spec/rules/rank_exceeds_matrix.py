"""What: adapters (`schedule.parameters.lora`) of a higher rank than the matrix that they are put on can have.

Why: the product of an adapter is a matrix of the same rows and columns, whose rank is no more than the smaller number of the two; what the
adapter has beyond that is memory and time for nothing. A model that does not tell its shapes without being built is not checked.

Example: `lora: {rank: 512}` with `model: {width: 256}`. Remedy: a rank that is well below the width, such as 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from specrun.spec.document import Spec
from specrun.spec.patterns import matched
from specrun.spec.section import Problem
from specrun.spec.shape import valid_items

CODE = "rank-exceeds-matrix"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the rank with the smallest matrix that gets an adapter."""
    lora, tell = spec.schedule.parameters.lora, getattr(spec.model, "parameter_shapes", None)
    layers: Sequence[str] | None = getattr(spec.model, "linear_layers", None)
    if lora is None or tell is None or layers is None or spec.model.any_sizes is None:
        return
    shapes: Mapping[str, Sequence[int]] = tell(**spec.model.any_sizes)
    sizes = {layer: shapes[f"{layer}.weight"] for layer in matched((pattern for _, pattern in valid_items(lora.targets)), layers)}
    smallest = min(sizes, key=lambda layer: min(sizes[layer]), default=None)
    if smallest is None or lora.rank <= (most := min(sizes[smallest])):
        return
    rows, columns = sizes[smallest]
    message = f"an adapter of rank {lora.rank} has more than {smallest} can use: a matrix of {rows} x {columns} has rank {most} at most"
    path = ("schedule", "parameters", "lora", "rank")
    yield Problem(path, CODE, message, f"use {most} or less", severity="warning")
