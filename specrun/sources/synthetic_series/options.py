"""Options of the `synthetic_series` source: series with a season, a known price, an observed signal and an error that lasts."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.sources.drawn_options import DrawnOptions
from specrun.spec.section import option


class Options(DrawnOptions):
    """Columns time, series, size (static), price (known ahead), signal (observed) and y, or y1, y2, … The squared error of the best
    forecast is told for each step of a horizon."""

    factory: ClassVar[str] = "specrun.sources.synthetic_series.build:build"

    kind: Literal["synthetic_series"] = option(impact="weights", description="Drawn series with a known best forecast.")
    groups: int = option(4, impact="weights", description="Series.", ge=1, le=100_000)
    steps: int = option(1000, impact="weights", description="Time steps of each series.", ge=10, le=10**6)
    targets: int = option(1, impact="weights", description="Columns to forecast: y, or y1, y2, … where there are several.", ge=1, le=100)
    frequency: Literal["hour", "day"] = option("hour", impact="weights", description="Time between two steps.")
    period: int = option(24, impact="weights", description="Steps of a season.", ge=2, le=10_000)
    autocorrelation: float = option(
        0.8, impact="weights", description="Of the error with that of the step before: what of it lasts for a step.", ge=0, lt=1
    )
    noise: float = option(
        0.3,
        impact="weights",
        description="Standard deviation of what is new in the error at each step; that of the season is 1.",
        gt=0,
        le=100,
    )

    @property
    def total_rows(self) -> int:
        return self.groups * self.steps
