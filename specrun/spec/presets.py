"""Presets: named sets of values that fill what a spec leaves out.

They touch only fields that exist whatever kinds the spec chooses, so a preset can never make a spec invalid by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: dict[str, Mapping[str, Any]] = {
    # A first look: few interruptions, a part of the validation split, one sample.
    "fast": {
        "schedule.evaluate.every": "25%",
        "schedule.evaluate.max_batches": 20,
        "schedule.checkpoint.every": "50%",
        "schedule.checkpoint.keep_last": 2,
        "schedule.log_every": "20 steps",
        "report.formats": ("html",),
    },
    # Everyday work: the whole validation split ten times a run, gradients clipped as most recipes do.
    "balanced": {
        "schedule.gradient_clip": 1.0,
        "schedule.evaluate.every": "10%",
        "schedule.checkpoint.every": "10%",
        "schedule.checkpoint.keep_last": 2,
        "schedule.checkpoint.keep_best": 1,
    },
    # A figure to rely on: evaluated often, more checkpoints to choose the best from, ends when nothing improves any more.
    "quality": {
        "schedule.gradient_clip": 1.0,
        "schedule.evaluate.every": "5%",
        "schedule.evaluate.samples": 2,
        "schedule.checkpoint.every": "5%",
        "schedule.checkpoint.keep_last": 4,
        "schedule.checkpoint.keep_best": 3,
        "schedule.early_stopping.metric": "validation/loss",
        "schedule.early_stopping.patience": "5 evaluations",
    },
}
"""Preset -> values by dotted path."""


def as_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as nested mappings."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        level = tree
        for name in parents:
            level = level.setdefault(name, {})
        level[last] = value
    return tree
