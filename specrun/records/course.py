"""Owns what a run's journals tell of the course of its training up to a step, as events that another journal can take.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from specrun.events import Alert, Example, Metrics, Status, StepRecord
from specrun.records.journal_reader import journal_files, read_journal

__all__ = ["course_until"]


def course_until(run_folder: Path, step: int) -> Iterator[Metrics | Example | Alert]:
    """What training itself recorded of the steps up to one, in their order, as far as it still counts: as `derive` has it, the last record
    of a thing, and none that a later attempt began before; each alert once. Raises: StoreError for a journal of a newer version."""
    metrics, examples, alerts, training = dict[int, Metrics](), dict[tuple[int, str], Example](), dict[Alert, None](), False
    for file in journal_files(run_folder):
        for record in read_journal(file.path):
            match record.event():
                case StepRecord() as begun_or_done:
                    training = begun_or_done.kind == "train" and not begun_or_done.actual
                case Metrics() as found if training and found.step <= step:
                    earlier = metrics.get(found.step)
                    values = {**(earlier.values if earlier is not None else {}), **found.values}
                    metrics[found.step] = Metrics(found.step, values, found.epoch, found.tokens)
                case Example() as found if training and found.step <= step:
                    examples[found.step, found.name] = found
                case Alert(step=int(at)) as found if training and at <= step:
                    alerts.setdefault(found)
                case Status(resumed_from=int(begun)):
                    metrics = {at: it for at, it in metrics.items() if at <= begun}
                    examples = {key: it for key, it in examples.items() if key[0] <= begun}
    course: list[Metrics | Example | Alert] = [*metrics.values(), *examples.values(), *alerts]
    yield from sorted(course, key=lambda it: it.step or 0)
