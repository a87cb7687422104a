"""The figures of a run: measured a step at a time, averaged over intervals and over all attempts, and told to the world as events.

Owns the meter, the stopwatch and the words; what is due when is `session`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from specrun.events import Alert, Emit, Metrics, Progress, Span
from specrun.plan import figures
from specrun.plan.resolve import ResolvedSchedule, result_steps
from specrun.training.loop import StepStats, TrainState
from specrun.training.meters import Meter, Stopwatch
from specrun.training.recovery import Fault
from specrun.training.saving import Written
from specrun.training.selection import Best

_MOST_RESULT_STEPS = result_steps(10**9)
"""Kept where it is not known before the end of how many steps a result is the mean."""


@dataclass(slots=True)
class Account:
    """Of one run over its attempts. producer: id of the step; clock: in seconds. counts: what predictions are called: of tokens alone there
    is a throughput beside that of samples. write_seconds: of the newest write of a checkpoint."""

    state: TrainState
    schedule: ResolvedSchedule
    emit: Emit
    producer: str
    clock: Callable[[], float]
    warnings: list[str] = field(default_factory=list)
    write_seconds: float = 0.0
    counts: str = "tokens"
    _meter: Meter = field(init=False)
    _watch: Stopwatch = field(init=False)
    _positions: int = 0
    _told_of_trouble: bool = False
    _told_of_unpinned: bool = False

    def __post_init__(self) -> None:
        self._watch = Stopwatch(self.clock)
        self._meter = Meter(newest=_MOST_RESULT_STEPS if self.state.time_limit else result_steps(self.schedule.total_steps))

    def add(self, stats: StepStats) -> None:
        """Take in a step, without waiting for the device."""
        self._meter.add(stats)
        self._watch.count_step(tokens=stats.tokens, positions=stats.positions)
        self._positions += stats.positions

    def read(self) -> list[Fault]:
        """Bring the figures of the newest steps to the host. Returns the steps that are not finite."""
        return self._meter.read(self.state.device)

    def waiting(self) -> AbstractContextManager[None]:
        """To be entered while the training thread waits for a batch."""
        return self._watch.waiting()

    @property
    def step_seconds(self) -> float:
        """Seconds that steps took, over all attempts, up to the newest. Not to be asked for in a pause."""
        return self._watch.so_far

    def lap(self) -> float:
        """Seconds that steps took since the last call; none at an attempt's first, whose step sets up what it needs."""
        return self._watch.lap()

    def pause(self) -> None:
        """What follows is no part of the time of steps, until `start`."""
        self._watch.pause()

    def start(self) -> None:
        """Count time to steps again."""
        self._watch.start()

    def result(self) -> dict[str, float]:
        """The figures of the run once it has ended: of its last steps, and of all its time. How often it logged changes none of them."""
        newest = result_steps(self.state.step) if self.state.time_limit is not None else None
        return self._meter.result(newest) | self.rates()

    def rates(self) -> dict[str, float]:
        """Throughput over all attempts, evaluations and checkpoints left out."""
        step, tokens = self.state.step, self.state.tokens
        padding = self._padding(1 - tokens / max(1, self._positions))
        waited = {"throughput/data_wait_share": self._watch.total_wait_share}
        return self._rates(self._watch.total / step, step_tokens=tokens / step) | waited | padding

    @property
    def predictions_per_second(self) -> float:
        """Trained on, over all attempts, evaluations and checkpoints left out."""
        step = self.state.step
        return (self.state.tokens / step) / (self._watch.total / step)  # rounded as the metric of tokens is

    def log(self, best: Best, *, total_steps: int) -> None:
        """Tell the means of the interval, which ends here. total_steps: of the whole training, as far as it is known."""
        figures = self._meter.take()
        seconds = self._watch.take()
        rates = self._rates(seconds, step_tokens=self._watch.step_tokens) | self._padding(self._watch.padding_share)
        rates["throughput/data_wait_share"] = self._watch.wait_share
        self.record(figures | rates)
        values = {
            "loss": figures["train/loss"],
            "learning_rate": figures["train/learning_rate"],
        }
        speed = "tokens_per_second" if self.counts == "tokens" else "samples_per_second"
        values[speed] = rates[f"throughput/{speed}"]
        if best.value is not None and best.step is not None:
            values |= {"best": best.value, "best_step": float(best.step)}
        self.emit(Progress(self.producer, self.state.step, total_steps, "step", values))

    def record(self, values: Mapping[str, float]) -> None:
        """Tell metrics of the newest step."""
        step = self.state.step
        self.emit(Metrics(step, values, epoch=self.schedule.epoch(step), tokens=self.state.tokens))

    def timed(self, name: str, work: Callable[[], None]) -> None:
        """Do some work, and tell for how long training stood still."""
        started = self.clock()
        work()
        self.emit(Span(name, self.producer, self.clock() - started, self.state.step))

    def tell_written(self, written: Iterable[Written]) -> None:
        """What was written beside training, and how long that took."""
        for one in written:
            self.write_seconds = one.seconds
            if one.trouble is not None and not self._told_of_trouble:  # those that stay meanwhile do so for the same reason
                self._told_of_trouble = True
                self.warn("checkpoint-not-removed", one.trouble, one.info.step)
            if (unpinned := self.state.device.unpinned_bytes) and not self._told_of_unpinned:
                self._told_of_unpinned = True
                self.warn("snapshot-not-pinned", f"the system would not pin {figures.size(unpinned)} of memory, from which checkpoints are "
                          "written: training stands still while they are copied from the device", one.info.step)  # fmt: skip
            self.emit(Span("checkpoint-write", self.producer, one.seconds, one.info.step))

    def tell_compiled(self) -> None:
        """What compiling took in this step, apart from the time of steps, and what became of it."""
        compilation, step = self.state.compilation, self.state.step
        if compilation is None:
            return
        for note in compilation.take_notes():
            self.warn(note.code, note.message, step)
        if seconds := compilation.take_seconds():
            self._watch.leave_out(seconds)
            self.emit(Span("compile", self.producer, seconds, step))
            self.record(compilation.figures.metrics())

    def warn(self, code: str, message: str, step: int | None = None) -> None:
        """Tell of something, and keep it for the outcome."""
        self.warnings.append(message)
        self.emit(Alert("warning", code, message, step))

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "meter": self._meter.to_json(),
            "step_seconds": self._watch.total,
            "wait_seconds": self._watch.waited,
            "computed_positions": self._positions,
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self._meter = Meter.from_json(facts["meter"], newest=self._meter.newest)
        self._watch = Stopwatch(self.clock, facts["step_seconds"], facts["wait_seconds"])
        self._positions = facts["computed_positions"]

    def _rates(self, step_seconds: float, *, step_tokens: float) -> dict[str, float]:
        """Throughput at so many seconds and predictions an optimizer step."""
        tokens = {"throughput/tokens_per_second": step_tokens / step_seconds} if self.counts == "tokens" else {}
        return {
            **tokens,
            "throughput/samples_per_second": self.schedule.batch_size / step_seconds,
            "throughput/step_seconds": step_seconds,
        }

    def _padding(self, share: float) -> dict[str, float]:
        """The share of padding in what is computed, where samples are of several lengths."""
        varies = self.schedule.sample_tokens is not None
        return {"throughput/padding_share": share} if varies else {}
