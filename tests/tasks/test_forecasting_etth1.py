"""The figures that the field knows of ETTh1: horizon 96, the usual borders, every test window, values scaled by train."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv
import pytest

from .forecasting_data import task

REFERENCE = {
    96: {"repeat_last": (1.294, 0.713), "seasonal_naive": (0.512, 0.433), "ridge": (0.381, 0.393)},
    336: {"repeat_last": (1.294, 0.713), "seasonal_naive": (0.512, 0.433), "ridge": (0.370, 0.391)},
}
"""MSE and MAE by lookback."""


@pytest.mark.slow
def test_baselines_on_etth1_are_the_known_ones(shared_data: Path, tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(shared_data / "csv" / "ETTh1.csv").slice(0, 14_400)
    rows = {name: table.column(name) for name in table.column_names}
    columns = {"time": "date", "target": tuple(table.column_names[1:])}
    for lookback, wanted in REFERENCE.items():
        it = task(tmp_path / str(lookback), rows, borders=(8_640, 11_520), columns=columns, context=lookback, horizon=96)
        assert len(it.arrays.starts["test"]) == 2_785
        found = {baseline.name: baseline.metrics for baseline in it.baselines("test")}
        assert found.keys() == wanted.keys()
        for name, (mse, mae) in wanted.items():
            assert (found[name]["mse"], found[name]["mae"]) == pytest.approx((mse, mae), abs=0.001), (lookback, name)
