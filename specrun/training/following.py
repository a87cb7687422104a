"""What the processes that do not save do instead: they give the one that does their share of each tensor, and read what it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from torch import Tensor

from specrun.errors import StoreError
from specrun.runtime.distributed import Workers, whole
from specrun.training.checkpoint_files import CheckpointInfo, read_manifest
from specrun.training.checkpoints import best_tensors, step_tensors
from specrun.training.loop import TrainState
from specrun.training.saving import Written


class Follower:
    """Stands in a `Saver`'s place, and writes nothing. last: the checkpoint that training went on from, of any attempt."""

    def __init__(self) -> None:
        self.last: CheckpointInfo | None = None
        self._places: dict[str, tuple[int, int]] = {}

    def get_ready(self, state: TrainState) -> None:
        """There is nothing to make room for."""

    def save_step(
        self, state: TrainState, facts: Mapping[str, object], *, metrics: Mapping[str, float], best_step: int | None,
        good_step: int | None = None,
    ) -> None:  # fmt: skip
        """Take part in the first process's `save_step`."""
        self._gather(state, step_tensors(state))

    def save_best(self, state: TrainState, *, metrics: Mapping[str, float], score: float) -> None:
        """Take part in the first process's `save_best`."""
        self._gather(state, best_tensors(state))

    def collect(self) -> list[Written]:
        """Nothing was written."""
        return []

    def wait(self) -> None:
        """Nothing is being written."""

    def check(self) -> None:
        """Nothing was written that could have failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is no thread to end."""

    def _gather(self, state: TrainState, files: Mapping[str, Mapping[str, Tensor]]) -> None:
        """The first process copies a file's tensors once for each state, in the order of their names."""
        place = (state.step, state.position)
        for name, tensors in files.items():
            if self._places.get(name) != place:
                for key in sorted(tensors):
                    whole(tensors[key])
                self._places[name] = place


def chosen_by_first(info: CheckpointInfo | None, folder: Path, workers: Workers) -> CheckpointInfo | None:
    """The checkpoint that the first worker has found, in every worker. info: what this one found, which counts in the first alone.

    Raises: StoreError where this worker does not see it.
    """
    step: int | None = workers.told(None if info is None else info.step)
    if workers.first or step is None:
        return info if workers.first else None
    found = read_manifest(path := folder / f"step-{step:08d}")
    if found is None:
        raise StoreError(f"{path} is there for the first worker, but not here", code="checkpoint-not-shared",
                         hint="put the store where every machine sees the same files")  # fmt: skip
    return found
