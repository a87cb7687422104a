"""The plan: a tuple of steps, parents first. Two readers consume it: `explain` prints it, the engine executes it."""

from __future__ import annotations

from dataclasses import dataclass

from specrun.plan.step import Step


@dataclass(frozen=True, slots=True)
class StepGraph:
    """Steps in an order in which each can run. spec_digest: of the resolved spec the plan was made from."""

    name: str
    spec_digest: str
    steps: tuple[Step, ...]

    def step(self, id: str) -> Step:
        """The step of that id. Raises KeyError where there is none."""
        for step in self.steps:
            if step.id == id:
                return step
        raise KeyError(id)

    def parents(self, step: Step) -> tuple[Step, ...]:
        """What the step reads, in the order it declares."""
        return tuple(self.step(id) for id in step.needs)

    def children(self, step: Step) -> tuple[Step, ...]:
        """Steps that read this one."""
        return tuple(other for other in self.steps if step.id in other.needs)
