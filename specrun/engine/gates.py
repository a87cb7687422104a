"""Judges a run's `expect` gates by its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specrun.plan import figures
from specrun.spec.gates import parse_gate


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """A gate and how it went. value: None where the run has no such figure, which fails."""

    expression: str
    metric: str
    value: float | None
    passed: bool

    @property
    def sentence(self) -> str:
        """`test/perplexity is 61.2, expected test/perplexity < 60`."""
        found = "is missing" if self.value is None else f"is {figures.number(self.value)}"
        return f"{self.metric} {found}, expected {self.expression}"


def judge(expressions: Sequence[str], metrics: Mapping[str, float]) -> tuple[GateOutcome, ...]:
    """Every gate, in the spec's order."""
    outcomes = []
    for expression in expressions:
        gate = parse_gate(expression)
        value = metrics.get(gate.metric)
        outcomes.append(GateOutcome(expression, gate.metric, value, value is not None and gate.evaluate(value)))
    return tuple(outcomes)
