"""Copies to a device beside its computation, on a stream of their own. A CPU has none: what it computes with lies in its memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from specrun.runtime.device import Device

Moment = Any
"""A point in the work that was queued on a device: its own kind of event."""


class CopyLane(Protocol):
    """Queues copies from one thread for computation that another thread queues. Nothing here makes a thread wait for the device."""

    def now(self) -> Moment:
        """What has been queued so far by the calling thread for computation."""
        ...

    @contextmanager
    def copying(self, after: Moment) -> Iterator[list[Moment]]:
        """Inside, what is copied goes on the lane, once the device has come to `after`. Gives a list that holds the copies' end
        when it is left."""
        ...

    def await_copies(self, end: Moment) -> None:
        """What the calling thread queues from now on comes after those copies."""
        ...


class CudaLane:
    """A lane of a CUDA device. Host memory needs no guard here: torch keeps a pinned block until the copies out of it are done."""

    def __init__(self, place: torch.device) -> None:
        self._place = place
        self._stream = torch.cuda.Stream(place)  # type: ignore[no-untyped-call]

    def now(self) -> Moment:
        return torch.cuda.current_stream(self._place).record_event()

    @contextmanager
    def copying(self, after: Moment) -> Iterator[list[Moment]]:
        ends: list[Moment] = []
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(after)
            yield ends
            ends.append(self._stream.record_event())

    def await_copies(self, end: Moment) -> None:
        torch.cuda.current_stream(self._place).wait_event(end)


def copy_lane(device: Device) -> CopyLane | None:
    """The lane beside a device's computation; None where there is nothing to copy to."""
    return CudaLane(device.place) if device.kind == "cuda" else None
