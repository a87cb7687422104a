"""What: expectations of data of another form than the task's, or that nothing can meet; a sample of what is whole or nothing.

Why: an expectation of a column that is never read would hold of nothing; a series of which rows are left out is no series any more.

Example: `checks: {ranges: {age: [0, 120]}}` for a task that reads texts alone. Remedy: remove it, or choose a task that reads rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem, apart
from specrun.spec.split_options import named

CODE = "check-without-column"
_AT = ("data", "checks")


def check(spec: Spec) -> Iterator[Problem]:
    """Look at data.checks and data.sample beside the task and the columns."""
    yield from apart(_texts(spec), _time(spec), _rows(spec), _ranges(spec), _sample(spec), _series(spec))


def _texts(spec: Spec) -> Iterator[Problem]:
    if spec.task.data_form == "documents":
        checks = spec.data.checks
        for name in ("nulls", "ranges", "values", "unique", "increasing", "frequency"):
            if getattr(checks, name):
                message = f"{name} is expected of columns, but the task {spec.task.kind} reads texts alone"
                yield Problem((*_AT, name), CODE, message, f"remove {name}")


def _time(spec: Spec) -> Iterator[Problem]:
    checks = spec.data.checks
    if spec.task.data_form == "table" and checks.needs_time and not named(spec.data.columns.time):
        name = "increasing" if checks.increasing else "frequency"
        message = f"{name} is expected of the time of rows, and data.columns.time names no column"
        yield Problem((*_AT, name), CODE, message, "add data.columns: {time: <name of the column>}")


def _rows(spec: Spec) -> Iterator[Problem]:
    checks = spec.data.checks
    if checks.min_rows is not None and checks.max_rows is not None and checks.min_rows > checks.max_rows:
        message = f"min_rows {checks.min_rows:,} is more than max_rows {checks.max_rows:,}, so no number of rows is right"
        yield Problem((*_AT, "min_rows"), "range-upside-down", message, f"set min_rows: {checks.max_rows} or less")


def _ranges(spec: Spec) -> Iterator[Problem]:
    for name, bounds in spec.data.checks.ranges.items():
        low, high = bounds
        if low > high:
            message = f"the range of {name} goes from {low:g} down to {high:g}, so no value is in it"
            yield Problem((*_AT, "ranges", name), "range-upside-down", message, f"write [{high:g}, {low:g}]")


def _sample(spec: Spec) -> Iterator[Problem]:
    sample = spec.data.sample
    if sample is not None and sample.fraction > 1:
        yield Problem(("data", "sample"), "sample-exceeds-data", f"sample {sample} is more than there is", "use 100% or less")


def _series(spec: Spec) -> Iterator[Problem]:
    if spec.data.sample is not None and spec.task.roles.get("time") == "required":
        message = f"the task {spec.task.kind} reads series, and a random share of their rows is none"
        yield Problem(("data", "sample"), "sample-breaks-series", message, "remove sample; limit keeps the first rows of each split")
