"""Figures are written so that nobody misreads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.report.numbers import MISSING, count, duration, number, percent, plural, rate, short_count, size


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2.1309, "2.131"),
        (-3.2, "−3.200"),
        (-5e-4, "−5e-4"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, MISSING),
    ],
)
def test_a_figure_has_a_true_minus_and_words_for_what_is_none(value: float | None, written: str) -> None:
    assert number(value) == written


def test_durations_sizes_and_counts_are_set_as_figures_are() -> None:
    assert (duration(-5), size(1_423_000_000), short_count(9_964_032), rate(5e-4)) == ("−5.0 s", "1.33 GiB", "9.96M", "5e-4")


def test_counts_percentages_and_plurals() -> None:
    assert count(2_088_628) == "2,088,628"
    assert percent(0.3421) == "34.2 %"
    assert percent(-0.3421) == "−34.2 %"
    assert [plural(n, noun) for n, noun in ((1, "step"), (2000, "step"), (3, "batch"))] == ["1 step", "2,000 steps", "3 batches"]


@given(st.floats(allow_nan=True, allow_infinity=True) | st.none())
def test_every_writer_takes_every_float(value: float | None) -> None:
    for write in (number, rate, count, short_count, size, duration, percent):
        assert write(value)
