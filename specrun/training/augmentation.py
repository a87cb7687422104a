"""How images are normalised and changed, a whole batch at a time where its tensors are, by numbers that are drawn on the host.

What is drawn for a sample is a pure function of the seed and of the sample's number over all epochs: it depends on no batch, micro-batch,
worker or device, and a training that is gone on from draws the same again.
Shapes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.training.sampler import mix

MOVES = 5
"""Numbers that are drawn for an image: whether it is mirrored, rows and columns that it is moved by, and where a square of it goes."""
_STREAMS = 8
"""Random numbers of a sample: those for its moves, one for its partner, one for its share."""
_QUANTILES = 4096


@dataclass(frozen=True, slots=True)
class Changes:
    """flip: probability; crop: pixels around the image; cutout: side of the square; mixup: parameter of the beta distribution. Zero is
    none of it."""

    flip: float = 0.0
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether an image itself is changed."""
        return bool(self.flip or self.crop or self.cutout)


@dataclass(frozen=True, slots=True)
class Drawn:
    """For B samples. moves: int64 (B, MOVES); partners: numbers below 1 that choose another sample, float64 (B,); shares: of the image
    itself where it is mixed with its partner, float32 (B,)."""

    moves: npt.NDArray[np.int64]
    partners: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float32]


def draw(changes: Changes, first: int, *, count: int, seed: int, height: int, width: int) -> Drawn:
    """For samples first .. first + count - 1, counted over all epochs. height, width: of the images."""
    uniform = _uniform(first, count=count, seed=seed)
    moves = np.empty((count, MOVES), dtype=np.int64)
    moves[:, 0] = uniform[0] < changes.flip
    for place, values in enumerate((2 * changes.crop + 1, 2 * changes.crop + 1, height, width), start=1):
        moves[:, place] = uniform[place] * values
    shares = _beta_quantiles(changes.mixup, uniform[MOVES + 1]) if changes.mixup else np.ones(count)
    return Drawn(moves, uniform[MOVES], shares.astype(np.float32))


def _uniform(first: int, *, count: int, seed: int) -> npt.NDArray[np.float64]:
    """(streams, count), each at least 0 and below 1, on a grid of 2**-53."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    keys = mix(numbers ^ mix(np.array([seed], dtype=np.uint64)))
    streams = np.arange(1, _STREAMS + 1, dtype=np.uint64)[:, None]
    with np.errstate(over="ignore"):
        words = mix(keys + streams * np.uint64(0xD1342543DE82EF95))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


@cache
def _beta_table(parameter: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Half of the distribution function of Beta(a, a), over u = x**a, in which its density has no pole."""
    u = np.linspace(0.0, 0.5**parameter, _QUANTILES)
    density = (1 - u ** (1 / parameter)) ** (parameter - 1)
    half = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return half / half[-1] / 2, u


def _beta_quantiles(parameter: float, uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers of Beta(a, a) by uniform ones; symmetric about one half."""
    half, u = _beta_table(parameter)
    below = np.interp(np.minimum(uniform, 1 - uniform), half, u) ** (1 / parameter)
    return np.where(uniform < 0.5, below, 1 - below)


class Transform:
    """Bytes of images to what a model is given. mean, std: of each channel, on a scale from 0 to 1; a channel of one value is set to 0."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, place: torch.device) -> None:  # noqa: TID251 - given by the device
        scales = [1 / (255 * deviation) if deviation else 0.0 for deviation in std]
        shifts = [-average / deviation if deviation else 0.0 for average, deviation in zip(mean, std, strict=True)]
        self._scale_C11 = torch.tensor(scales, device=place)[:, None, None]
        self._shift_C11 = torch.tensor(shifts, device=place)[:, None, None]

    def normalized(self, images_BCHW: Tensor) -> Tensor:
        """uint8 -> float32: (x / 255 - mean) / std."""
        return images_BCHW.float().mul_(self._scale_C11).add_(self._shift_C11)

    def changed(self, images_BCHW: Tensor, moves_BM: Tensor, changes: Changes) -> Tensor:
        """uint8 -> float32, each image moved as was drawn for it."""
        if changes.flip or changes.crop:
            images_BCHW = moved(images_BCHW, moves_BM, crop=changes.crop)
        found_BCHW = self.normalized(images_BCHW)
        if changes.cutout:
            cut_out(found_BCHW, moves_BM, side=changes.cutout)
        return found_BCHW


def moved(images_BCHW: Tensor, moves_BM: Tensor, *, crop: int) -> Tensor:
    """Stretches of the size of the images out of them with so many pixels of black around, some of them mirrored. Whole rows are gathered
    first: columns are then by an index of one row, where one of each pixel would be eight times as many bytes as the image."""
    B, C, H, W = images_BCHW.shape
    padded_BCHW = F.pad(images_BCHW, (crop, crop, crop, crop)) if crop else images_BCHW
    height, width = H + 2 * crop, W + 2 * crop
    image_BC1 = torch.arange(B * C, device=images_BCHW.device).view(B, C, 1)
    row_BCH = image_BC1 * height + (moves_BM[:, 1:2] + torch.arange(H, device=images_BCHW.device))[:, None]
    rows_BPW = padded_BCHW.view(-1, width).index_select(0, row_BCH.view(-1)).view(B, C * H, width)
    column_W = torch.arange(W, device=images_BCHW.device)
    column_BW = torch.where(moves_BM[:, :1] > 0, W - 1 - column_W, column_W) + moves_BM[:, 2:3]
    return rows_BPW.gather(2, column_BW[:, None].expand(B, C * H, W)).view(B, C, H, W)


def cut_out(images_BCHW: Tensor, moves_BM: Tensor, *, side: int) -> None:
    """Set a square around the drawn place of each image to 0, as far as it is inside, in place: normalised, that is the mean
    (DeVries & Taylor 2017). Touches the squares alone."""
    B, C, H, W = images_BCHW.shape
    offset_S = torch.arange(side, device=images_BCHW.device) - side // 2
    # What lies outside is moved to the edge, which is in the square then.
    row_BS = (moves_BM[:, 3:4] + offset_S).clamp_(0, H - 1)
    column_BS = (moves_BM[:, 4:5] + offset_S).clamp_(0, W - 1)
    place_BP = (row_BS[:, :, None] * W + column_BS[:, None, :]).view(B, 1, side * side)
    images_BCHW.view(B, C, H * W).scatter_(2, place_BP.expand(B, C, side * side), 0.0)
