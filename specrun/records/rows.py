"""Rows that queries return, frozen. Times are UTC, ISO 8601; durations seconds; sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it. duration_s: wall time of all its attempts, each up to its outcome (without the report); metrics:
    what the run's end reported of each metric, else its last value; experiment: the same for runs that differ by seed
    or fold alone; fold: of how many folds, from 1, None where there are none."""

    run_id: str
    name: str
    status: str
    reason: str
    task: str
    seed: int
    attempts: int
    started_at: str
    finished_at: str | None
    duration_s: float
    tags: tuple[str, ...]
    comparable: bool
    metrics: Mapping[str, float]
    experiment: str = ""
    smoke: bool = False
    fold: int | None = None
    folds: int | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt at a run. seconds: up to its outcome, or to its last sign of life; resumed_from: the optimizer step that it went on
    after, None where it began with the first."""

    attempt: int
    status: str
    reason: str
    started_at: str
    seconds: float
    resumed_from: int | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A run in a ranking. value: what its end reported, or, in_training, the best figure recorded in training so far, of at most
    so many batches of the split (None: of all)."""

    run: RunRow
    value: float
    in_training: bool
    batches: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over seeds and folds. standard_deviation: of the sample (n - 1); None where n is 1, or a value is not finite. folds: how
    many different ones there are among the n; 0 of runs without."""

    mean: float
    standard_deviation: float | None
    n: int
    folds: int = 0


@dataclass(frozen=True, slots=True)
class Caution:
    """Why runs in one ranking may not be compared. code: stable, named after the pattern."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric. step: optimizer step; epoch: passes over the training split so far; tokens: trained on so far."""

    step: int
    value: float
    epoch: float | None
    tokens: int | None
    time: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the machine. time_s: seconds since 1970, UTC; attempt: which of the run's it was made in."""

    attempt: int
    time_s: float
    value: float


@dataclass(frozen=True, slots=True)
class StepRow:
    """A plan step of a run, predicted against actual."""

    id: str
    kind: str
    key: str
    action: str
    reason: str
    predicted: Mapping[str, float]
    actual: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert of a run."""

    time: str
    level: str
    code: str
    message: str
    step: int | None


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """Something to look at."""

    step: int
    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A file or folder of a run."""

    role: str
    path: str
    sha256: str
    size_bytes: int
    producer: str


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A metric of a run in one line. argmin: optimizer step of the smallest value; tail_mean: mean of the last 5 %; final: what
    the run's end reported, which is not on the curve."""

    metric: str
    first: float
    last: float
    minimum: float
    maximum: float
    argmin: int
    argmax: int
    tail_mean: float
    count: int
    final: float | None = None
