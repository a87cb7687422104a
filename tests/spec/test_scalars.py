"""Plain scalars by YAML 1.2's core schema."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.scalars import MAX_DIGITS, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("5E3", 5000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+3", 3),
        ("-0", 0),
        ("012", 12),
        ("0o17", 15),
        ("0xfF", 255),
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("nULL", "nULL"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("-", "-"),
        (".", "."),
        ("1e", "1e"),
        ("e5", "e5"),
        ("0o8", "0o8"),
        ("2001-01-01", "2001-01-01"),
        ("10%", "10%"),
        ("--1", "--1"),
    ],
)
def test_a_plain_scalar_has_the_type_of_the_core_schema(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_a_float() -> None:
    value = resolve(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@given(st.integers(-(10**30), 10**30))
def test_every_integer_reads_back(number: int) -> None:
    assert resolve(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back(number: float) -> None:
    assert resolve(repr(number)) == number


@pytest.mark.parametrize("text", ["1" * (MAX_DIGITS + 1), "1." + "0" * MAX_DIGITS, "0x" + "f" * MAX_DIGITS])
def test_a_number_too_long_to_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        resolve(text)
