"""The layers of a `resnet`, known without building it. Tests hold them against the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from specrun.models.layer_costs import Layer, Size, convolution, linear, norm

if TYPE_CHECKING:
    from specrun.models.resnet.options import Options


class Place(NamedTuple):
    """A block: channels that it takes and its own width, from which it makes `expansion` times as many."""

    inputs: int
    width: int
    outputs: int
    stride: int


class Conv(NamedTuple):
    """A convolution of a block, with a norm after it."""

    inputs: int
    outputs: int
    kernel_size: int
    stride: int


def places(block: str, blocks: tuple[int, ...], width: int) -> Iterator[Place]:
    """The blocks in their order."""
    inputs, expansion = width, 4 if block == "bottleneck" else 1
    for stage, count in enumerate(blocks):
        for number in range(count):
            outputs = (width << stage) * expansion
            yield Place(inputs, width << stage, outputs, 2 if stage and number == 0 else 1)
            inputs = outputs


def convolutions(block: str, place: Place) -> list[Conv]:
    """The path of a block that is learned, in its order."""
    inputs, width, outputs, stride = place
    if block == "bottleneck":
        return [Conv(inputs, width, 1, 1), Conv(width, width, 3, stride), Conv(width, outputs, 1, 1)]
    return [Conv(inputs, width, 3, stride), Conv(width, outputs, 3, 1)]


def shortcut(place: Place) -> Conv | None:
    """The projection beside it, where shapes change."""
    inputs, _, outputs, stride = place
    return Conv(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None


def layers(options: Options, *, channels: int, height: int, width: int, num_classes: int) -> Iterator[Layer]:
    """In their order, for images of that size."""
    form, size = options.form, Size(channels, height, width)
    large = options.has_large_stem(height)
    made = size.strided(form.width, stride=2 if large else 1)
    yield convolution("stem.convolution", size, made, kernel_size=7 if large else 3)
    yield norm("stem.norm", made, kind=options.norm)
    size = made
    if large:
        size = made.strided(form.width, stride=2)
        # What the activation made, and where each maximum stood, in 8 bytes.
        yield Layer({}, kept=made.numbers + 2 * size.numbers)
    for number, place in enumerate(places(form.block, form.blocks, form.width)):
        name, inside = f"blocks.{number}", size
        for layer, conv in enumerate(convolutions(form.block, place)):
            made = inside.strided(conv.outputs, stride=conv.stride)
            yield convolution(f"{name}.path.{layer}.convolution", inside, made, kernel_size=conv.kernel_size)
            yield norm(f"{name}.path.{layer}.norm", made, kind=options.norm)
            inside = made
        if shortcut(place) is not None:
            projected = convolution(f"{name}.shortcut.convolution", size, inside, kernel_size=1)
            # Its input is kept once for both paths.
            yield Layer(projected.shapes, projected.products, 0, projected.made)
            yield norm(f"{name}.shortcut.norm", inside, kind=options.norm)
        size = inside
    yield Layer({}, kept=size.numbers)
    yield linear("head", size.channels, num_classes)
