"""Names of the metrics of a classifier, for the options of every task that predicts a class to declare.

What they are computed from is `tasks.classification_scores`' business.
"""

from __future__ import annotations

from collections.abc import Mapping

from specrun.spec.task_options import Goal

METRICS: Mapping[str, Goal] = {
    "loss": "minimize", "accuracy": "maximize", "macro_f1": "maximize", "top5_accuracy": "maximize", "calibration_error": "minimize",
}  # fmt: skip
"""top5_accuracy is there where there are more than five classes."""
METRIC_LABELS: Mapping[str, str] = {
    "loss": "loss, nats", "macro_f1": "macro F1", "top5_accuracy": "top-5 accuracy", "calibration_error": "expected calibration error",
}  # fmt: skip
SHARES = frozenset({"accuracy", "macro_f1", "top5_accuracy"})
"""Those that a report writes in per cent."""
