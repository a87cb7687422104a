"""What a model counts as it computes in training, such as the running means of batch norms: part of its state that no optimizer moves.

A step that is left out leaves them as they were, one that is computed again counts once, and workers share one mean of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import Workers


def running_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Buffers that a checkpoint has, by name: tables that are computed anew with a model are none."""
    saved = model.state_dict(keep_vars=True)
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


class RunningStatistics:
    """Those of one model, in their own memory."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._kinds = [
            [it for it in tensors.values() if it.dtype is kind] for kind in sorted({it.dtype for it in tensors.values()}, key=str)
        ]
        self._kept: list[Tensor] | None = None

    @classmethod
    def of(cls, model: nn.Module) -> RunningStatistics | None:
        """None for a model that has none."""
        tensors = running_statistics(model)
        return cls(tensors) if tensors else None

    @torch.no_grad()
    def begin(self) -> None:
        """To be called before the passes of a step; where those of the step before never came to `settle`, these are in their place."""
        if self._kept is None:
            self._kept = [_joined(tensors) for tensors in self._kinds]
        else:
            for tensors, kept in zip(self._kinds, self._kept, strict=True):
                _put(tensors, kept)

    @torch.no_grad()
    def settle(self, workers: Workers, *, skip: Tensor | None = None) -> None:
        """After the passes of a step: the mean over workers, or what was there before where skip is 1.0. Waits for nothing."""
        assert self._kept is not None, "a step was never begun"
        for tensors, kept in zip(self._kinds, self._kept, strict=True):
            now = _joined(tensors)
            if workers.size > 1 and now.is_floating_point():
                now = workers.add(now) / workers.size
            _put(tensors, now if skip is None else torch.where(skip > 0, kept, now))
        self._kept = None


def _joined(tensors: list[Tensor]) -> Tensor:
    """All numbers in one vector, a copy."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _put(tensors: list[Tensor], numbers: Tensor) -> None:
    parts = torch.split(numbers, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)])
