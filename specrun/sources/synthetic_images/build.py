"""Builds the `synthetic_images` source: a shape somewhere on an image, of some size and brightness, and noise. PNG files in memory.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest
from specrun.sources.drawn_rows import drawn_table, generator
from specrun.sources.synthetic_images.options import SHAPES, Options

_BLOCK_IMAGES = 64
Mask = npt.NDArray[np.bool_]


def build(options: Options, request: SourceRequest) -> LoadedTable:  # noqa: ARG001 - the contract of a source
    """facts: optimum, the accuracy of who tells every shape."""
    import pyarrow as pa

    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.string())])
    table = drawn_table(schema, options.rows, lambda number: _columns(options, number), block_rows=_BLOCK_IMAGES)
    return LoadedTable({WHOLE: table}, {"optimum": {"accuracy": 1 - options.wrong_labels}})


def _columns(options: Options, number: int) -> Mapping[str, Any]:
    random = generator(options.seed, number + 1)
    shapes = random.integers(options.classes, size=_BLOCK_IMAGES)
    wrong = random.random(_BLOCK_IMAGES) < options.wrong_labels
    labels = np.where(wrong, (shapes + random.integers(1, options.classes, size=_BLOCK_IMAGES)) % options.classes, shapes)
    images = [{"bytes": _png(_image(options, SHAPES[shape], random)), "path": None} for shape in shapes]
    return {"image": images, "label": [SHAPES[label] for label in labels]}


def _image(options: Options, shape: str, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """(H, W) of a grey image, (H, W, C) of a coloured one."""
    side = options.side
    radius = side * random.uniform(0.22, 0.38)
    row, column = random.uniform(radius, side - 1 - radius, size=2)
    y_HW, x_HW = np.mgrid[:side, :side]
    mask_HW = inside(shape, (y_HW - row) / radius, (x_HW - column) / radius)
    bright, dark = random.uniform(0.6, 1.0, options.channels), random.uniform(0.0, 0.3, options.channels)
    image_HWC = np.where(mask_HW[..., None], bright, dark) + random.normal(scale=options.noise, size=(side, side, options.channels))
    pixels: npt.NDArray[np.uint8] = (image_HWC.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels[..., 0] if options.channels == 1 else pixels


def inside(shape: str, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> Mask:
    """Whether places are of a shape that reaches from -1 to 1."""
    box = np.maximum(np.abs(y), np.abs(x)) <= 1
    match shape:
        case "disk":
            found = y**2 + x**2 <= 1
        case "square":
            found = box
        case "cross":
            found = box & (np.minimum(np.abs(y), np.abs(x)) <= 0.33)
        case "ring":
            found = (y**2 + x**2 <= 1) & (y**2 + x**2 >= 0.36)
        case "triangle":
            found = box & (np.abs(x) <= (y + 1) / 2)
        case "bar":
            found = (np.abs(y) <= 0.33) & (np.abs(x) <= 1)
        case "stripes":
            found = box & (np.floor((y + 1) * 2.5) % 2 == 0)
        case _:
            found = box & ((np.floor(y + 1) + np.floor(x + 1)) % 2 == 0)
    return np.asarray(found)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
