"""Values with units: `3 epochs`, `2000 steps`, `50M tokens`, `9h`, `20%`, `16 GiB`.

Owns parsing, printing and the JSON Schema of quantities. Turning them into optimizer steps is `plan.resolve`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic_core import PydanticCustomError, core_schema

from specrun.spec.nearest import listed

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

Unit = Literal["epochs", "steps", "tokens", "samples", "rows", "evaluations", "seconds", "percent"]
UNITS: tuple[Unit, ...] = get_args(Unit)

TIME_SECONDS = {"s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
                "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400}  # fmt: skip
COUNTED: dict[str, Unit] = {"epoch": "epochs", "epochs": "epochs", "step": "steps", "steps": "steps", "token": "tokens",
                             "tokens": "tokens", "sample": "samples", "samples": "samples", "row": "rows", "rows": "rows",
                             "evaluation": "evaluations", "evaluations": "evaluations"}  # fmt: skip
SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
NUMBER = r"(?:(?:[1-9]\d{0,2}(?:,\d{3})+|\d+(?:_\d+)*)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
"""A comma groups thousands, and nothing else: where it is a decimal point, `0,5` must not read as 5."""
_QUANTITY = rf"^\s*({NUMBER})\s*([kKMBG]?)\s*(%|[A-Za-z]+)\s*$"
_SIZE = rf"^\s*({NUMBER})\s*([A-Za-z]+)\s*$"
_WITH_COMMA = r"\s*[\d_.]*,[\d,_.]*\s*[A-Za-z%]"
_COMMA = "a comma groups thousands only"
FRACTIONAL: frozenset[Unit] = frozenset({"epochs", "seconds", "percent"})
MOST: dict[Unit, float] = {"epochs": 1e9, "steps": 1e15, "tokens": 1e18, "samples": 1e15, "rows": 1e15, "evaluations": 1e9, "seconds": 1e10,
                           "percent": 1e6}  # fmt: skip
"""The most that an amount may be: far beyond what anyone trains, and within what a counter of 64 bits holds."""
MOST_BYTES = 2**50


@dataclass(frozen=True, slots=True, order=False)
class Quantity:
    """An amount and its unit. Amounts of steps, tokens, samples and evaluations are whole; times are in seconds."""

    amount: float
    unit: Unit

    def __str__(self) -> str:
        if self.unit == "percent":
            return f"{exact(self.amount)}%"
        if self.unit == "seconds":
            for suffix, seconds in (("h", 3600), ("min", 60)):
                if self.amount and self.amount % seconds == 0:
                    return f"{exact(self.amount / seconds)}{suffix}"
            return f"{exact(self.amount)}s"
        name = self.unit[:-1] if self.amount == 1 else self.unit
        return f"{exact(self.amount)} {name}"

    @property
    def fraction(self) -> float:
        """A percentage as a number from 0 to 1."""
        assert self.unit == "percent"
        return self.amount / 100


class TooMuch(ValueError):
    """An amount beyond MOST or MOST_BYTES."""


def parse_quantity(text: str) -> Quantity:
    """Read `3 epochs`, `50M tokens`, `1.5h`, `20%`. Raises ValueError that says what a quantity looks like, TooMuch beyond MOST."""
    match = re.match(_QUANTITY, text)
    if not match:
        raise ValueError(_why_no_quantity(text))
    number, scale, name = match.groups()
    scale, name = _split_scale(scale, name)
    unit: Unit
    if name == "%":
        unit, size = "percent", SCALES[scale]
    elif name in COUNTED:
        unit, size = COUNTED[name], SCALES[scale]
    elif name in TIME_SECONDS and not scale:
        unit, size = "seconds", TIME_SECONDS[name]
    else:
        raise ValueError(f"{name[:40]} is not a unit")
    amount = times(number, size)
    if amount > MOST[unit]:
        raise TooMuch(f"it must be at most {_most(unit)}")
    if unit not in FRACTIONAL and amount != int(amount):
        raise ValueError(f"it is not a whole number of {unit}")
    return Quantity(float(amount), unit)


def _why_no_quantity(text: str) -> str:
    if text.lstrip().startswith("-"):
        return "it is negative"
    return _COMMA if re.match(_WITH_COMMA, text) else "it is not a number with a unit"


def exact(number: float) -> str:
    """A number in the fewest digits that read back as the same number; whole ones without a point."""
    return f"{int(number)}" if number == int(number) else repr(number)


def _most(unit: Unit) -> str:
    return f"{MOST[unit]:,.0f}{'%' if unit == 'percent' else ' ' + unit}"


def _split_scale(scale: str, name: str) -> tuple[str, str]:
    """`50Msteps` and `5M steps` scale; `5min` and `5m` do not: the letters are tried as a whole name first."""
    whole = scale + name
    if whole in COUNTED or whole in TIME_SECONDS:
        return "", whole
    return scale, name


def times(number: str, size: int) -> Decimal:
    """A number of the form NUMBER, times a size; exact, for 1.005k is 1005 and as a product of floats is not. May be infinite."""
    digits = number.replace(",", "").replace("_", "")
    exactly = Context(prec=len(digits) + len(str(size)), traps=[])
    return exactly.multiply(exactly.create_decimal(digits), Decimal(size))


def parse_byte_size(text: str) -> int:
    """Read `16 GiB` or `500 MB` as bytes. Raises ValueError that lists the suffixes, TooMuch beyond MOST_BYTES."""
    match = re.match(_SIZE, text)
    if not match or match[2] not in _BYTES:
        why = f"{_COMMA}; " if match is None and re.match(_WITH_COMMA, text) else ""
        raise ValueError(f"{why}it must be a size in bytes, such as 500 MB or 16 GiB; suffixes are {', '.join(_BYTES)}")
    amount = times(match[1], _BYTES[match[2]])
    if amount > MOST_BYTES:
        raise TooMuch(f"it must be at most {MOST_BYTES // _BYTES['TiB']:,} TiB")
    return int(amount)


@dataclass(frozen=True, slots=True)
class ByteSize:
    """A number of bytes, written `16 GiB`."""

    bytes: int

    def __str__(self) -> str:
        for suffix in ("TiB", "GiB", "MiB", "KiB"):
            if self.bytes and self.bytes % _BYTES[suffix] == 0:
                return f"{self.bytes // _BYTES[suffix]} {suffix}"
        return f"{self.bytes} B"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def check(value: Any) -> ByteSize:
            if isinstance(value, ByteSize):
                return value
            if not isinstance(value, str):
                raise PydanticCustomError("size_without_unit", "it must be a size with its unit, such as 16 GiB")
            try:
                size = ByteSize(parse_byte_size(value))
            except ValueError as error:
                code: Any = "out_of_range" if isinstance(error, TooMuch) else "not_a_size"
                raise PydanticCustomError(code, "{why}", {"why": str(error)}) from None
            if not size.bytes:
                raise PydanticCustomError("out_of_range", "it must be more than 0 bytes")
            return size

        return core_schema.no_info_plain_validator_function(check, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^\s*{NUMBER}\s*({'|'.join(_BYTES)})\s*$", "examples": ["16 GiB"]}


class Units:
    """Annotation that makes a field a Quantity in one of the units: `Annotated[Quantity, Units("steps", "percent")]`.

    positive: amounts must be above 0 (otherwise 0 is allowed too). Negative amounts never parse.
    """

    def __init__(self, *allowed: Unit, positive: bool = True) -> None:
        assert set(allowed) <= set(UNITS)
        self.allowed = allowed
        self.positive = positive

    def _check(self, value: Any) -> Quantity:
        rule = f"it must be an amount with its unit, such as {listed(EXAMPLES[unit] for unit in self.allowed)}"
        if isinstance(value, str):
            try:
                value = parse_quantity(value)
            except TooMuch as error:
                raise PydanticCustomError("out_of_range", "{why}", {"why": str(error)}) from None
            except ValueError as error:
                raise PydanticCustomError("not_a_quantity", "{why}; {rule}", {"why": str(error), "rule": rule}) from None
        if not isinstance(value, Quantity):
            raise PydanticCustomError("quantity_without_unit", "{rule}", {"rule": rule})
        if value.unit not in self.allowed:
            kind = {"seconds": "a time", "percent": "a share"}.get(value.unit, f"a number of {value.unit}")
            raise PydanticCustomError("unit_not_allowed", "it cannot be {kind}; {rule}", {"kind": kind, "rule": rule})
        if self.positive and value.amount <= 0:
            raise PydanticCustomError("quantity_not_positive", "it must be more than 0 {unit}", {"unit": value.unit})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check, serialization=core_schema.to_string_ser_schema())

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names: list[str] = []
        for unit in self.allowed:
            names += [n for n, u in COUNTED.items() if u == unit]
            names += list(TIME_SECONDS) if unit == "seconds" else []
            names += ["%"] if unit == "percent" else []
        return {
            "type": "string",
            "pattern": rf"^\s*{NUMBER}\s*[kKMBG]?\s*({'|'.join(names)})\s*$",
            "examples": [EXAMPLES[unit] for unit in self.allowed],
        }


EXAMPLES: dict[Unit, str] = {"epochs": "3 epochs", "steps": "2000 steps", "tokens": "50M tokens", "samples": "100k samples",
                              "rows": "96 rows", "evaluations": "5 evaluations", "seconds": "9h", "percent": "20%"}  # fmt: skip
