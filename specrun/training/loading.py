"""Checkpoints back into a training: which of them it goes on from, and a state made that of one, or of before step 0.

Owns what is set aside on the way, and says so. What the facts mean that were saved beside the tensors is `session`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.errors import SpecrunError
from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo
from specrun.training.checkpoints import is_finite, load_step, place_of, unusable_facts
from specrun.training.following import chosen_by_first
from specrun.training.loop import TrainState

OUTDATED = "outdated-checkpoint"
"""Code of what is whole to the last byte and lacks what this version goes on from."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a state was made that of. info: None where that is of before step 0. facts: of whoever drives the loop, as they were saved."""

    info: CheckpointInfo | None
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Loader:
    """Loads the states of one training. folder: of its checkpoints; key: of the train step. initial_facts: as a checkpoint of before
    step 0 would have them; one that has fewer is not gone on from. put_start: puts the weights of before step 0 into the state, and
    into its empty optimizer what that began with; returns why that began anew, where another run's was to be gone on with. adopt: makes
    the checkpoint of another run this one's, for one that goes on with all of its state; asked where this one has none.
    """

    folder: Path
    key: str
    state: TrainState
    warn: Callable[[str, str], None]
    initial_facts: Mapping[str, Any]
    put_start: Callable[[], str | None] | None = None
    adopt: Callable[[], None] | None = None

    def newest(self) -> Loaded | None:
        """Load the newest whole checkpoint, or one from before the best weights where these are lost. Without any, changes nothing."""
        info = self._recover()
        return None if info is None else self._load(info)

    def newest_good(self, *, at_most_step: int, or_else_step: int) -> Loaded:
        """Load the newest whole checkpoint of no later step that has neither NaN nor infinity in it; where none of them is kept, that of
        `or_else_step`; where that is not there, the state that training began with. All that was saved later is set aside.

        Raises: SpecrunError where another run's checkpoint, which it began with, is not finite.
        """
        workers = self.state.parallel.workers
        if workers.first:
            stays = or_else_step > at_most_step and not self._is_any_whole(at_most_step)
            checkpoint_files.set_aside_after(self.folder, or_else_step if stays else at_most_step, key=self.key)
        loaded, refused = self._load(self._recover()), set[int]()
        while loaded.info is not None and not workers.told(is_finite(self.state)):
            if (step := loaded.info.step) in refused:  # it has been adopted anew since
                what = f"the checkpoint of step {step}, which this training goes on from, holds numbers that are not finite"
                hint = "train anew without --resume, with a lower schedule.optimizer.learning_rate"
                raise SpecrunError(what, code="checkpoint-not-finite", hint=hint)
            refused.add(step)
            if workers.first:
                checkpoint_files.set_aside(loaded.info.path)
            loaded = self._load(self._recover())
        return loaded

    def unusable(self, info: CheckpointInfo) -> str | None:
        """Why the facts of a whole checkpoint cannot be taken up, or None."""
        return unusable_facts(info, like={**place_of(self.state), **self.initial_facts})

    def _is_any_whole(self, at_most_step: int) -> bool:
        """Whether a checkpoint of no later step can be gone on from."""
        kept = [info for info in checkpoint_files.checkpoints(self.folder, key=self.key) if info.step <= at_most_step]
        return any(checkpoint_files.damage(info.path) is None and self.unusable(info) is None for info in kept)

    def _recover(self) -> CheckpointInfo | None:
        """The checkpoint to go on from. The first worker looks, mends and decides; what the others see of the folder may be older."""
        info, workers = None, self.state.parallel.workers
        if workers.first:
            info = self._newest_usable()
            if info is None and self.adopt is not None:
                self.adopt()
                info = self._newest_usable()
        return chosen_by_first(info, self.folder, workers)

    def _newest_usable(self) -> CheckpointInfo | None:
        while True:
            info = checkpoint_files.recover(self.folder, key=self.key, on_damage=self._report_damage, on_lost_best=self._report_lost_best)
            if info is None or (reason := self.unusable(info)) is None:
                return info
            self._report_outdated(checkpoint_files.set_aside(info.path), reason)

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

    def _report_outdated(self, place: Path, reason: str) -> None:
        self.warn(OUTDATED, f"a checkpoint cannot be taken up and is set aside in {place.parent.name}/{place.name}: {reason}")

    def _report_lost_best(self, step: int) -> None:
        self.warn("lost-best-checkpoint", f"the best weights, those of step {step}, are gone; training goes back to make them again, "
                   "and what was saved after them is set aside in checkpoints/quarantine")  # fmt: skip
