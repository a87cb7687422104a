"""Checkpoints off the training thread: a snapshot of the state on the host, then a thread that writes it while training goes on.

Owns the buffers of the snapshot, the thread and the order of writes. The files are `checkpoint_files`', the tensors `checkpoints`'.
One state is held at a time: the next save waits until what is being written is durable. Weights that are saved as best and again as
the newest of the same step are copied once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from specrun.runtime.device import Device
from specrun.runtime.distributed import whole
from specrun.runtime.protocols import Described
from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo, Chunk
from specrun.training.checkpoints import best_tensors, json_chunks, place_of, safetensors_head, step_tensors
from specrun.training.loop import TrainState

_Job = Callable[[], tuple[CheckpointInfo, str | None] | None]
"""Gives what it has written, if anything, and what was the matter with older checkpoints, as `Written` has it."""
_ABANDON_SECONDS = 1.0
"""Longest wait for a write that nobody wants any more: one piece of a file."""
_NICENESS = 10
"""The writer computes digests beside threads that train in step with one another: it takes what they leave."""


@dataclass(frozen=True, slots=True)
class Written:
    """A checkpoint that is durable. seconds: of writing and syncing it, and of letting go of older ones; trouble: with these, if any."""

    info: CheckpointInfo
    seconds: float
    trouble: str | None = None


@dataclass(slots=True)
class _Snapshot:
    """The tensors of one file on the host. place: of the state they are of (step, position)."""

    head: bytes
    buffers: list[Tensor]
    place: tuple[int, int] | None = None
    arrived: Callable[[], None] = field(default=lambda: None)

    def chunks(self) -> list[Chunk]:
        return [self.head, *(buffer.numpy().data for buffer in self.buffers)]


class Saver:
    """Saves the states of one training. A context manager: left in peace or by an error it waits for the write under way, left by
    a signal that asks for an end at once it does not.

    last: the newest checkpoint that is durable, of any attempt.
    """

    def __init__(self, folder: Path, *, key: str, device: Device, keep_last: int, keep_best: int) -> None:
        self.last: CheckpointInfo | None = None
        self._folder, self._key, self._device = folder, key, device
        self._keep_last, self._keep_best = keep_last, keep_best
        self._snapshots: dict[str, _Snapshot] = {}
        self._busy: dict[str, int] = {}  # by file, the last job that works on its snapshot
        self._verified: set[Path] = set()
        self._ready = False
        self._writer = _Writer()

    def get_ready(self, state: TrainState) -> None:
        """Make room for a snapshot, once, off the training thread: the first touch of memory is slower than any later copy.

        To be called after a step: before the first, an optimizer may have no state.
        """
        if not self._ready:
            self._ready = True
            files = step_tensors(state)
            self._submit(lambda: self._make_room(files), files)

    def save_step(
        self, state: TrainState, facts: Mapping[str, Any], *, metrics: Mapping[str, float], best_step: int | None,
        good_step: int | None = None,
    ) -> None:  # fmt: skip
        """Save everything that training goes on from, then let go of what need not be kept. facts: plain JSON of whoever drives the
        loop; best_step: of the best weights so far; good_step: see `checkpoint_files.rotate`.

        Raises: what an earlier write failed by.
        """
        files = self._copy(state, step_tensors(state))
        step, document, described = state.step, json_chunks({**place_of(state), **facts}), _description(state)

        def write() -> tuple[CheckpointInfo, str | None]:
            pieces = {**{name: self._pieces(it) for name, it in files.items()}, **described, "state.json": document}
            info = checkpoint_files.save(self._folder, step=step, key=self._key, files=pieces, metrics=metrics, best_step=best_step)
            self._verified.discard(info.path)
            trouble = checkpoint_files.rotate(
                self._folder, key=self._key, keep_last=self._keep_last, keep_best=self._keep_best, verified=self._verified,
                good_step=good_step,
            )  # fmt: skip
            return info, trouble

        self._submit(write, files)

    def save_best(self, state: TrainState, *, metrics: Mapping[str, float], score: float) -> None:
        """Save the weights that are judged, alone, apart from the newest checkpoints. score: lower is better. Raises: as `save_step`."""
        files = self._copy(state, best_tensors(state))
        (weights,) = files.values()
        step, document, described = state.step, json_chunks({"step": state.step}), _description(state)

        def write() -> tuple[CheckpointInfo, None]:
            pieces = {"model.safetensors": self._pieces(weights), **described, "state.json": document}
            return checkpoint_files.save(
                self._folder, step=step, key=self._key, files=pieces, role="best", metrics=metrics, score=score
            ), None  # fmt: skip

        self._submit(write, files)

    def collect(self) -> list[Written]:
        """What has become durable since the last call. Raises: StorageFailure where a write failed."""
        done = self._writer.collect()
        for written in done:
            if written.info.role == "step":
                self.last = written.info
        return done

    def wait(self) -> None:
        """Until nothing is being written any more."""
        self._writer.wait()

    def check(self) -> None:
        """Raise what a write failed by, whatever was written before it."""
        self._writer.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close(at_once=kind is not None and not issubclass(kind, Exception))

    def _copy(self, state: TrainState, files: Mapping[str, Mapping[str, Tensor]]) -> dict[str, _Snapshot]:
        """The snapshot of each file, taken now where it is not of this state already."""
        place = (state.step, state.position)
        stale = {name: tensors for name, tensors in files.items() if (it := self._snapshots.get(name)) is None or it.place != place}
        if stale:
            self._writer.wait(max(self._busy.get(name, 0) for name in stale))
            self._writer.check()
            self._make_room(stale)
        for name, tensors in stale.items():
            snapshot = self._snapshots[name]
            snapshot.arrived = self._device.copy_to_host((whole(tensors[key]) for key in sorted(tensors)), snapshot.buffers)
            snapshot.place = place
        return {name: self._snapshots[name] for name in files}

    def _submit(self, job: _Job, files: Iterable[str]) -> None:
        number = self._writer.submit(job)
        self._busy.update(dict.fromkeys(files, number))

    def _make_room(self, files: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Buffers that fit the files; those that fit already are used again."""
        for name, tensors in files.items():
            head = safetensors_head(tensors)
            if name not in self._snapshots or self._snapshots[name].head != head:
                self._snapshots[name] = _Snapshot(head, [self._device.host_buffer(tensors[key]) for key in sorted(tensors)])

    def _pieces(self, snapshot: _Snapshot) -> Iterator[Chunk]:
        snapshot.arrived()
        for chunk in snapshot.chunks():
            self._writer.check_wanted()
            yield chunk


class _NotWanted(Exception):
    """The process ends; what is being written is left to whoever opens the folder next."""


def _description(state: TrainState) -> dict[str, list[Chunk]]:
    """Files beside the weights of a model that its spec alone does not describe."""
    model = state.model
    return {name: [data] for name, data in model.description_files().items()} if isinstance(model, Described) else {}


class _Writer:
    """Carries out jobs one after another in a thread of its own, which no exit of the process waits for.

    After a job that failed, none is carried out any more.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: list[Written] = []
        self._error: BaseException | None = None
        self._submitted, self._finished = 0, 0
        self._changed = threading.Condition()
        self._wanted = True
        self._thread: threading.Thread | None = None

    def submit(self, job: _Job) -> int:
        """Have a job carried out after those before it. Returns its number, from 1. Raises: what an earlier one failed by."""
        self.check()
        self._submitted += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="specrun-checkpoints", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return self._submitted

    def collect(self) -> list[Written]:
        """What was written since the last call. Raises: what a job failed by."""
        if not self._done and self._error is None:
            return []
        with self._changed:
            done, self._done = self._done, []
        if not done:
            self.check()
        return done

    def check(self) -> None:
        """Raise what a job failed by."""
        if self._error is not None:
            raise self._error

    def wait(self, number: int | None = None) -> None:
        """Until a job is done, or all of them are. A signal's handler may end it."""
        last = self._submitted if number is None else number
        with self._changed:
            self._changed.wait_for(lambda: self._finished >= last)

    def close(self, *, at_once: bool) -> None:
        """End the thread, after its jobs or as soon as it looks up from one."""
        self._wanted = not at_once
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(_ABANDON_SECONDS if at_once else None)

    def check_wanted(self) -> None:
        """Raise where nobody waits for the jobs any more. Called by jobs."""
        if not self._wanted:
            raise _NotWanted

    def _work(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)  # of this thread alone, on Linux
        while (job := self._jobs.get()) is not None:
            started = time.perf_counter()
            try:
                if self._wanted and self._error is None and (done := job()) is not None:
                    with self._changed:
                        info, trouble = done
                        self._done.append(Written(info, time.perf_counter() - started, trouble))
            except _NotWanted:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again on the training thread
                self._error = error
            del job  # it holds tensors of the state: a moment that training has let go of must not wait for the next save
            with self._changed:
                self._finished += 1
                self._changed.notify_all()
