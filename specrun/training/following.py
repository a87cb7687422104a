"""What stands in the saver's place in the processes that do not save: it gives the one that does their share of each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from torch import Tensor

from specrun.runtime.distributed import whole
from specrun.training.checkpoints import best_tensors, step_tensors
from specrun.training.loop import TrainState
from specrun.training.saving import Saver, Written


class Follower(Saver):
    """Writes nothing. It knows of the newest checkpoint what it was told when training began."""

    _places: dict[str, tuple[int, int]]

    def get_ready(self, state: TrainState) -> None:
        """There is nothing to make room for."""

    def save_step(self, state: TrainState, facts: Mapping[str, Any], *, metrics: Mapping[str, float], best_step: int | None) -> None:
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """There is no thread to end."""

    def _gather(self, state: TrainState, files: Mapping[str, Mapping[str, Tensor]]) -> None:
        """The first process copies a file's tensors once for each state, in the order of their names."""
        self._places = getattr(self, "_places", {})
        place = (state.step, state.position)
        for name, tensors in files.items():
            if self._places.get(name) != place:
                for key in sorted(tensors):
                    whole(tensors[key])
                self._places[name] = place
