"""Gives the training thread its batches: gathered by index where they are asked for, or one step ahead where copies run beside.

On a CPU a batch is gathered when it is taken. By index out of a memory map that costs 22 microseconds for 12 x 64 tokens and 140 for
64 x 256 (means on two cores; the same out of a resident tensor 28 and 130), a thousandth of a step; to have it handed over by a thread
costs 25 more, and a core that computes. Every source has its tokens in a file by now: one that decodes when it is read, as images
are, would want processes here.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from specrun.runtime.copying import CopyLane, Moment
from specrun.runtime.protocols import Batch, Task

_Copied = tuple[Batch, Moment]


class Feed:
    """The batches of a task by their number, the same ones whatever was taken before. A context manager: leaving it ends its thread.

    lane: where copies to the device run beside its computation, None where there are none; with one, the batch after the one taken
    is gathered meanwhile, by a thread that is the only one to ask the task.
    """

    def __init__(self, task: Task, *, batch_size: int, lane: CopyLane | None = None) -> None:
        self._task = task
        self._batch_size = batch_size
        self._lane = lane
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="specrun-feed") if lane is not None else None
        self._next: tuple[int, Future[_Copied]] | None = None
        self._given: Batch | None = None

    def take(self, position: int) -> Batch:
        """Batch number `position`, from 0, on the device. Raises whatever gathering it raises."""
        if self._lane is None:
            return self._gather(position)
        if self._next is None or self._next[0] != position:
            self._next = self._begin(position)
        (_, ahead), self._next = self._next, None  # What failed to be gathered beside a step is gathered anew where it is asked for again.
        batch, end = ahead.result()
        self._lane.await_copies(end)
        self._next = self._begin(position + 1)
        # A copy that was just begun may take the memory of any batch that is let go, and comes after what was queued until now: all
        # that the batch before was for, and nothing of this one. So this one is kept until the next is taken.
        self._given = batch
        return batch

    def close(self) -> None:
        """End the thread; what it gathers is let go."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._next = self._given = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self, position: int) -> tuple[int, Future[_Copied]]:
        assert self._lane is not None
        assert self._thread is not None
        return position, self._thread.submit(self._copy, self._lane, position, self._lane.now())

    def _copy(self, lane: CopyLane, position: int, after: Moment) -> _Copied:
        with lane.copying(after) as ends:
            batch = self._gather(position)
        return batch, ends[0]

    def _gather(self, position: int) -> Batch:
        return self._task.train_batch(position * self._batch_size, count=self._batch_size)
