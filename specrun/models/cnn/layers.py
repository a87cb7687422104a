"""The layers of a `cnn`, known without building it. Tests hold them against the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specrun.models.layer_costs import Layer, Size, convolution, linear, norm

if TYPE_CHECKING:
    from specrun.models.cnn.options import Options


def layers(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> Iterator[Layer]:
    """In their order, for images of that size."""
    size, number = Size(channels, height, width), 0
    for stage, outputs in enumerate(options.widths):
        if stage:
            halved = Size(size.channels, size.height // 2, size.width // 2)
            # A pool keeps its input, and where each maximum stood, in 8 bytes.
            yield Layer({}, kept=size.numbers + 2 * halved.numbers, made=halved.numbers)
            size = halved
        for _ in range(options.convolutions):
            made = Size(outputs, size.height, size.width)
            bias = options.norm == "none"
            yield convolution(f"blocks.{number}.convolution", size, made, kernel_size=options.kernel_size, bias=bias)
            yield norm(f"blocks.{number}.norm", made, kind=options.norm)
            if options.activation != "relu":
                # ReLU's backward pass needs its output alone, which the next layer keeps.
                yield Layer({}, kept=made.numbers, made=made.numbers)
            size, number = made, number + 1
    # What the last activation made: ReLU keeps it; the mean over the image keeps nothing.
    yield Layer({}, kept=size.numbers if options.activation == "relu" else 0)
    yield linear("head", size.channels, num_classes)
