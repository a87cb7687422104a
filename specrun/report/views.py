"""What a report shows, as plain frozen data: every figure is text already, so templates hold no arithmetic.

How a run's records become one: `run_view`. How one becomes a document: `render`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from specrun.report.curves import Curve

Across = Literal["step", "seconds", "minutes", "hours"]
Tone = Literal["good", "neutral", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure or name with what it is. note: what it is measured against, or where. mono: a name of the machine's."""

    label: str
    value: str
    note: str = ""
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. numeric: aligned right, with figures of one width."""

    label: str
    numeric: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Cells in the order of the columns; the first one names the row. quiet: set back, such as a baseline."""

    cells: tuple[str, ...]
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption for those who cannot see where it stands."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to read before the figures. code: stable, named after the pattern; where: "step 1,200" or empty."""

    level: Literal["info", "warning", "error"]
    code: str
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class GateRow:
    """An `expect` gate, what was found, and whether it holds."""

    expression: str
    passed: bool
    value: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a panel: the best step, or (step None) a level such as the baseline."""

    label: str
    value: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """Bounds of a panel's values. log: powers of ten. style: how figures are written."""

    low: float
    high: float
    log: bool = False
    style: Literal["number", "percent", "rate", "count"] = "number"


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. axes: the first is shown, a second one is offered. empty: why there is nothing to draw, else "".

    steps: the domain across, in optimizer steps, or in the unit of time that `across` names.

    summary: the chart in a sentence, for those who cannot see it. note: what the drawing leaves out. values: the text
    alternative.
    """

    id: str
    title: str
    unit: str
    curves: tuple[Curve, ...]
    steps: tuple[float, float]
    axes: tuple[Axis, ...]
    summary: str
    note: str
    values: Table
    best: Mark | None = None
    level: Mark | None = None
    empty: str = ""
    across: Across = "step"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluated checkpoint on whole splits, the baseline beside it, and the sums that the figures follow from."""

    sentence: str
    metrics: Table
    sums: Table | None
    formulas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskFigure:
    """A figure that the task gives of its model. document: the data to draw, checked; values: the same as a table, None where it cannot be
    drawn, and then empty says why."""

    id: str
    kind: str
    title: str
    caption: str
    split: str
    document: Mapping[str, Any]
    values: Table | None
    empty: str = ""

    @property
    def drawn(self) -> bool:
        """Whether there is a drawing, beside the table."""
        return not self.empty and self.kind != "table"


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated text, or (parts) another thing to look at, such as what was asked, predicted and true. step: which weights made it, in
    words. figure: the loss at that step. cut: how many characters are left out, as text, or empty."""

    step: str
    figure: str
    prompt: str
    text: str
    cut: str = ""
    parts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan step, predicted against actual. Fractions are of the longest stretch of all rows, 0 to 100, as text for
    a drawing."""

    id: str
    action: str
    reason: str
    key: str
    predicted_time: str
    actual_time: str
    ratio: str
    predicted_memory: str
    actual_memory: str
    disk: str
    predicted_bar: str = ""
    actual_bar: str = ""


@dataclass(frozen=True, slots=True)
class SpecRow:
    """A value of the resolved spec. origin: where it came from; is_default: nobody set it."""

    path: str
    value: str
    origin: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything the report of one run shows, top to bottom."""

    title: str
    name: str
    run_id: str
    description: str
    status: str
    tone: Tone
    headline: tuple[str, ...]
    subtitle: tuple[str, ...]
    notices: tuple[Notice, ...]
    gates: tuple[GateRow, ...]
    tiles: tuple[Fact, ...]
    what: tuple[Fact, ...]
    attempts: Table | None
    panels: tuple[Panel, ...]
    evaluation: Evaluation | None
    figures: tuple[TaskFigure, ...]
    samples: tuple[Sample, ...]
    samples_note: str
    data: tuple[Fact, ...]
    splits: Table | None
    plan: tuple[PlanRow, ...]
    plan_note: str
    hardware: tuple[Fact, ...]
    reasons: tuple[str, ...]
    machine: tuple[Panel, ...]
    spec: tuple[SpecRow, ...]
    spec_set_count: int
    environment: tuple[Fact, ...]
    command: str
    packages: Table | None
    artifacts: Table | None
    version: str
