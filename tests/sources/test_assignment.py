"""Rows and splits: each row goes to one split or is counted as left out, shares hold within a row, groups and moments are never parted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources.assignment import LEFT_OUT, TEST, TRAIN, VALIDATION, Codes, RowKeys, assign
from specrun.sources.row_hash import mixed, row_hashes
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.group import Options as Group
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.kfold import Options as KFold
from specrun.spec.splits.ratio import Options as Ratio
from specrun.spec.splits.time import Options as Time
from specrun.spec.units import parse_quantity

shares = st.tuples(st.floats(0.05, 0.4), st.floats(0, 0.4))
counts = st.lists(st.integers(2, 30), min_size=1, max_size=12)
seeds = st.integers(0, 2**63 - 1)
HOUR = 3_600_000_000
FEW = settings(max_examples=20)


def named(values: object) -> np.ndarray:
    """Hashes of small whole numbers, in the order that they come."""
    return mixed(np.asarray(values, dtype=np.uint64))


def of_counts(sizes: list[int], seed: int) -> np.ndarray:
    """So many rows of each class or group, in any order."""
    rows = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(rows)


def sizes_of(codes: Codes) -> tuple[int, int, int]:
    found = Counter(codes.tolist())
    return found[TRAIN], found[VALIDATION], found[TEST]


@FEW
@for_all(st.integers(1, 500), shares, st.booleans(), seeds)
def test_consecutive_shares_hold_within_a_row(rows: int, share: tuple[float, float], shuffle: bool, seed: int) -> None:
    codes = assign(Ratio(kind="ratio", validation=share[0], test=share[1], shuffle=shuffle, seed=seed), RowKeys(rows))
    wanted = ((1 - sum(share)) * rows, share[0] * rows, share[1] * rows)
    assert all(abs(got - ideal) < 1 + 1e-6 for got, ideal in zip(sizes_of(codes), wanted, strict=True))
    assert shuffle or codes.tolist() == sorted(codes.tolist())


@FEW
@for_all(counts, shares, st.booleans(), st.integers(0, 99))
def test_stratified_shares_hold_within_a_row_of_each_class_and_train_has_every_class(
    sizes: list[int], share: tuple[float, float], shuffle: bool, seed: int
) -> None:
    rows = of_counts(sizes, seed)
    options = Ratio(kind="ratio", validation=share[0], test=share[1], stratify=True, shuffle=shuffle, seed=seed)
    codes = assign(options, RowKeys(len(rows), labels=named(rows)))
    for label, count in enumerate(sizes):
        train, validation, test = sizes_of(codes[rows == label])
        assert train + validation + test == count
        assert train >= 1
        assert abs(validation - share[0] * count) < 1 + 1e-6
        assert abs(test - share[1] * count) < 1 + 1e-6


@pytest.mark.parametrize("size", [2, 3, 4])
def test_rounding_of_small_classes_does_not_add_up(size: int) -> None:
    """A tenth of many classes of two to four rows is a tenth of all rows."""
    rows = np.repeat(np.arange(100), size)
    codes = assign(Ratio(kind="ratio", validation=0.1, stratify=True), RowKeys(len(rows), labels=named(rows)))
    assert abs(sizes_of(codes)[VALIDATION] - 0.1 * len(rows)) <= 2


@pytest.mark.parametrize("options", [Ratio(kind="ratio", stratify=True), KFold(kind="kfold", fold=1, stratify=True),
                                     Given(kind="given", validation=0.1, stratify=True)])  # fmt: skip
def test_a_class_of_one_row_is_named_with_its_row(options: Ratio | KFold | Given) -> None:
    labels = named([0, 0, 1, 2, 2, 0])
    keys = RowKeys(6, labels=labels, names={int(labels[2]): "zebra"}, label="animal")
    with pytest.raises(DataError, match=r"column 'animal': the class 'zebra' \(row 3\) has one row") as caught:
        assign(options, keys)
    assert caught.value.code == "class-with-one-row"


def test_a_column_of_measurements_is_told_to_be_no_class() -> None:
    with pytest.raises(DataError, match="has 100 different values in 100 rows, so it holds no classes"):
        assign(Ratio(kind="ratio", stratify=True), RowKeys(100, labels=named(range(100)), label="price"))


@FEW
@for_all(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.lists(st.integers(0, 2**64 - 1), max_size=50), seeds)
def test_no_row_moves_by_hash_when_others_come(rows: list[int], more: list[int], seed: int) -> None:
    options = Hash(kind="hash", validation=0.3, test=0.2, seed=seed)
    alone = assign(options, RowKeys(len(rows), hashes=np.array(rows, np.uint64)))
    among = assign(options, RowKeys(len(rows) + len(more), hashes=np.array([*more, *rows], np.uint64)))
    assert among[len(more) :].tolist() == alone.tolist()


@FEW
@for_all(st.lists(st.integers(1, 40), min_size=3, max_size=25), shares, st.integers(0, 99))
def test_groups_are_whole_and_no_group_of_train_would_bring_a_split_nearer_to_its_share(
    sizes: list[int], share: tuple[float, float], seed: int
) -> None:
    rows = of_counts(sizes, seed)
    options = Group(kind="group", validation=share[0], test=share[1], seed=seed)
    codes = assign(options, RowKeys(len(rows), groups=named(rows)))
    of_group = [set(codes[rows == group].tolist()) for group in range(len(sizes))]
    assert all(len(found) == 1 for found in of_group)
    left = [size for size, found in zip(sizes, of_group, strict=True) if found == {TRAIN}]
    assert left
    for got, part in zip(sizes_of(codes)[1:], share, strict=True):
        target = part * len(rows)
        assert not part or got
        assert len(left) == 1 or all(abs(got + size - target) >= abs(got - target) for size in left) or got > target


@FEW
@for_all(st.lists(st.integers(1, 9), min_size=4, max_size=20), st.integers(0, 99))
def test_groups_go_where_they_go_whatever_the_order_of_rows(sizes: list[int], seed: int) -> None:
    rows, again = of_counts(sizes, seed), of_counts(sizes, seed + 1)
    options = Group(kind="group", validation=0.2, test=0.2, seed=seed)
    places = []
    for order in (rows, again):
        codes = assign(options, RowKeys(len(order), groups=named(order)))
        places.append({int(group): int(code) for group, code in zip(order, codes, strict=True)})
    assert places[0] == places[1]


def test_too_few_groups_are_told() -> None:
    with pytest.raises(DataError, match="the rows are of 2 groups, and whole groups are to go to 3 splits"):
        assign(Group(kind="group", test=0.1), RowKeys(4, groups=named([0, 0, 1, 1])))


@FEW
@for_all(st.integers(10, 200), st.integers(2, 7), st.booleans(), seeds)
def test_over_the_folds_each_row_validates_once(rows: int, folds: int, shuffle: bool, seed: int) -> None:
    validated = np.zeros(rows, int)
    for fold in range(1, folds + 1):
        codes = assign(KFold(kind="kfold", folds=folds, fold=fold, shuffle=shuffle, seed=seed), RowKeys(rows))
        validated += codes == VALIDATION
        assert abs(sizes_of(codes)[VALIDATION] - rows / folds) < 1
    assert (validated == 1).all()


@FEW
@for_all(counts, st.integers(2, 5), st.integers(0, 99))
def test_stratified_folds_share_each_class_and_whole_groups_stay_in_one(sizes: list[int], folds: int, seed: int) -> None:
    rows = of_counts([*sizes, *sizes, *([2] * folds)], seed)
    labels = {}
    for fold in range(1, folds + 1):
        stratified = assign(KFold(kind="kfold", folds=folds, fold=fold, stratify=True), RowKeys(len(rows), labels=named(rows)))
        labels[fold] = Counter(rows[stratified == VALIDATION].tolist())
        grouped = assign(KFold(kind="kfold", folds=folds, fold=fold, by_group=True), RowKeys(len(rows), groups=named(rows)))
        assert not set(rows[grouped == VALIDATION]) & set(rows[grouped == TRAIN])
    for label, count in Counter(rows.tolist()).items():
        assert all(abs(found[label] - count / folds) < 1 for found in labels.values())


@FEW
@for_all(st.lists(st.integers(0, 60), min_size=5, max_size=80), shares, st.sampled_from(["rows", "time"]))
def test_splits_follow_one_another_in_time_and_no_moment_is_parted(hours: list[int], share: tuple[float, float], share_of: str) -> None:
    times = np.array(hours, np.int64) * HOUR
    options = Time(kind="time", validation=share[0], test=share[1] or None, share_of=share_of)
    codes = assign(options, RowKeys(len(times), times=times))
    assert (codes != LEFT_OUT).all()
    for earlier, later in ((TRAIN, VALIDATION), (VALIDATION, TEST), (TRAIN, TEST)):
        if (codes == earlier).any() and (codes == later).any():
            assert times[codes == earlier].max() < times[codes == later].min()


@FEW
@for_all(st.permutations(range(40)), st.integers(1, 6))
def test_a_gap_leaves_out_what_lies_before_each_border(order: list[int], gap: int) -> None:
    """Of hourly rows a gap of so many rows and of so many hours are the same."""
    times = np.array(order, np.int64) * HOUR
    found = [assign(Time(kind="time", validation=0.25, test=0.25, gap=parse_quantity(text)), RowKeys(40, times=times))
             for text in (f"{gap} rows", f"{gap}h")]  # fmt: skip
    assert found[0].tolist() == found[1].tolist()
    sorted_codes = found[0][np.argsort(times)].tolist()
    assert sorted_codes == [TRAIN] * (20 - gap) + [LEFT_OUT] * gap + [VALIDATION] * (10 - gap) + [LEFT_OUT] * gap + [TEST] * 10


def test_the_borders_of_the_etth1_benchmark_are_three_dates() -> None:
    times = np.arange(17_420, dtype=np.int64) * HOUR + np.datetime64("2016-07-01", "us").astype(np.int64)
    options = Time(kind="time", validation="2017-06-26", test="2017-10-24", end="2018-02-21T00:00")
    codes = assign(options, RowKeys(len(times), times=times))
    assert sizes_of(codes) == (8640, 2880, 2880)
    assert codes.tolist() == [TRAIN] * 8640 + [VALIDATION] * 2880 + [TEST] * 2880 + [LEFT_OUT] * 3020


@pytest.mark.parametrize(
    ("options", "is_moment", "message"),
    [
        ({"validation": "2030-01-01"}, True, "no row is from then on: the last is of 1970-01-01 09:00:00"),
        ({"validation": "1969-01-01"}, True, "no row is before it; the first is of 1970-01-01 00:00:00"),
        ({"validation": "2030-01-01"}, False, "plain numbers, which are no dates"),
        ({"gap": parse_quantity("1h")}, False, "plain numbers, which are no dates"),
    ],
)
def test_a_border_that_the_data_cannot_have_is_told(options: dict[str, object], is_moment: bool, message: str) -> None:
    keys = RowKeys(10, times=np.arange(10, dtype=np.int64) * HOUR, is_moment=is_moment)
    with pytest.raises(DataError, match=message):
        assign(Time(kind="time", **options), keys)  # type: ignore[arg-type]


def test_rows_are_equal_by_their_values_whatever_the_layout() -> None:
    plain = pa.record_batch({"n": pa.array([1, 2, None, 4]), "t": pa.array(["a", "b", "é", None])})
    other = pa.record_batch({
        "n": pa.array([1.0, 2.0, None, 4.0], pa.float32()),
        "t": pa.array(["a", "b", "é", None], pa.large_string()).dictionary_encode(),
    })  # fmt: skip
    assert row_hashes(plain, ["n", "t"]).tolist() == row_hashes(other, ["n", "t"]).tolist()
    assert row_hashes(plain.slice(2), ["n", "t"]).tolist() == row_hashes(plain, ["n", "t"])[2:].tolist()
    assert len(set(row_hashes(plain, ["n", "t"]).tolist())) == 4


def test_hashes_of_rows_are_the_same_on_every_machine() -> None:
    batch = pa.record_batch({"n": pa.array([0, -1, 2**60]), "t": pa.array(["", "a", "b"]), "b": pa.array([True, False, None])})
    assert [f"{value:016x}" for value in row_hashes(batch, ["n", "t", "b"])] == ["625e1b13996d5192", "4fa0029d9d1578e7", "7ef4f152ffba5c29"]
