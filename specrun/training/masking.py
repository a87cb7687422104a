"""Which tokens of a sequence are predicted, and what stands for them: a pure function of a key of the sequence, computed on the device.

A key is 64 bits for each time that a sequence is seen. So masks depend neither on what is computed together nor on how many devices
share a batch, and resume as the order of samples does.
Shapes: B sequences, T tokens each, K of them predicted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from specrun.training.sampler import mix

_RESOLUTION = 1 << 24
_NEVER = torch.iinfo(torch.int64).min


@dataclass(frozen=True, slots=True)
class Masked:
    """inputs: (B, T) with tokens hidden; places: (B x K,) of what is predicted, in the flattened inputs; labels: (B x K,)."""

    inputs: Tensor
    places: Tensor
    labels: Tensor

    def predictions(self, hidden_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states (B x K, C), labels (B x K,)) of what is predicted."""
        return hidden_BTC.flatten(0, 1).index_select(0, self.places), self.labels


@dataclass(frozen=True, slots=True)
class Masking:
    """mask_id: of [MASK]; avoided_id: of a token that is predicted only where a sequence has too few others; None: of none.
    mask_share, random_share: of what is predicted, how much [MASK] and random tokens stand for; the rest is left."""

    mask_id: int
    avoided_id: int | None
    vocab_size: int
    mask_share: float
    random_share: float

    def hide(self, ids_BT: Tensor, keys_B: Tensor, *, predicted: int) -> Masked:
        """Choose `predicted` tokens of each sequence and hide them. ids, keys: int64."""
        B, T = ids_BT.shape
        chosen_BK, noise_BK = self.choose(ids_BT, keys_B, predicted=predicted)
        labels_BK = ids_BT.gather(1, chosen_BK)
        share_BK = _scatter(noise_BK + 1) & (_RESOLUTION - 1)
        random_BK = (_scatter(noise_BK + 2) & torch.iinfo(torch.int64).max) % self.vocab_size
        masked = round(self.mask_share * _RESOLUTION)
        swapped = round((self.mask_share + self.random_share) * _RESOLUTION)
        shown_BK = torch.where(share_BK < masked, self.mask_id, torch.where(share_BK < swapped, random_BK, labels_BK))
        places_BK = chosen_BK + torch.arange(B, device=ids_BT.device)[:, None] * T
        return Masked(ids_BT.scatter(1, chosen_BK, shown_BK), places_BK.flatten(), labels_BK.flatten())

    def choose(self, ids_BT: Tensor, keys_B: Tensor, *, predicted: int) -> tuple[Tensor, Tensor]:
        """The places of what is predicted, and 64 random bits of each. Both (B, K)."""
        noise_BT = _scatter(keys_B[:, None] + torch.arange(ids_BT.shape[1], device=ids_BT.device))
        order_BT = noise_BT if self.avoided_id is None else noise_BT.masked_fill(ids_BT == self.avoided_id, _NEVER)
        # Those of the largest noise: each subset is as likely as any other.
        chosen_BK = order_BT.topk(predicted, dim=1).indices
        return chosen_BK, noise_BT.gather(1, chosen_BK)


def keys(first: npt.NDArray[np.int64], *, seed: int, stream: str) -> npt.NDArray[np.int64]:
    """A key for each number of a sequence. stream: what the numbers count."""
    base = int.from_bytes(hashlib.blake2b(f"{stream} {seed}".encode(), digest_size=8).digest(), "little")
    with np.errstate(over="ignore"):
        return mix(first.astype(np.uint64) + np.uint64(base)).view(np.int64)


def _scatter(values: Tensor) -> Tensor:
    """The finalizer of splitmix64 on the device, as `training.sampler.mix` has it: products of int64 wrap around."""
    z = values + _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """To the right, zeros coming in: the shift of a signed number brings in its sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64)
