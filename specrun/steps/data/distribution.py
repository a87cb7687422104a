"""How the numbers of a column are spread over a split: quantiles, and rows in ranges of one width with round ends.

{"quantiles": [smallest, 5 %, 25 %, half, 75 %, 95 %, largest], "edges": ends of the ranges, "counts": rows of each}
The first range has what is smaller too, and the last what is larger: a few extreme values do not flatten the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_MOST_ROWS = 20_000_000
"""Columns of more rows are not read again."""
_SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_INNER = (0.01, 0.99)
_RANGES = 10
"""About so many ranges lie between the inner shares."""
_MOST = 1e300
"""Numbers beyond are left out: their differences are no numbers."""
_LEAST = 1e-300
"""Width of a range, at least: below, powers of ten lose their digits."""


def distributions(file: Path, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of columns of numbers in a Parquet file of a split; one whose finite values are the same, or so near that no range
    lies between them, has none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as rows:
        if not columns or rows.metadata.num_rows > _MOST_ROWS:
            return {}
        table = rows.read(columns=list(columns))
    found = {}
    for name in columns:
        values = pc.cast(table.column(name).drop_null(), pa.float64(), safe=False).to_numpy()
        plain = values[np.abs(values) < _MOST]
        if len(plain) and plain.max() / _RANGES - plain.min() / _RANGES > _LEAST:
            found[name] = distribution(plain)
    return found


def distribution(values_N: Any) -> dict[str, Any]:
    """Of N finite numbers, not all the same."""
    low, high = (float(value) for value in np.quantile(values_N, _INNER))
    if high / _RANGES - low / _RANGES <= _LEAST:
        low, high = float(values_N.min()), float(values_N.max())
    width = _round_width(high / _RANGES - low / _RANGES)
    edges = [place * width for place in range(math.floor(low / width), math.floor(high / width) + 2)]
    counts = np.bincount(np.searchsorted(edges[1:-1], values_N, side="right"), minlength=len(edges) - 1)
    return {"quantiles": [float(value) for value in np.quantile(values_N, _SHARES)],
            "edges": [float(f"{edge:.12g}") for edge in edges], "counts": [int(count) for count in counts]}  # fmt: skip


def _round_width(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)
