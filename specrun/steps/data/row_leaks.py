"""What is said of rows that are equal in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specrun.spec.sections.checks import Checks
from specrun.steps.data.leakage import LeakageCheck
from specrun.steps.data.roles import ROW_NUMBER
from specrun.steps.data.stored import leak_warning

_FEW_DIFFERENT = 0.5
"""Where fewer of the train split's rows differ from one another than this share, equal ones in another split say nothing of a leak."""


def row_leaks(
    check: LeakageCheck, checks: Checks, sizes: Mapping[str, int], folder: Path
) -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """Equal rows by pair of splits, and warnings (code, text). Raises DataError where `checks.leakage` is `fail`."""
    if checks.leakage == "off":
        return {}, ()
    leaks = check.leaks(tuple(sizes))
    warnings = []
    for leak in leaks:
        if leak.documents and check.distinct_share(leak.first) >= _FEW_DIFFERENT:
            share = leak.documents / sizes[leak.second]
            rows = "1 row" if leak.documents == 1 else f"{leak.documents:,} rows"
            text = (
                f"{rows} of {leak.second} ({share:.1%}) also in {leak.first}, by all columns but what is predicted, so "
                f"{leak.second} figures may be too good; the first is row {_number(folder, leak.second, leak.example):,} of the source"
            )
            remedy = "set data.deduplicate: true, or keep what belongs together in one split by split: {kind: group}"
            warnings.append(leak_warning("duplicate-across-splits", text, checks=checks, remedy=remedy))
    return {leak.name: leak.documents for leak in leaks}, tuple(warnings)


def _number(folder: Path, split: str, place: int | None) -> int:
    """The number in the source of a row of a split."""
    import pyarrow.parquet as pq

    assert place is not None
    for batch in pq.ParquetFile(folder / f"{split}.parquet").iter_batches(columns=[ROW_NUMBER]):
        if place < batch.num_rows:
            return int(batch.column(0)[place].as_py())
        place -= batch.num_rows
    raise AssertionError(place)
