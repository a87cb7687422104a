"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (0.42, "0.4 s"), (12.4, "12 s"), (59.6, "1m00s"), (280, "4m40s"), (7500, "2h05m"), (273_600, "3d04h")],
)
def test_a_duration_is_said_in_the_unit_that_fits(value, text):
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (950, "950"),
        (12_300, "12.3k"),
        (9_960_000, "9.96M"),
        (1.24e9, "1.24B"),
        (999_999, "1M"),
        (999_600, "1M"),
        (999.6, "1k"),
        (2e12, "2T"),
        (3e15, "3,000T"),
        (-12_300, "-12.3k"),
    ],
)
def test_a_count_has_three_figures_and_a_suffix(value, text):
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(512, "512 B"), (1.2e8, "120 MB"), (1.3e9, "1.3 GB"), (999_999, "1 MB"), (999_600, "1 MB"), (999.6, "1 kB"), (1e16, "10,000 TB")],
)
def test_a_size_is_said_in_powers_of_ten(value, text):
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (2.31849, "2.318"), (58.31, "58.31"), (4321.5, "4,322"), (3e-5, "3.00e-05"), (-0.5, "-0.5")]
)
def test_a_metric_has_four_figures(value, text):
    assert figures.metric(value) == text


@given(st.floats(1e-3, 1e7))
def test_a_longer_duration_never_has_an_empty_or_negative_text(value):
    text = figures.seconds(value)
    assert text
    assert not text.startswith("-")


@given(st.floats(-1e30, 1e30) | st.integers(0, 10**18))
@pytest.mark.parametrize("text_of", [figures.count, figures.size, figures.rate])
def test_no_amount_is_said_in_powers_of_ten(text_of, value):
    text = text_of(value)
    assert "e" not in text


@given(st.integers(0, 10**15))
@pytest.mark.parametrize("text_of", [figures.count, figures.size])
def test_an_amount_is_said_to_three_figures(text_of, value):
    number = text_of(value).removesuffix("B").rstrip()
    suffix = number[-1:] if number[-1:].isalpha() else ("B" if text_of is figures.count and text_of(value).endswith("B") else "")
    scale = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}[suffix]
    assert float(number.rstrip("kMGT").replace(",", "")) * scale == pytest.approx(value, rel=0.00501)
