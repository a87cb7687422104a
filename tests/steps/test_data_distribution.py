"""Numbers of a column in ranges: every row is in one, whatever the values are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrun.steps.data.distribution import distribution, distributions

VALUES = {
    "normal": np.random.default_rng(0).normal(5, 2, 500),
    "an outlier": np.append(np.arange(500.0), 1e30),
    "nearly constant": np.append(np.zeros(500), 1.0),
    "the largest": np.linspace(-9e299, 9e299, 50),
    "small": np.linspace(0, 1e-290, 50),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_row_is_in_a_range_and_outliers_do_not_widen_them(name: str) -> None:
    values = VALUES[name]
    told = distribution(values)
    edges, counts = np.array(told["edges"]), np.array(told["counts"])
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1 <= 15
    assert np.isfinite(edges).all()
    open_ended = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    assert counts.tolist() == np.histogram(values, open_ended)[0].tolist()
    assert told["quantiles"] == np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist()
    if name == "an outlier":
        assert edges[-1] <= 1000


def test_columns_without_a_spread_have_no_ranges(tmp_path: Path) -> None:
    columns = {"same": [2.0, 2.0, None], "none": [None] * 3, "odd": [1.0, float("nan"), float("inf")], "two": [1, 2, None]}
    table = pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})
    pq.write_table(table, tmp_path / "train.parquet")
    assert list(distributions(tmp_path / "train.parquet", list(columns))) == ["two"]
