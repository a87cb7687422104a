"""What: an `expect` gate that cannot be read, or names a metric that the finished run will not have.

Why: a gate that is never judged lets everything pass.

Example: `expect: ["test/perplexty < 60"]`, or a gate on `test/...` while the split has no test part. Remedy: `metric operator number`
with a metric of the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from specrun.spec.amounts import with_point
from specrun.spec.document import Spec
from specrun.spec.gates import parse_gate
from specrun.spec.metrics import final_metrics, has_test_split, task_metrics
from specrun.spec.nearest import listed, nearest_metric
from specrun.spec.section import Problem, apart
from specrun.spec.shape import valid_items

CODE = "gate-without-metric"
UNREADABLE = "unreadable-gate"


def check(spec: Spec) -> Iterator[Problem]:
    """Read every gate and look its metric up."""
    yield from apart(*(_check(spec, ("expect", index), text) for index, text in valid_items(spec.expect)))


def _check(spec: Spec, path: tuple[str | int, ...], text: str) -> Iterator[Problem]:
    try:
        metric = parse_gate(text).metric
    except ValueError as error:
        yield Problem(path, UNREADABLE, str(error), f"write {_meant(text)}")
        return
    if metric.startswith("export/"):
        yield Problem(path, "not-available-yet", f"{metric}: export is part of the language, but not available yet", "remove it for now")
    elif metric not in final_metrics(spec):
        yield _unknown(spec, path, metric)


def _meant(text: str) -> str:
    """A gate with what can be kept of one that cannot be read."""
    metric = re.search(r"[A-Za-z][\w.-]*(?:/[\w.-]+)+", text)
    if metric is None:
        return "validation/loss < 4"
    rest = text[metric.end() :]
    bound = re.search(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\Z", with_point(re.split(r"[\s<>=]", rest.strip())[-1]))
    sign = next((sign for sign in "<>" if sign in rest), "=" if "=" in rest else "<")
    equal = "=" if "=" in rest else ""
    return f"{metric[0]} {sign}{equal} {bound[0] if bound else '4'}"


def _unknown(spec: Spec, path: tuple[str | int, ...], metric: str) -> Problem:
    split, _, name = metric.partition("/")
    if split == "test" and name in task_metrics(spec) and not has_test_split(spec):
        hint = f"use validation/{name}, or give data.split a test part"
        return Problem(path, CODE, f"{metric} does not exist: the split has no test part", hint)
    known = final_metrics(spec)
    near = nearest_metric(metric, known)
    hint = f"did you mean {near}?" if near else f"metrics are {listed(known, 'and')}"
    return Problem(path, CODE, f"a run of {spec.task.kind} has no metric {metric}", hint)
