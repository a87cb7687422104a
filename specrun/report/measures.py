"""The metrics that a run's task declares: their names in its order, what they are called, and how they are written.

A task of a user's own is known by what its run recorded of it; one that nobody knows has the names that were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from specrun.report.facts import Facts, mapping
from specrun.report.numbers import number, percent
from specrun.spec.metrics import Declared, declared
from specrun.spec.task_options import Goal

SPLITS = ("validation", "test")
_SHORT_NOTE = 15
"""Characters of a unit that a column has room for."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric without its split. label: what it is called; note: its unit, or what it is of; share: written in per cent."""

    name: str
    label: str
    note: str
    goal: Goal | None
    share: bool = False

    @property
    def heading(self) -> str:
        """The label with its unit, where that is short."""
        return f"{self.label}, {self.note}" if 0 < len(self.note) <= _SHORT_NOTE else self.label

    def write(self, value: float | None) -> str:
        """A value as text."""
        return percent(value) if self.share else number(value)

    def distance(self, amount: float) -> str:
        """How far two values are apart, as text with the unit where it has one that is counted in."""
        if self.share:
            return f"{number(100 * abs(amount), digits=2)} points"
        return f"{number(abs(amount), digits=3)} {self.note}" if self.note.startswith("nats") else number(abs(amount), digits=3)


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better a split's figure is than that of the best baseline; negative where it is worse."""

    split: str
    measure: Measure
    amount: float
    baseline: str

    @property
    def text(self) -> str:
        """`2.43 nats per token below the unigram baseline`."""
        place = "below" if (self.amount >= 0) == (self.measure.goal == "minimize") else "above"
        return f"{self.measure.distance(self.amount)} {place} the {self.baseline}"


def measures(facts: Facts) -> list[Measure]:
    """Every metric of the run's task, in the task's order."""
    said = task_of(facts)
    if said is not None:
        return [_measure(said, name, goal) for name, goal in said.metrics.items()]
    names = (name.partition("/") for name in (*facts.metrics, *facts.series))
    found = dict.fromkeys(name for split, _, name in names if split in SPLITS)
    return [Measure(name, _words(name), "", None) for name in sorted(found)]


def recorded(facts: Facts, split: str) -> list[Measure]:
    """Those that were recorded of a split."""
    return [measure for measure in measures(facts) if f"{split}/{measure.name}" in facts.metrics]


def baselines(facts: Facts, split: str) -> list[tuple[str, dict[str, float]]]:
    """(label, metrics) of each baseline of a split."""
    found = mapping(facts.result("evaluate").get("baselines")).get(split)
    return [(_labelled(one), _finite(mapping(one.get("metrics")))) for one in map(mapping, found if isinstance(found, list) else ())]


def level(facts: Facts, split: str, name: str) -> tuple[str, float] | None:
    """The best baseline's label and value of a metric; None where none has it, or where nothing says which way is better."""
    measure = next((measure for measure in measures(facts) if measure.name == name), None)
    known = [(label, values[name]) for label, values in baselines(facts, split) if name in values]
    if measure is None or measure.goal is None or not known:
        return None
    best = min if measure.goal == "minimize" else max
    return best(known, key=lambda one: one[1])


def gain(facts: Facts, split: str) -> Gain | None:
    """By the metric that chose the checkpoint where every baseline has it, or else the first one that all of them, or one, has."""
    chosen, rivals = facts.best_metric.partition("/")[2], [values for _, values in baselines(facts, split)]
    shared = {name for name in (rivals[0] if rivals else ()) if all(name in values for values in rivals)}
    for measure in sorted(recorded(facts, split), key=lambda measure: (measure.name not in shared, measure.name != chosen)):
        value, beaten = facts.metrics[f"{split}/{measure.name}"], level(facts, split, measure.name)
        if beaten is not None:
            if not math.isfinite(value):
                return None
            amount = beaten[1] - value if measure.goal == "minimize" else value - beaten[1]
            return Gain(split, measure, amount, beaten[0])
    return None


def measure_of(facts: Facts, metric: str) -> Measure | None:
    """Of a metric with its split; None for one that the task does not declare."""
    name = metric.partition("/")[2]
    return next((measure for measure in measures(facts) if measure.name == name), None)


def task_of(facts: Facts) -> Declared | None:
    """What the run's task says of itself; None for one that this installation does not know, and that the run has not recorded."""
    return declared(facts.run.task, facts.document.get("declares"))


def _measure(said: Declared, name: str, goal: Goal | None) -> Measure:
    label, _, note = said.metric_labels.get(name, _words(name)).partition(", ")
    return Measure(name, label, note, goal, name in said.metric_shares)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _labelled(one: Mapping[str, Any]) -> str:
    label = str(one.get("label") or one.get("name") or "")
    return label if label.endswith("baseline") else f"{label} baseline"


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    items: Iterable[tuple[str, Any]] = values.items()
    return {name: float(value) for name, value in items if isinstance(value, int | float) and math.isfinite(value)}
