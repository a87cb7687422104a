"""Owns the names of the metrics that a run of a spec will have, and which way each is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from specrun.spec.parts import kinds, options_class
from specrun.spec.shape import read
from specrun.spec.task_options import Goal, TaskOptions

if TYPE_CHECKING:
    from specrun.spec.document import Spec

EVERY_TASK: Mapping[str, Goal | None] = {
    "train/loss": "minimize", "train/learning_rate": None, "train/gradient_norm": None,
    "throughput/samples_per_second": "maximize", "throughput/step_seconds": "minimize", "throughput/data_wait_share": "minimize",
}  # fmt: skip
"""Recorded in training whatever the task; None where neither way is better."""
OF_TOKENS: Mapping[str, Goal | None] = {"throughput/tokens_per_second": "maximize"}
"""Recorded beside them by tasks that count tokens."""
OF_UNEQUAL: Mapping[str, Goal | None] = {"throughput/padding_share": "minimize"}
"""Recorded beside them where samples are of several lengths."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a task says of its metrics and its data, for readers of records; see `TaskOptions`."""

    metrics: Mapping[str, Goal | None]
    metric_labels: Mapping[str, str]
    metric_shares: frozenset[str]
    data_settings: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """As run.json keeps it of a task of a user's own, whose code no reader of records imports."""
        return {"metrics": dict(self.metrics), "metric_labels": dict(self.metric_labels), "metric_shares": sorted(self.metric_shares),
                "data_settings": sorted(self.data_settings)}  # fmt: skip


def declared_by(task: type[TaskOptions] | TaskOptions) -> Declared:
    """What the options of a task say."""
    return Declared(task.metrics, task.metric_labels, task.metric_shares, task.data_settings)


def declared(task: str, recorded: object = None) -> Declared | None:
    """What a kind of task says; None for one that neither this installation nor a record knows. recorded: `declares` of a run.json."""
    if task in kinds("task"):
        options = options_class("task", task)
        return declared_by(options) if issubclass(options, TaskOptions) else None
    return _as_recorded(recorded) if isinstance(recorded, Mapping) else None


def declared_goal(metric: str, metrics: Mapping[str, Goal | None]) -> Goal | None:
    """Which way a metric is better; None where nothing says so. metrics: those that its task declares.

    One answer for choosing a checkpoint, ranking runs and finding a curve's best point.
    """
    split, _, name = metric.partition("/")
    if split not in {"validation", "test"}:
        return {**EVERY_TASK, **OF_TOKENS, **OF_UNEQUAL}.get(metric)
    return metrics.get(name)


def goal_of(metric: str, task: str, recorded: object = None) -> Goal | None:
    """The same for a kind of task. recorded: see `declared`."""
    found = declared(task, recorded)
    return declared_goal(metric, {} if found is None else found.metrics)


def _as_recorded(said: Mapping[str, Any]) -> Declared:
    """From a record, which may be damaged: what is not as it should be is left out."""
    metrics, labels = (_mapping(said.get(name)) for name in ("metrics", "metric_labels"))
    shares, settings = (frozenset(map(str, it)) if isinstance(it := said.get(name), list) else frozenset[str]()
                        for name in ("metric_shares", "data_settings"))  # fmt: skip
    goals = {str(name): goal for name, goal in metrics.items() if goal in (*get_args(Goal), None)}
    return Declared(goals, {str(name): str(label) for name, label in labels.items()}, shares, settings)


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def task_metrics(spec: Spec) -> tuple[str, ...]:
    """Names that the task's evaluation gives, without the split."""
    return tuple(spec.task.measured())


def validation_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that exist at each evaluation during training."""
    return tuple(f"validation/{name}" for name in task_metrics(spec))


def deciding_metrics(spec: Spec) -> tuple[str, ...]:
    """Those of them that say which weights are better."""
    return tuple(f"validation/{name}" for name, goal in spec.task.measured().items() if goal is not None)


def has_test_split(spec: Spec) -> bool:
    """Whether the spec's split sets a test part apart."""
    return bool(read(spec.data.split, "test"))


def final_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that a finished run has, and that a gate may name."""
    test = tuple(f"test/{name}" for name in task_metrics(spec)) if has_test_split(spec) else ()
    return (*validation_metrics(spec), *test, *training_metrics(spec))


def training_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that are recorded while a spec's task is trained."""
    tokens = OF_TOKENS if spec.task.counts == "tokens" else ()
    unequal = () if spec.task.few_shapes(spec) else OF_UNEQUAL
    return (*EVERY_TASK, *tokens, *unequal)
