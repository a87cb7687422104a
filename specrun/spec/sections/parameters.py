"""The `schedule.parameters` section: which parameters are trained, and through what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from specrun.spec.section import Section, option

Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class Lora(Section):
    """Low-rank adapters on linear layers; everything else is frozen (Hu et al. 2021)."""

    rank: int = option(8, impact="weights", description="Rank of each adapter's product.", ge=1, le=65_536)
    alpha: float = option(16.0, impact="weights", description="Scale of an adapter, divided by its rank.", gt=0, le=10**6)
    dropout: float = option(0.0, impact="weights", description="Dropout rate of what goes into an adapter, 0 to 1.", ge=0, lt=1)
    targets: tuple[Pattern, ...] = option(
        ("*",),
        impact="weights",
        description="Linear layers that get an adapter: names with * and ?, such as blocks.*.attention.*; the output layer is not one.",
        min_length=1,
        max_length=100,
    )


class Average(Section):
    """A moving average of the weights, which is evaluated and kept as best in their place; training goes on with the weights."""

    decay: float = option(
        0.999,
        impact="weights",
        description="Share of the old average that a step leaves; less while few steps are done: (1 + steps) / (10 + steps).",
        gt=0,
        lt=1,
    )


class Parameters(Section):
    """Which parameters are trained, and which weights are evaluated."""

    frozen: tuple[Pattern, ...] = option(
        (),
        impact="weights",
        description="Parameters that stay as they are, without optimizer state: names with * and ?, such as blocks.0.* or *.bias.",
        max_length=100,
    )
    average: Average | None = option(
        None, impact="weights", description="A moving average of the weights to evaluate and keep; absent means the weights themselves."
    )
    lora: Lora | None = option(
        None, impact="weights", description="Low-rank adapters, trained in place of the weights; absent means the weights themselves."
    )
