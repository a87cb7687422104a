"""What: a task that reads a column which the spec does not name.

Why: nothing but the spec says which column of the data is the one to predict, or the time of a row.

Example: `task: {kind: forecasting}` without `columns: {time: ..., target: ...}`. Remedy: name the column.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read

CODE = "missing-column-role"


def check(spec: Spec) -> Iterator[Problem]:
    """Look for the columns of every role that the task needs."""
    columns = spec.data.columns
    for role, need in spec.task.roles.items():
        if need == "required" and read(columns, role) in (None, ()):
            message = f"task {spec.task.kind} reads data.columns.{role}, and the spec does not say which column that is"
            yield Problem(("data", "columns"), CODE, message, f"add data.columns.{role}: NAME, a column of the data")
