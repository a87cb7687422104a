"""A training run around its optimizer steps: what is logged, judged and saved, and when. Speaks to the world by events.

Owns cadences. The step itself is `loop`, the figures are `account`'s, what is saved and how `saving`'s, what is gone on from and how
`loading`'s, what is learned the task's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from specrun.events import Alert, Emit, Example, Span, Status
from specrun.plan.resolve import ResolvedSchedule
from specrun.spec.sections.schedule import Schedule
from specrun.training import checkpoint_files
from specrun.training.account import Account
from specrun.training.checkpoint_files import CheckpointInfo
from specrun.training.following import Follower
from specrun.training.loading import Loaded, Loader
from specrun.training.loop import StepStats, TrainState
from specrun.training.recovery import Climb, Ladder, WayBack, evaluate_what_fits, examples_that_fit
from specrun.training.saving import Saver
from specrun.training.selection import Best
from specrun.training.weight_average import judged

SPLIT = "validation"


class _AskedToStop(Exception):
    """Ends an evaluation, so that the state can be saved while there is time."""


@dataclass(slots=True)
class Session:
    """One run, over any number of attempts. folder: of its checkpoints; key: of the train step; producer: its id.

    metrics: of the last evaluation; patience: the tracker of early stopping, where there is one; stop_requested: gives the number of
    the signal that asks for an end, or None. Where evaluations come by time, that is what steps take, as the first of several processes
    has it: an evaluation that takes longer than the time between two is not followed by the next at once.
    """

    state: TrainState
    schedule: ResolvedSchedule
    options: Schedule
    emit: Emit
    folder: Path
    key: str
    producer: str
    best: Best
    patience: Best | None = None
    stop_requested: Callable[[], int | None] = lambda: None
    metrics: dict[str, float] = field(default_factory=dict)
    counts: str = "tokens"
    account: Account = field(init=False)
    ladder: Ladder = field(init=False)
    saver: Saver | Follower = field(init=False)
    loader: Loader = field(init=False)
    _evaluated_step: int = 0
    _evaluated_at: float = 0.0
    _trained: float = 0.0
    _clock: Callable[[], float] = time.perf_counter
    _began: float = field(init=False)
    _saved_at: float = field(init=False)
    _saved_step: int | None = None
    _save_due: bool = False
    _earlier_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._saved_at = self._clock()
        self.account = Account(self.state, self.schedule, self.emit, self.producer, self._clock, counts=self.counts)
        self.ladder = Ladder(self.options.recovery, self.warn, self.schedule)
        kept = self.options.checkpoint
        saver = partial(Saver, self.folder, key=self.key, device=self.state.device, keep_last=kept.keep_last, keep_best=kept.keep_best)
        self.saver = saver() if self.state.parallel.first else Follower()
        self.loader = Loader(self.folder, self.key, self.state, self.warn, self._facts())

    @property
    def last(self) -> CheckpointInfo | None:
        """The newest checkpoint that is durable; one that is being written is not yet."""
        return self.saver.last

    @property
    def stopped_early(self) -> bool:
        """Whether the metric of early stopping has not improved for as many evaluations as it may."""
        rule = self.options.early_stopping
        return self.patience is not None and rule is not None and self.patience.stale >= rule.patience.amount

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train or to judge."""
        return (self._at_end and not self._evaluation_pending) or self.stopped_early

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training; of a duration in time, as many as there will be at this speed."""
        step, limit = self.state.step, self.state.time_limit
        return self.schedule.total_steps if limit is None else step if self._at_end else limit.foreseen_steps(step)

    @property
    def _at_end(self) -> bool:
        """Whether the newest step is the last one."""
        step, limit = self.state.step, self.state.time_limit
        return step >= self.schedule.total_steps if limit is None else step > 0 and limit.reached

    @property
    def _evaluation_due(self) -> bool:
        seconds, every = self.schedule.evaluate_every_seconds, self.schedule.evaluate_every_steps
        if seconds is not None:
            return self._at_end or self._evaluation_clock - self._evaluated_at >= seconds
        assert every is not None
        return self._at_end or self.state.step % every == 0

    @property
    def _evaluation_clock(self) -> float:
        """What evaluations come by: seconds of steps where they come by time, of the whole duration where by a share of one in time."""
        if self._evaluates_by_time:
            return self._trained
        return 0.0 if self.state.time_limit is None else self.state.time_limit.spent

    @property
    def _evaluates_by_time(self) -> bool:
        return self.options.evaluate.every.unit == "seconds"

    @property
    def _evaluation_pending(self) -> bool:
        """Whether the newest step should have been judged and was not: a signal came before its end."""
        return self.state.step > 0 and self._evaluation_due and self._evaluated_step != self.state.step

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all attempts, as far as their work was kept."""
        return self._earlier_seconds + self._clock() - self._began

    @property
    def tokens_per_second(self) -> float:
        """Predictions trained on a second, over all attempts, evaluations and checkpoints left out."""
        return self.account.predictions_per_second

    @property
    def result(self) -> dict[str, float]:
        """The figures of the run once it has ended: of its last steps, of all its time, and of the last evaluation."""
        return self.account.result() | self.metrics

    @property
    def warnings(self) -> list[str]:
        """What was warned of, in this attempt."""
        return self.account.warnings

    def waiting(self) -> AbstractContextManager[None]:
        """To be entered while the training thread waits for a batch."""
        return self.account.waiting()

    def resume(self) -> None:
        """Go on from the newest whole checkpoint of the same key, if there is one, or from before the best weights where these are lost."""
        loaded = self.loader.newest()
        if loaded is None:
            if self.state.parallel.workers.restarts:
                self.emit(Status("running", "workers started again", resumed_from=0))
            return
        self._restore(loaded)
        facts = loaded.facts
        self.ladder.restore(facts["recovery"], self.state)
        self._earlier_seconds = facts["seconds"]
        if (limit := self.state.time_limit) is not None:
            limit.restore(
                facts["time_limit"]
                or {"seconds": 0.0, "spent": facts["seconds"], "trained": facts["step_seconds"], "reserve": 0.0, "over": False}
            )
        self.emit(Status("running", "resumed", resumed_from=self.state.step))

    def roll_back(self, way: WayBack) -> None:
        """Take the weights and all that goes with them back to the newest good checkpoint, to the oldest one where none before it is
        kept, to the start where there never was one; and go on from there with the data that comes after what training failed on. What was
        recorded and saved later no longer counts.

        The outcome is saved at once, so that no later attempt goes that way as if for the first time.
        """
        self.settle()
        loaded = self.loader.newest_good(at_most_step=way.newest_step, or_else_step=self.ladder.climb.target_step)
        self._restore(loaded)
        if (limit := self.state.time_limit) is not None:
            kept = loaded.facts["time_limit"]
            limit.trained = kept["trained"] if kept is not None else loaded.facts["step_seconds"]
        self.ladder.gone_back(self.state, way, Climb(**loaded.facts["recovery"]))
        self.emit(Status("running", "rolled back", resumed_from=self.state.step))
        self._saved_step = None
        self.save()

    def _restore(self, loaded: Loaded) -> None:
        """Take up the figures that a state was saved with."""
        facts, info = loaded.facts, loaded.info
        self.metrics = dict(facts["metrics"])
        self.account.restore(facts)
        self._evaluated_step, self._evaluated_at = facts["evaluated_step"], facts["evaluated_at"]
        self._trained = facts["trained"] if self._evaluates_by_time else 0.0
        self.saver.last, self._saved_step = info, info.step if info is not None else None
        self.best.restore(facts["best"])
        if self.patience is not None:
            self.patience.restore(facts["patience"])
        if self.state.plateau is not None:
            self.state.plateau.restore(facts["plateau"])
        if info is not None and info.best_step == info.step:
            self._keep_best_again(info)

    def _keep_best_again(self, info: CheckpointInfo) -> None:
        """Keep the weights of a checkpoint as the best, which they were, where those that were kept are gone."""
        kept = checkpoint_files.checkpoints(self.folder, key=self.key, role="best")
        if self.best.value is None or self.state.parallel.workers.told(any(best.step == info.step for best in kept)):
            return
        self.saver.save_best(self.state, metrics=info.metrics, score=self.best.score(self.best.value))
        self.warn("lost-best-checkpoint", f"the best weights, those of step {info.step}, were gone; they are kept again, from the "
                  "checkpoint of that step")  # fmt: skip

    def after_step(self, stats: StepStats) -> None:
        """Everything that is due once a step has been made."""
        step, schedule = self.state.step, self.schedule
        self.account.add(stats)
        self.saver.get_ready(self.state)
        self.account.tell_written(self.saver.collect())
        self.account.tell_compiled()
        self._look_at_clock()
        last, judge = self._at_end, self._evaluation_due
        log, save = step % schedule.log_every_steps == 0 or last, self._checkpoint_due() or last
        if (log or judge or save) and self._went_back():
            return
        if log:
            self.account.log(self.best, total_steps=self.total_steps)
        if judge:
            self.evaluate()
        if save:
            self.save()

    def _look_at_clock(self) -> None:
        """Take in what goes by time, as the first of several processes has it: how much of the duration is used, and how much of that by
        steps; what steps took that evaluations come by; whether a checkpoint is due. All workers hear of it at once."""
        limit, by_time, every = self.state.time_limit, self._evaluates_by_time, self.schedule.checkpoint_every_seconds
        if limit is None and not by_time and every is None:
            return
        spent, lap, stepped, unsaved = self.state.parallel.workers.told(
            [self.seconds, self.account.lap(), self.account.step_seconds, self._clock() - self._saved_at]
        )
        if limit is not None:
            limit.look(spent, trained=limit.trained + lap)
        if by_time:
            self._trained = stepped
        self._save_due = every is not None and unsaved >= every

    def evaluate(self) -> None:
        """Judge the weights, or their average, on the validation split, once a step, and keep them if they are the best so far.

        Where the run is asked to end meanwhile, the evaluation is left for the next attempt.
        """
        step = self.state.step
        if self._evaluated_step == step or self._went_back():
            return
        self.account.pause()
        started = self._clock()
        try:
            with judged(self.state.average):
                sums, examples = self._validation_sums(), self._examples()
        except _AskedToStop:
            self.account.start()
            return
        self.metrics = {f"{SPLIT}/{name}": value for name, value in sorted(self.state.task.metrics(sums).items())}
        self.account.record(self.metrics)
        for number, data in enumerate(examples):
            self.emit(Example(step, "sample" if number == 0 else f"sample-{number + 1}", data))
        took = self._clock() - started
        self.emit(Span("evaluation", self.producer, took, step))
        self._evaluated_step = step
        if (limit := self.state.time_limit) is not None:
            limit.reserve = self.state.parallel.workers.told(took + self.account.write_seconds)
        self._evaluated_at = self._evaluation_clock
        if self.patience is not None:
            self.patience.update(step, self.metrics)
        if (plateau := self.state.plateau) is not None and plateau.update(step, self.metrics):
            self.emit(Alert("info", "learning-rate-reduced", plateau.told, step))
        if self.best.update(step, self.metrics):
            score = self.best.score(self.metrics[self.best.metric])
            self.account.timed("checkpoint-best", lambda: self.saver.save_best(self.state, metrics=self.metrics, score=score))
        self.account.start()

    def _validation_sums(self) -> Mapping[str, float]:
        limit, climb, state = self.options.evaluate.max_batches, self.ladder.climb, self.state
        evaluate = partial(
            state.task.evaluate, split=SPLIT, max_samples=None if limit is None else limit * self.schedule.batch_size,
            workers=state.parallel.workers, between=self._look_up,
        )  # fmt: skip
        sums, climb.divided = evaluate_what_fits(
            lambda divided: state.parallel.judge(state.model, partial(evaluate, divided=divided)),
            device=state.device, workers=state.parallel.workers, divided=climb.divided,
            warn=lambda code, message: self.warn(code, message, state.step),
        )  # fmt: skip
        return sums

    def _examples(self) -> list[dict[str, Any]]:
        """What there is to look at, made by the first worker; by all of them where each has a share of the weights."""
        state, workers, together = self.state, self.state.parallel.workers, self.state.parallel.fsdp is not None
        examples, asked = [], False
        if together or workers.first:
            write = partial(
                state.task.examples, count=self.options.evaluate.samples, between=self._look_up if together else self._look_alone
            )
            try:
                examples = examples_that_fit(
                    lambda: state.parallel.judge(state.model, write), together=together,
                    warn=lambda code, message: self.warn(code, message, state.step),
                )  # fmt: skip
            except _AskedToStop:
                asked = True
        if workers.largest(asked):
            raise _AskedToStop
        return examples

    def _look_alone(self) -> None:
        """Within what this worker does while the others wait for it."""
        if self.stop_requested():
            raise _AskedToStop

    def _look_up(self) -> None:
        """Between two batches of an evaluation, equally many for each worker: all of them leave it at the same place."""
        if self.state.parallel.workers.largest(self.stop_requested() or 0):
            raise _AskedToStop

    def catch_up(self) -> bool:
        """Make the evaluation that the step before was left without. Returns whether there was one to make."""
        late = self._evaluation_pending
        if late:
            self.evaluate()
            if self._evaluated_step == self.state.step:
                self._saved_step = None
                self.save()
        return late

    def save(self) -> None:
        """Have everything saved that training goes on from, once a step, while training goes on."""
        if self._saved_step == self.state.step or self._went_back():
            return
        self.account.pause()
        facts = self._facts()
        good, best = self.ladder.good_step(self.state.step), self.best.step
        self.account.timed(
            "checkpoint", lambda: self.saver.save_step(self.state, facts, metrics=self.metrics, best_step=best, good_step=good)
        )
        self._saved_step, self._saved_at = self.state.step, self._clock()
        self.account.start()

    def settle(self) -> None:
        """Wait until what is being saved is durable. Raises: StorageFailure where it cannot be."""
        self.saver.wait()
        self.account.tell_written(self.saver.collect())
        self.saver.check()

    def _checkpoint_due(self) -> bool:
        every = self.schedule.checkpoint_every_steps
        return self._save_due if every is None else self.state.step % every == 0

    def _went_back(self) -> bool:
        """Look at the losses, before weights are judged or saved that may not be finite. Whether training went back because of them."""
        way = self.ladder.judge(self.account.read(), self.state)
        if way is not None:
            self.roll_back(way)
        return way is not None

    def _facts(self) -> dict[str, Any]:
        by_time = {"trained": self._trained} if self._evaluates_by_time else {}
        return {
            **self.account.to_json(),
            **by_time,
            "metrics": self.metrics,
            "evaluated_step": self._evaluated_step,
            "evaluated_at": self._evaluated_at,
            "time_limit": self.state.time_limit.to_json() if self.state.time_limit is not None else None,
            "best": self.best.to_json(),
            "patience": self.patience.to_json() if self.patience is not None else None,
            "plateau": self.state.plateau.to_json() if self.state.plateau is not None else None,
            "seconds": self.seconds,
            "recovery": self.ladder.to_json(),
        }

    def warn(self, code: str, message: str, step: int | None = None) -> None:
        """Tell of something, and keep it for the outcome."""
        self.account.warn(code, message, step)
