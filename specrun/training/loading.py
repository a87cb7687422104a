"""Checkpoints back into a training: which of them it goes on from, and a state made that of one, or of before step 0.

Owns what is set aside on the way, and says so. What the facts mean that were saved beside the tensors is `session`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo
from specrun.training.checkpoints import is_finite, load_step, place_of, unusable_facts
from specrun.training.following import chosen_by_first
from specrun.training.loop import TrainState


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a state was made that of. info: None where that is of before step 0. facts: of whoever drives the loop, as they were saved."""

    info: CheckpointInfo | None
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Loader:
    """Loads the states of one training. folder: of its checkpoints; key: of the train step. initial_facts: as a checkpoint of before
    step 0 would have them; one that has fewer is not gone on from. put_start: puts the weights of before step 0 into the state, and
    into its empty optimizer what that began with; returns why that began anew, where another run's was to be gone on with.
    """

    folder: Path
    key: str
    state: TrainState
    warn: Callable[[str, str], None]
    initial_facts: Mapping[str, Any]
    put_start: Callable[[], str | None] | None = None

    def newest(self) -> Loaded | None:
        """Load the newest whole checkpoint, or one from before the best weights where these are lost. Without any, changes nothing."""
        info = self._recover()
        return None if info is None else self._load(info)

    def newest_good(self, *, at_most_step: int) -> Loaded:
        """Load the newest whole checkpoint of no later step that has neither NaN nor infinity in it, or the state of before step 0. All
        that was saved later is set aside."""
        workers = self.state.parallel.workers
        if workers.first:
            checkpoint_files.set_aside_after(self.folder, at_most_step, key=self.key)
        loaded = self._load(self._recover())
        while loaded.info is not None and not workers.told(is_finite(self.state)):
            if workers.first:
                checkpoint_files.set_aside(loaded.info.path)
            loaded = self._load(self._recover())
        return loaded

    def unusable(self, info: CheckpointInfo) -> str | None:
        """Why the facts of a whole checkpoint cannot be taken up, or None."""
        return unusable_facts(info, like={**place_of(self.state), **self.initial_facts})

    def _recover(self) -> CheckpointInfo | None:
        """The checkpoint to go on from. The first worker looks, mends and decides; what the others see of the folder may be older."""
        info, workers = None, self.state.parallel.workers
        while workers.first:
            info = checkpoint_files.recover(self.folder, key=self.key, on_damage=self._report_damage, on_lost_best=self._report_lost_best)
            if info is None or (reason := self.unusable(info)) is None:
                break
            self._report_damage(checkpoint_files.set_aside(info.path), reason)
        return chosen_by_first(info, self.folder, workers)

    def _load(self, info: CheckpointInfo | None) -> Loaded:
        """Make the state that of a checkpoint, or of before step 0. All workers have read it then: it may be moved or written anew."""
        if info is not None:
            facts = load_step(info, self.state)
        else:
            self.begin()
            facts = dict(self.initial_facts)
        self.state.parallel.workers.wait()
        return Loaded(info, facts)

    def begin(self) -> str | None:
        """Make the state that of before step 0. Returns: as `put_start`."""
        assert self.put_start is not None
        state = self.state
        state.optimizer.state.clear()
        why = self.put_start()
        if state.loss_scale is not None:
            state.loss_scale.reset()
        if state.average is not None:
            state.average.reset()
        state.step, state.position, state.tokens, state.rate_factor = 0, 0, 0, 1.0
        return why

    def _report_damage(self, place: Path, reason: str) -> None:
        self.warn("damaged-checkpoint", f"a checkpoint was damaged and is set aside in {place.parent.name}/{place.name}: {reason}")

    def _report_lost_best(self, step: int) -> None:
        self.warn("lost-best-checkpoint", f"the best weights, those of step {step}, are gone; training goes back to make them again, "
                   "and what was saved after them is set aside in checkpoints/quarantine")  # fmt: skip
