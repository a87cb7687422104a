"""Values with units read back as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.section import Section, option
from specrun.spec.units import MOST, SCALES, UNITS, ByteSize, Quantity, exact, parse_byte_size, parse_quantity

whole = st.sampled_from(["steps", "tokens", "samples", "evaluations"])
amounts = st.one_of(
    whole.flatmap(lambda unit: st.builds(Quantity, st.integers(0, int(MOST[unit])).map(float), st.just(unit))),
    st.builds(Quantity, st.floats(0, 1e6), st.sampled_from(["epochs", "percent", "seconds"])),
    st.builds(Quantity, st.integers(0, 10**7).map(float), st.just("seconds")),
)


@given(amounts)
def test_a_quantity_reads_back_as_it_is_printed(quantity: Quantity) -> None:
    assert parse_quantity(str(quantity)) == quantity


@given(st.integers(0, 2**50))
def test_a_size_reads_back_as_it_is_printed(size: int) -> None:
    assert parse_byte_size(str(ByteSize(size))) == size


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("3 epochs", 3, "epochs"),
        ("1 epoch", 1, "epochs"),
        ("0.5 epochs", 0.5, "epochs"),
        ("2000 steps", 2000, "steps"),
        ("2,000 steps", 2000, "steps"),
        ("12,345,678 steps", 12345678, "steps"),
        ("1_000_000 steps", 1000000, "steps"),
        ("1,000.5 epochs", 1000.5, "epochs"),
        ("50M tokens", 50e6, "tokens"),
        ("1.5B tokens", 1.5e9, "tokens"),
        ("100k samples", 1e5, "samples"),
        ("5 evaluations", 5, "evaluations"),
        ("9h", 32400, "seconds"),
        ("90min", 5400, "seconds"),
        ("5m", 300, "seconds"),
        ("2d", 172800, "seconds"),
        ("20%", 20, "percent"),
        (" 7 % ", 7, "percent"),
        ("1e3 steps", 1000, "steps"),
    ],
)
def test_a_quantity_is_read_with_its_scale(text: str, amount: float, unit: str) -> None:
    assert parse_quantity(text) == Quantity(amount, unit)  # type: ignore[arg-type]


@given(st.integers(0, 10**7), st.integers(0, 3), st.sampled_from(sorted(SCALES)))
def test_a_decimal_with_a_scale_is_the_whole_number_that_it_writes(digits: int, places: int, scale: str) -> None:
    written = f"{digits // 10**places}.{digits % 10**places:0{places}}" if places else str(digits)
    amount, rest = divmod(digits * SCALES[scale], 10**places)
    if rest:
        with pytest.raises(ValueError, match="not a whole number of tokens"):
            parse_quantity(f"{written}{scale} tokens")
    else:
        assert parse_quantity(f"{written}{scale} tokens") == Quantity(amount, "tokens")


@given(st.integers(0, 10**6), st.integers(0, 3), st.sampled_from(["B", "kB", "MB", "GB", "KiB", "MiB"]))
def test_a_decimal_size_is_the_whole_bytes_that_it_writes(digits: int, places: int, suffix: str) -> None:
    written = f"{digits // 10**places}.{digits % 10**places:0{places}}" if places else str(digits)
    assert parse_byte_size(f"{written} {suffix}") == digits * parse_byte_size(f"1 {suffix}") // 10**places


@pytest.mark.parametrize("exponent", [999, 10**6, 10**18, 10**30])
def test_an_exponent_of_any_length_is_read_at_once(exponent: int) -> None:
    with pytest.raises(ValueError, match="at most"):
        parse_quantity(f"1e{exponent} steps")
    with pytest.raises(ValueError, match="at most"):
        parse_byte_size(f"1e{exponent} GiB")
    assert parse_quantity(f"1e-{exponent} epochs").amount == 0
    assert parse_byte_size(f"1e-{exponent} GiB") == 0


@pytest.mark.parametrize(
    "text", ["", "3", "epochs", "3 bananas", "-3 steps", "1.5 steps", "5M min", "3 epochs 2", "1e steps", "0x10 steps", "1e999 steps"]
)
def test_what_is_no_quantity_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|whole|at most|negative"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["0,5 epochs", "1,5 epochs", "12,34 steps", "0,500 epochs", "1,2,3 steps", "1000,000 steps", "1.000,5 h"])
def test_a_comma_that_groups_no_thousands_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\Aa comma groups thousands only\Z"):
        parse_quantity(text)


def test_a_size_with_a_decimal_comma_is_refused() -> None:
    assert parse_byte_size("2,000 MB") == 2 * 10**9
    with pytest.raises(ValueError, match="a comma groups thousands only; it must be a size"):
        parse_byte_size("1,5 GiB")


@pytest.mark.parametrize("text", ["", "16", "16 gigs", "GiB", "-1 GiB", "1 GIB", "1e999 GiB"])
def test_what_is_no_size_is_refused_with_the_suffixes(text: str) -> None:
    with pytest.raises(ValueError, match=r"GiB|bytes|TiB"):
        parse_byte_size(text)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_prints_with_its_name(unit: str) -> None:
    assert parse_quantity(str(Quantity(2.0, unit))) == Quantity(2.0, unit)  # type: ignore[arg-type]


def test_a_percentage_has_a_fraction() -> None:
    assert Quantity(20.0, "percent").fraction == 0.2


class _Sized(Section):
    """A section with a size."""

    memory: ByteSize | None = option(None, impact="runtime", description="Memory.")


def test_a_size_is_a_value_of_a_section() -> None:
    assert _Sized(memory=ByteSize(1024)).memory == ByteSize(1024)
    assert _Sized.model_validate({"memory": "1 KiB"}).memory == ByteSize(1024)
    assert _Sized.model_validate({"memory": "1 KiB"}).model_dump(mode="json") == {"memory": "1 KiB"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_exact_number_reads_back_as_itself(number: float) -> None:
    assert float(exact(number)) == number
