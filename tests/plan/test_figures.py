"""Numbers as people read them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"), (0.0004, "0 s"), (0.0006, "1 ms"), (0.42, "420 ms"), (4.21, "4.2 s"), (9.96, "10 s"), (12.4, "12 s"), (59.6, "1m00s"),
        (280, "4m40s"), (3599.6, "1h00m"), (7500, "2h05m"), (86_399, "1d00h"), (273_600, "3d04h"), (-5, "-5.0 s"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_a_duration_is_said_in_the_unit_that_fits(value, text):
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (950, "950"), (12_300, "12.3k"), (9_960_000, "9.96M"), (1.24e9, "1.24B"), (999_999, "1M"), (999_600, "1M"), (999.6, "1k"),
        (2e12, "2T"), (3e15, "3,000T"), (-12_300, "-12.3k"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_a_count_has_three_figures_and_a_suffix(value, text):
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("amount", "noun", "text"),
    [(0, "step", "0 steps"), (1, "step", "1 step"), (2000, "step", "2,000 steps"), (1, "batch", "1 batch"), (3, "batch", "3 batches")],
)
def test_a_noun_follows_its_number(amount, noun, text):
    assert figures.plural(amount, noun) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"), (512, "512 B"), (1023, "1,023 B"), (1024, "1 KiB"), (1.2e8, "114 MiB"), (1_423_000_000, "1.33 GiB"),
        (1010 * 2**20, "1,010 MiB"), (2**30 - 1, "1 GiB"), (64 * 2**20, "64 MiB"), (2**64, "16,384 PiB"),
    ],
)  # fmt: skip
def test_a_size_is_said_in_binary_units(value, text):
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-0.0, "0"), (1, "1.000"), (2.31849, "2.318"), (58.3, "58.30"), (4321.5, "4,322"), (999_940, "999,940"), (3e-5, "3e-5"),
        (0.05, "0.05000"), (-0.5, "-0.5000"), (27_231_631.0, "2.723e7"), (math.nan, "nan"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_a_measured_figure_has_four_significant_digits(value, text):
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(5e-4, "5e-4"), (1e-3, "1e-3"), (3.16e-5, "3.16e-5"), (0.02, "0.02"), (0, "0"), (3e-3, "3e-3")]
)
def test_a_learning_rate_is_written_as_people_write_it(value, text):
    assert figures.learning_rate(value) == text


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_written_figure_reads_back_as_the_value_to_four_digits(value):
    assert float(figures.number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@given(st.floats())
def test_every_writer_takes_every_float(value):
    for write in (figures.number, figures.learning_rate, figures.count, figures.size, figures.seconds):
        assert write(value)


@given(st.floats(min_value=0, max_value=1e7))
def test_a_longer_duration_is_never_written_as_sixty_of_a_unit(value):
    written = figures.seconds(value)
    assert not {"60s", "60m", "24h"} & {written[-3:], written[:3]}
    assert not written.startswith("-")


@given(st.floats(-1e30, 1e30) | st.integers(0, 10**18))
@pytest.mark.parametrize("text_of", [figures.count, figures.size])
def test_no_amount_is_said_in_powers_of_ten(text_of, value):
    assert "e" not in text_of(value)


@given(st.integers(0, 10**15))
@pytest.mark.parametrize("text_of", [figures.count, figures.size])
def test_an_amount_is_said_to_three_figures(text_of, value):
    match = re.fullmatch(r"([\d,.]+)(?: ?([kKMGTPB])(?:i?B)?)?", text_of(value))
    assert match is not None
    step = 1000 if text_of is figures.count else 1024
    powers = {None: 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "B": 3 if text_of is figures.count else 0}
    assert float(match[1].replace(",", "")) * step ** powers[match[2]] == pytest.approx(value, rel=0.00501)
