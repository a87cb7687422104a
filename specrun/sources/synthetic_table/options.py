"""Options of the `synthetic_table` source: rows of numbers and categories whose target can be predicted as well as is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.sources.drawn_options import DrawnOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(DrawnOptions):
    """Columns x1, x2, … (numbers), c1, c2, … (categories) and y. The optimum of y is told: no model is better but by luck."""

    factory: ClassVar[str] = "specrun.sources.synthetic_table.build:build"

    kind: Literal["synthetic_table"] = option(impact="weights", description="Drawn rows with a known best prediction.")
    objective: Literal["regression", "classification"] = option(
        "regression", impact="weights", description="What y is: a number, or one of some classes."
    )
    rows: int = option(5000, impact="weights", description="Rows of the whole table.", ge=10, le=10**9)
    numbers: int = option(
        6, impact="weights", description="Columns of numbers: by turns y depends on them linearly, as a wave, as a step.", ge=0, le=1000
    )
    categories: int = option(2, impact="weights", description="Columns of categories.", ge=0, le=1000)
    values: int = option(5, impact="weights", description="Values of a category.", ge=2, le=10_000)
    classes: int = option(3, impact="weights", description="Classes of y.", ge=2, le=1000)
    noise: float = option(0.1, impact="weights", description="Share of the variance behind y that no column tells.", gt=0, lt=1)

    @property
    def total_rows(self) -> int:
        return self.rows

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.numbers + self.categories == 0:
            yield Problem((*path, "numbers"), "no-input-columns", "numbers and categories are both 0", "use numbers: 6")
        if self.objective == "regression" and "classes" in self.model_fields_set:
            yield Problem((*path, "classes"), "option-without-effect", "y is a number and has no classes",
                          "remove classes, or use objective: classification", severity="warning")  # fmt: skip
        if self.categories == 0 and "values" in self.model_fields_set:
            yield Problem((*path, "values"), "option-without-effect", "categories is 0", "remove values, or use categories: 2",
                          severity="warning")  # fmt: skip
