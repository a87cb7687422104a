"""Counts where the host would wait for a device, on any machine. Imported by tests; holds none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_ALWAYS = {
    # A value goes to Python; or the host has to know how large the outcome is.
    _aten._local_scalar_dense, _aten.equal, _aten.allclose, _aten.is_nonzero, _aten.nonzero, _aten.masked_select, _aten._unique,
    _aten._unique2, _aten.unique_consecutive, _aten.unique_dim, _aten.bincount,
}  # fmt: skip
_BY_INDEX = {_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_}
_MASKS = (torch.bool, torch.uint8)
_COPIES = {_aten._to_copy, _aten.copy_}


class Waits(TorchDispatchMode):
    """Counts, in the thread that enters it, the operations after which the host waits for a CUDA device.

    `.tolist()`, `.numpy()` and `.cpu()` of a CPU tensor do not come here: `all_waits` counts them too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        self.count += _waits(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def _waits(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    packet = func.overloadpacket
    if packet is _aten.repeat_interleave:
        return func is _aten.repeat_interleave.Tensor and kwargs.get("output_size") is None
    if packet in _BY_INDEX:
        fills = len(args) > 2 and args[2].numel() == 1  # which torch does without the number of places
        return not fills and any(index is not None and index.dtype in _MASKS for index in args[1])
    if packet in _COPIES:
        return _leaves_its_device(args, kwargs)
    return packet in _ALWAYS


def _leaves_its_device(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a copy goes to another device, and the host stays until it is there."""
    if kwargs.get("non_blocking") or (len(args) > 2 and args[2] is True):
        return False
    to = args[1].device if len(args) > 1 else kwargs.get("device")
    return to is not None and torch.device(to).type != args[0].device.type


@contextmanager
def all_waits(patch: pytest.MonkeyPatch) -> Iterator[Waits]:
    """Counts besides what takes a tensor out of torch."""
    waits = Waits()
    for name in ("tolist", "numpy", "cpu"):
        original: Callable[..., Any] = getattr(torch.Tensor, name)

        def call(self: torch.Tensor, *args: Any, _original: Callable[..., Any] = original, **kwargs: Any) -> Any:
            waits.count += 1
            return _original(self, *args, **kwargs)

        patch.setattr(torch.Tensor, name, call)
    with waits:
        yield waits
