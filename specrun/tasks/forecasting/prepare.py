"""Prepares the examples of forecasts: every row of every series once, scaled, and where windows begin in each split.

Writes into the folder, R rows in the order of series, N series:
    values.npy       (R, targets + observed)   float32, scaled
    known.npy        (R, known numbers)        float32, scaled; of the calendar as it is
    categories.npy   (R, known categories)     int32
    static.npy       (N, static numbers)       float32, scaled
    static_categories.npy (N, ...)             int32
    scales.npy       (3, N, targets)           float64: centre, scale, and the error of the seasonal naive forecast in train
    times.npy        (R,)                      int64: microseconds since 1970 in local time, or steps
    series.npy       (N + 1,)                  int64: first row of each series, and the end
    train_runs.npy   (runs, 2)                 int64: stretches of train without a gap, [first, end)
    <split>.npy      (windows,)                int64: first row of each window
    series.json                                names of the series
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.events import Progress
from specrun.spec.split_options import named
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.forecasting.arrays import NAMES
from specrun.tasks.forecasting.calendar import feature, on_circle
from specrun.tasks.forecasting.columns import Columns, Floats, Integers, open_columns
from specrun.tasks.forecasting.options import PERIODS, Options
from specrun.tasks.forecasting.outliers import far_out
from specrun.tasks.forecasting.scaling import find_scale, naive_errors
from specrun.tasks.forecasting.series import Series, find_series
from specrun.tasks.forecasting.windows import check_lengths, too_short, window_starts

_LARGEST = float(np.finfo(np.float32).max)


@dataclass
class _Preparation:
    """What all parts of it read, and the warnings that they add."""

    options: Options
    request: PrepareRequest
    columns: Columns
    series: Series
    season: int
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def numbers(self, name: str, *, role: str) -> Floats:
        """A column of numbers in the order of the series."""
        self.request.emit(Progress("examples", 0, None, f"column {name}"))
        return self.columns.numbers(name, role=role)[self.series.order]

    def varying(self, name: str, *, role: str, by_group: bool) -> Floats:
        """As `numbers`, with a warning where one of them is far from all others."""
        values = self.numbers(name, role=role)
        if (found := far_out(values, self.series, by_group=by_group)) is not None:
            row, far = found
            place = self.columns.place(int(self.series.order[row]))
            text = f"{place} holds {values[row]:g} in column {name!r}, {far:.2g} interquartile ranges from the median: "
            self.warnings.append(("far-out-value", f"{text}scales and errors are those of this value; correct it if it is wrong"))
        return values

    def scaled(self, values: Floats, name: str, *, by_group: bool = False) -> tuple[Floats, Floats, Floats]:
        """The values, scaled, their centres and scales by series."""
        scale = find_scale(values, self.series, scaling=self.options.scaling, by_group=by_group)
        if scale.constant:
            what = f"in {scale.constant:,} of {len(self.series.names):,} series" if by_group else "in all rows"
            spread = "interquartile range" if self.options.scaling == "robust" else "spread"
            self.warnings.append(("constant-column", f"column {name!r} has no {spread} in train {what}, and is not divided by it"))
        scaled = scale.scaled(values, self.series)
        if (large := np.abs(scaled) > _LARGEST).any():
            row = self.columns.place(int(self.series.order[int(large.argmax())]))
            raise DataError(f"{row} holds {values[int(large.argmax())]:g} in column {name!r}, beyond float32", code="infinite-value",
                            hint="correct the value, or use task.scaling: standard")  # fmt: skip
        return scaled, scale.centre, scale.scale

    def categories(self, name: str, *, role: str) -> tuple[Integers, int]:
        """A column of words as numbers in the order of the series, and how many there are, 0 for the unknown."""
        codes, words, warning = self.columns.categories(name, role=role)
        if warning:
            self.warnings.append(("unseen-category", warning))
        return codes[self.series.order], len(words) + 1


def prepare(options: Options, request: PrepareRequest) -> Prepared:
    """Read the splits of the `data` step, check them and write what the module says. Raises: DataError for what cannot be trained on."""
    roles = request.spec.data.columns
    columns = open_columns(request.folders["data"], source=request.spec.data.source)
    time = named(roles.time)
    targets = named(roles.target)
    assert len(time) == 1, "the task requires it"
    assert targets, "the task requires them"
    series = find_series(columns, time=time[0], groups=named(roles.group))
    work = _Preparation(options, request, columns, series, season=options.season or series.frequency.season)
    check_lengths(columns, series, context=options.context, horizon=options.horizon)
    starts = _windows(work)
    _write_targets(work, targets, roles.observed)
    known, categories, known_sizes = _write_known(work, roles.known)
    static, static_categories, static_sizes = _write_static(work, roles.static)
    _write(request.folder, "series", series.offsets)
    (request.folder / NAMES).write_text(json.dumps(series.names, ensure_ascii=False), encoding="utf-8")
    _write(request.folder, "train_runs", _train_runs(series))
    local = series.times.local
    _write(request.folder, "times", series.times.ticks if local is None else local.astype(np.int64))
    sizes = {
        "context": options.context, "horizon": options.horizon, "targets": len(targets), "observed": len(roles.observed),
        "known": len(known), "known_categories": known_sizes, "static": len(static), "static_categories": static_sizes,
        "quantiles": len(options.quantiles),
    }  # fmt: skip
    predicted, length = options.horizon * len(targets), options.context + options.horizon
    values: dict[str, Any] = {
        "sizes": sizes,
        "splits": {split: {"samples": len(found), "predictions": len(found) * predicted, "positions": len(found) * length}
                   for split, found in starts.items()},
        "names": {"targets": list(targets), "observed": list(roles.observed), "known": known, "known_categories": categories,
                  "static": static, "static_categories": static_categories},
        "series": len(series.names), "rows": columns.rows, "frequency": series.frequency.label, "season": work.season,
        "dates": local is not None,
    }  # fmt: skip
    return Prepared(values, {path.name: "examples" for path in sorted(request.folder.iterdir())}, tuple(work.warnings))


def _windows(work: _Preparation) -> dict[str, Integers]:
    """Write where the windows of each split begin; the last series may have none in a split, but not all."""
    options, series, found = work.options, work.series, dict[str, Integers]()
    for number, split in enumerate(work.columns.splits):
        stride = options.stride if number == 0 else 1
        starts = window_starts(series, number, context=options.context, horizon=options.horizon, stride=stride)
        if not len(starts):
            raise too_short(work.columns, series, number, context=options.context, horizon=options.horizon)
        left_out = len(series.names) - len(np.unique(np.searchsorted(series.offsets, starts, side="right")))
        if left_out:
            text = f"{left_out:,} of {len(series.names):,} series have too few rows in {split} for a window, and are no part of it"
            work.warnings.append(("series-without-window", text))
        _write(work.request.folder, split, starts)
        found[split] = starts
    if series.gaps:
        text = f"time goes on after a gap at {series.gaps:,} borders of splits: no window looks back over one"
        work.warnings.append(("gap-between-splits", text))
    if work.season > options.context:
        text = f"a season is {work.season} steps and task.context {options.context}: seasonal_naive is left out of the baselines"
        work.warnings.append(("season-exceeds-context", text))
    return found


def _write_targets(work: _Preparation, targets: Sequence[str], observed: Sequence[str]) -> None:
    """values.npy and scales.npy."""
    series, by_group = work.series, work.options.scale_by_group
    out = _map(work.request.folder, "values", (work.columns.rows, len(targets) + len(observed)), np.float32)
    scales = np.zeros((3, len(series.names), len(targets)))
    for place, name in enumerate(targets):
        values = work.varying(name, role="target", by_group=by_group)
        out[:, place], scales[0, :, place], scales[1, :, place] = work.scaled(values, name, by_group=by_group)
        scales[2, :, place] = naive_errors(values, series, season=work.season)
    for place, name in enumerate(observed, start=len(targets)):
        out[:, place] = work.scaled(work.varying(name, role="observed", by_group=by_group), name, by_group=by_group)[0]
    out.flush()
    _write(work.request.folder, "scales", scales)


def _write_known(work: _Preparation, known: Sequence[str]) -> tuple[list[str], list[str], list[int]]:
    """known.npy and categories.npy. Returns the names of numbers, those of categories, and how many each of these has."""
    words = [name for name in known if work.columns.is_text(name, role="known")]
    numbers = [name for name in known if name not in words]
    options, calendar = work.options, _calendar(work)
    cyclic = calendar if options.calendar_encoding == "cyclic" else {}
    coded = {} if cyclic else calendar
    folder, rows = work.request.folder, work.columns.rows
    out = _map(folder, "known", (rows, len(numbers) + 2 * len(cyclic)), np.float32)
    for place, name in enumerate(numbers):
        out[:, place] = work.scaled(work.numbers(name, role="known"), name)[0]
    for place, (name, passed) in enumerate(cyclic.items()):
        first = len(numbers) + 2 * place
        out[:, first], out[:, first + 1] = on_circle(passed, name)
    categories = _map(folder, "categories", (rows, len(words) + len(coded)), np.int32)
    sizes = []
    for place, name in enumerate(words):
        categories[:, place], size = work.categories(name, role="known")
        sizes.append(size)
    for place, (name, passed) in enumerate(coded.items(), start=len(words)):
        categories[:, place] = passed
        sizes.append(PERIODS[name])
    told = [f"{name} ({part})" for name in cyclic for part in ("sine", "cosine")]
    return [*numbers, *told], [*words, *coded], sizes


def _calendar(work: _Preparation) -> dict[Any, Integers]:
    """The features of the calendar, by their names, each once."""
    moments = work.series.times.local
    if work.options.calendar and moments is None:
        name = named(work.request.spec.data.columns.time)[0]
        raise DataError(f"task.calendar reads dates, and time column {name!r} holds whole numbers", code="calendar-without-dates",
                        hint="remove task.calendar, or name a column of dates as data.columns.time")  # fmt: skip
    found = {} if moments is None else {name: feature(moments, name) for name in work.options.calendar}
    for name, passed in found.items():
        if (passed == passed[0]).all():
            text = f"task.calendar: {name} is the same in all rows, which are {work.series.frequency.label} apart"
            work.warnings.append(("constant-calendar", text))
    return found


def _write_static(work: _Preparation, static: Sequence[str]) -> tuple[list[str], list[str], list[int]]:
    """static.npy and static_categories.npy. Returns as `_write_known`."""
    words = [name for name in static if work.columns.is_text(name, role="static")]
    numbers = [name for name in static if name not in words]
    series, folder = work.series, work.request.folder
    first = series.offsets[:-1]
    out = _map(folder, "static", (len(first), len(numbers)), np.float32)
    for place, name in enumerate(numbers):
        values = work.numbers(name, role="static")
        _check_same(work, values, name)
        out[:, place] = work.scaled(values, name)[0][first]
    categories = _map(folder, "static_categories", (len(first), len(words)), np.int32)
    sizes = []
    for place, name in enumerate(words):
        codes, size = work.categories(name, role="static")
        _check_same(work, codes, name)
        categories[:, place] = codes[first]
        sizes.append(size)
    return numbers, words, sizes


def _check_same(work: _Preparation, values: npt.NDArray[Any], name: str) -> None:
    """Raise DataError for a static column that changes within a series."""
    series = work.series
    changed = values != np.repeat(values[series.offsets[:-1]], np.diff(series.offsets))
    if changed.any():
        row = int(changed.argmax())
        number = int(np.searchsorted(series.offsets, row, side="right")) - 1
        where = f"series {series.names[number]!r}" if series.names[number] else "the series"
        place = work.columns.place(int(series.order[row]))
        raise DataError(f"{place} holds another value of static column {name!r} than {where} before it", code="static-not-constant",
                        hint="name it under data.columns.known or observed instead")  # fmt: skip


def _train_runs(series: Series) -> Integers:
    """The part of each run that is train."""
    lengths = [int((series.splits[first:end] == 0).sum()) for first, end in series.runs]
    firsts = series.runs[:, 0]
    found: Integers = np.stack([firsts, firsts + np.array(lengths, dtype=np.int64)], axis=1)
    return found[found[:, 1] > found[:, 0]]


def _map(folder: Path, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
    """An array to fill, on the disk; an empty one cannot be mapped."""
    if 0 in shape:
        empty = np.empty(shape, dtype=kind)
        np.save(folder / f"{name}.npy", empty)
        return empty
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape)


def _write(folder: Path, name: str, array: npt.NDArray[Any]) -> None:
    np.save(folder / f"{name}.npy", array)
