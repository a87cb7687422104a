"""What a figure is, and a number in one."""

from __future__ import annotations

from typing import Any

import numpy as np

Figure = dict[str, Any]
"""Plain JSON, as `report.task_figures` reads it."""


def rounded(value: float) -> float | None:
    """To five digits, as a figure shows it; nothing for what is not finite."""
    return float(f"{value:.5g}") if np.isfinite(value) else None
