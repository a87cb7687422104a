"""Turns the bytes of an image file into numbers, and says which row it is where that cannot be."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.tasks.image_classification.options import LARGEST_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
Color = Literal["rgb", "grey"]
_GREY = frozenset({"1", "L"})
_IN_COLOR = frozenset({"RGB", "P", "CMYK", "YCbCr", "LAB", "HSV"})
_TRANSPARENT = frozenset({"RGBA", "LA", "PA", "RGBa", "La", "RGBX"})
_PILLOW_MODES = {"rgb": "RGB", "grey": "L"}


@dataclass(frozen=True, slots=True)
class Row:
    """An image as it is stored. number: of its row in the source, from 1; path: of its file, where the source has one."""

    split: str
    number: int
    data: bytes | None
    path: str | None = None

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"row {self.number} of {self.split}" + (f" ({self.path})" if self.path else "")


@dataclass(frozen=True, slots=True)
class Decoded:
    """pixels: (C, H, W). color: what it is, or was turned into; mode: as the file has it, by Pillow's name."""

    row: Row
    pixels: Pixels
    color: Color
    mode: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]


def decode(row: Row, *, size: tuple[int, int] | None, color: Literal["auto", "rgb", "grey"]) -> Decoded:
    """size: height and width that it is brought to; None: it stays as it is. Turned upright as its EXIF data says.

    Raises: DataError for bytes that are no image, and one that is not what `color` asks for.
    """
    from PIL import Image, ImageOps

    if not row.data:
        raise DataError(f"{row.place} has no image", code="missing-image", hint="leave such rows out of the data")
    try:
        image: Any = Image.open(io.BytesIO(row.data))
        mode = str(image.mode)
        image.load()
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # noqa: BLE001 - each decoder of Pillow raises what it likes
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        reason = "it is of no format that is known" if type(error).__name__ == "UnidentifiedImageError" else reason
        raise DataError(f"the image in {row.place} cannot be decoded: {reason}", code="undecodable-image",
                        hint="repair it, or leave the row out of the data") from None  # fmt: skip
    wanted = _color(row, mode) if color == "auto" else color
    if mode.startswith(("I", "F")):
        raise DataError(f"the image in {row.place} has more than 8 bits a channel (mode {mode})", code="deep-image",
                        hint="save it with 8 bits a channel")  # fmt: skip
    _check_sides(row, image, resized=size is not None)
    image = image if image.mode == _PILLOW_MODES[wanted] else image.convert(_PILLOW_MODES[wanted])
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), method=Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8)
    return Decoded(row, pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)), wanted, mode)


def _color(row: Row, mode: str) -> Color:
    """What an image is, where nothing is said of it."""
    if mode in _TRANSPARENT:
        raise DataError(f"the image in {row.place} has a channel beside its colours (mode {mode})", code="transparent-image",
                        hint="set task.color: rgb, or grey, which leaves it out")  # fmt: skip
    return "grey" if mode in _GREY else "rgb"


def _check_sides(row: Row, image: Image, *, resized: bool) -> None:
    if max(image.size) > LARGEST_SIDE and not resized:
        raise DataError(f"the image in {row.place} is {image.height} x {image.width} pixels; {LARGEST_SIDE} are the most a side may have",
                        code="image-too-large", hint="set task.size: 224, or what suits")  # fmt: skip


def check_alike(one: Decoded, other: Decoded) -> None:
    """Raises: DataError where two images differ in colour or size."""
    if one.color != other.color:
        raise DataError(
            f"images of mixed modes: {one.row.place} is {_in_words(one)}, {other.row.place} is {_in_words(other)}",
            code="mixed-modes", hint="set task.color: rgb, or task.color: grey",
        )  # fmt: skip
    if one.size != other.size:
        (height, width), (its_height, its_width) = one.size, other.size
        both = [min(height, its_height), min(width, its_width)]
        raise DataError(
            f"images of mixed sizes: {one.row.place} has {height} x {width} pixels, {other.row.place} has {its_height} x {its_width}",
            code="mixed-sizes", hint=f"set task.size: {both[0] if both[0] == both[1] else both}",
        )  # fmt: skip


def _in_words(image: Decoded) -> str:
    return f"{'grey' if image.color == 'grey' else 'in colour'} ({image.mode})"
