"""What happens during a run, as frozen values, and the protocol of whoever listens.

Training code calls `emit(event)` and knows nothing else: not the journal, not the terminal, not a tracker. Times are not
part of an event; the listener that stores it stamps it. `Progress` and `Message` are for the terminal alone and are not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Action = Literal["run", "cached", "resume", "skip"]
RunStatus = Literal["running", "completed", "stopped_early", "interrupted", "failed", "crashed"]
Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Metrics:
    """All scalars of one optimizer step together. epoch: passes over the training split so far; tokens: trained on so far."""

    step: int
    values: Mapping[str, float]
    epoch: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class System:
    """Readings of the machine; a reading that the machine cannot give is absent, never 0."""

    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know. code: stable, named after the pattern. step: optimizer step, where there is one."""

    level: Level
    code: str
    message: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder that a step produced. path: relative to the store; producer: the step's id."""

    role: str
    path: str
    sha256: str
    size_bytes: int
    producer: str


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of time inside a plan step (an evaluation, a checkpoint save)."""

    name: str
    producer: str
    seconds: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A plan step with what was predicted and what it took. actual is empty until the step has ended.

    Keys of both mappings: seconds, memory_bytes, disk_bytes; a quantity that is not known is absent.
    """

    id: str
    kind: str
    key: str
    action: Action
    reason: str
    predicted: Mapping[str, float] = field(default_factory=dict)
    actual: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """The run's state changed. resumed_from: the optimizer step an attempt starts after; what earlier attempts recorded
    for later steps no longer counts."""

    status: RunStatus
    reason: str = ""
    resumed_from: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The process that owns the journal is alive."""


@dataclass(frozen=True, slots=True)
class Example:
    """Something to look at: a generated text, a prediction. data: plain JSON values."""

    step: int
    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Label:
    """The run's name or tags changed; nothing was run for it. number: more than that of every label known to who gives it."""

    name: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    number: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a plan step stands, for the terminal. unit: what done and total count ("step", "document", "file")."""

    producer: str
    done: int
    total: int | None
    unit: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A line for the terminal that belongs to no record."""

    text: str


Stored = Metrics | System | Alert | Artifact | Span | StepRecord | Status | Heartbeat | Example | Label
Event = Stored | Progress | Message
Emit = Callable[[Event], None]


class Recorder(Protocol):
    """Takes events as they happen. Must return fast and must not raise for a full disk more than once."""

    def emit(self, event: Event) -> None: ...
