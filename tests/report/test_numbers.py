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
        (9.99996, "10.00"),
        (58.3, "58.30"),
        (1234.4, "1,234"),
        (0.0005, "5e-4"),
        (0.05, "0.05000"),
        (0, "0"),
        (-3.2, "−3.200"),
        (999_940, "999,940"),
        (27_231_631.0, "2.723e7"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, MISSING),
    ],
)
def test_a_measured_figure_has_four_significant_digits(value: float | None, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(5e-4, "5e-4"), (1e-3, "1e-3"), (3.16e-5, "3.16e-5"), (0.02, "0.02"), (0, "0"), (3e-3, "3e-3")]
)
def test_a_learning_rate_is_written_as_people_write_it(value: float, written: str) -> None:
    assert rate(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.85, "850 ms"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1m00s"),
        (112, "1m52s"),
        (652.4, "10m52s"),
        (3599.6, "1h00m"),
        (3840, "1h04m"),
        (86_399, "1d00h"),
        (183_600, "2d03h"),
        (-5, "−5.0 s"),
        (None, MISSING),
        (math.nan, "not a number"),
    ],
)
def test_a_duration_has_at_most_two_units_and_never_sixty_of_one(seconds: float | None, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1,023 B"),
        (1024, "1.00 KiB"),
        (1_423_000_000, "1.33 GiB"),
        (1024**3 - 1, "1.00 GiB"),
        (None, MISSING),
    ],
)
def test_bytes_are_written_in_binary_units(value: float | None, written: str) -> None:
    assert size(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(950, "950"), (12_288, "12,288"), (9_964_032, "9.96 M"), (1.25e9, "1.25 B"), (3e12, "3.00 T")]
)
def test_a_large_count_is_written_at_a_glance(value: float, written: str) -> None:
    assert short_count(value) == written


def test_counts_percentages_and_plurals() -> None:
    assert count(2_088_628) == "2,088,628"
    assert percent(0.3421) == "34.2 %"
    assert [plural(n, noun) for n, noun in ((1, "step"), (2000, "step"), (3, "batch"))] == ["1 step", "2,000 steps", "3 batches"]


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_written_figure_reads_back_as_the_value_to_four_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@given(st.floats(allow_nan=True, allow_infinity=True) | st.none())
def test_every_writer_takes_every_float(value: float | None) -> None:
    for write in (number, rate, count, short_count, size, duration, percent):
        assert write(value)


@given(st.floats(min_value=0, max_value=1e7))
def test_a_longer_duration_is_never_written_as_sixty_of_a_unit(seconds: float) -> None:
    written = duration(seconds)
    assert "60s" not in written
    assert "60m" not in written
    assert "24h" not in written
