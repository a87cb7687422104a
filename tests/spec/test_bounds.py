"""Types, bounds and values in words."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from pydantic.fields import FieldInfo

from specrun.spec.bounds import describe, example, found, shown
from specrun.spec.remedies import remedy
from specrun.spec.section import NotYet, Part, Section, Slot, option
from specrun.spec.shape import alternatives, fields
from specrun.spec.units import ByteSize, Quantity, Units


class Inner(Section):
    """A section inside."""

    count: int = option(1, impact="meta", description="A count.")


class Every(Section):
    """One field of every shape."""

    plain: int = option(1, impact="meta", description="An integer.")
    low: int = option(1, impact="meta", description="With a lower bound.", ge=1)
    range: int = option(1, impact="meta", description="With both.", ge=1, le=100_000)
    open: float = option(0.5, impact="meta", description="Open on both sides.", gt=0, lt=1)
    half: float = option(0.5, impact="meta", description="Open above.", ge=0, lt=1)
    most: float = option(0.5, impact="meta", description="Closed above.", le=3)
    flag: bool = option(False, impact="meta", description="A switch.")
    text: str = option("x", impact="meta", description="A text.")
    short: str = option("x", impact="meta", description="A short text.", min_length=1, max_length=8)
    long: str = option("xxxx", impact="meta", description="A long text.", min_length=3)
    named: str = option("x", impact="meta", description="A name.", pattern="^x$")
    choice: Literal["a", "b", "c"] = option("a", impact="meta", description="A choice.")
    either: Annotated[int, Field(ge=1)] | Literal["auto"] = option("auto", impact="meta", description="A number or auto.")
    perhaps: int | None = option(None, impact="meta", description="Perhaps a number.")
    many: tuple[int, ...] = option((1,), impact="meta", description="Numbers.")
    some: tuple[str, ...] = option(("a",), impact="meta", description="Texts.", min_length=1)
    few: tuple[str, ...] = option((), impact="meta", description="Texts.", max_length=3)
    two: tuple[float, float] = option((0.1, 0.2), impact="meta", description="Two numbers.")
    between: tuple[int, ...] = option((1, 2), impact="meta", description="Two to four.", min_length=2, max_length=4)
    mapping: dict[str, int] = option({}, impact="meta", description="Numbers by name.")
    length: Annotated[Quantity, Units("steps", "percent")] = option(Quantity(1, "steps"), impact="meta", description="A length.")
    memory: ByteSize | None = option(None, impact="meta", description="A size.")
    inner: Inner = option(Inner(), impact="meta", description="A section.")
    part: Annotated[Part, Slot("model")] | None = option(None, impact="meta", description="A part.")
    later: Annotated[None, NotYet("this")] = option(None, impact="meta", description="Still to come.")
    needed: int = option(impact="meta", description="Required.", gt=4)
    hinted: str = option("x", impact="meta", description="With an example.", examples=["like this"])


INFO: dict[str, FieldInfo] = {name: field.info for name, field in fields(Every).items()}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain", "an integer"),
        ("low", "an integer of at least 1"),
        ("range", "an integer from 1 to 100,000"),
        ("open", "a number above 0 and below 1"),
        ("half", "a number of at least 0 and below 1"),
        ("most", "a number of at most 3"),
        ("flag", "true or false"),
        ("text", "text"),
        ("short", "text that is not empty of at most 8 characters"),
        ("long", "text of at least 3 characters"),
        ("named", "text that matches ^x$"),
        ("choice", "a, b or c"),
        ("either", "an integer of at least 1 or auto"),
        ("perhaps", "an integer"),
        ("many", "a list of values, each an integer"),
        ("some", "a list of one or more values, each text"),
        ("few", "a list of at most 3 values, each text"),
        ("two", "a list of 2 values, each a number"),
        ("between", "a list of 2 to 4 values, each an integer"),
        ("mapping", "a mapping to an integer"),
        ("length", "an amount with its unit, such as 2000 steps or 20%"),
        ("memory", "a size, such as 16 GiB"),
        ("inner", "a mapping"),
        ("part", "a mapping with a kind"),
        ("later", "nothing yet"),
    ],
)
def test_a_field_is_described_in_words(name: str, words: str) -> None:
    assert describe(INFO[name]) == words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("range", "1"),
        ("open", "0.5"),
        ("needed", "5"),
        ("perhaps", "1"),
        ("memory", "16 GiB"),
        ("few", '["text"]'),
        ("length", "1 step"),
        ("hinted", '"like this"'),
        ("flag", "false"),
        ("inner", "count=1"),
        ("part", None),
    ],
)
def test_an_example_is_a_value_that_fits(name: str, value: str | None) -> None:
    assert example(INFO[name]) == value


@pytest.mark.parametrize(
    ("name", "bad", "value"),
    [
        ("range", 0, "1"),
        ("range", 10**9, "100000"),
        ("range", "7", "7"),
        ("range", "x", None),
        ("range", "9" * 400, None),
        ("open", 7.0, None),
        ("open", 0.25, "0.25"),
        ("most", 9, "3"),
        ("memory", 3, "3 GiB"),
        ("memory", [], None),
        ("few", 3, None),
        ("few", "a", "[a]"),
        ("few", {"a": 1}, None),
        ("many", {"a": "b"}, None),
        ("many", 3, "[3]"),
        ("length", 3, "3 steps"),
        ("flag", "yes", "true"),
        ("flag", "x", None),
        ("inner", 3, None),
    ],
)
def test_a_remedy_is_the_nearest_value_that_fits(name: str, bad: Any, value: str | None) -> None:
    assert remedy(bad, alternatives(INFO[name])) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1_000_000, "1000000"),
        (0.1, "0.1"),
        (1e-9, "1e-09"),
        ("auto", "auto"),
        ("a b", '"a b"'),
        ("7", '"7"'),
        ("é", "é"),
        ((1, "x"), "[1, x]"),
        ({"a": 1, "b": [2]}, "{a: 1, b: [2]}"),
        ([], "[]"),
        (Quantity(3, "epochs"), "3 epochs"),
        (ByteSize(2**30), "1 GiB"),
    ],
)
def test_a_value_is_shown_as_it_may_be_written(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "empty"),
        ({}, "a mapping"),
        ((), "an empty list"),
        ((1, 2), "the list [1, 2]"),
        ("x", '"x"'),
        (True, "true"),
        (3, "3"),
        (1.0, "1.0"),
        (math.inf, ".inf"),
    ],
)
def test_a_value_is_told_as_it_was_found(value: Any, text: str) -> None:
    assert found(value) == text


@pytest.mark.parametrize("value", ["x" * 1000, list(range(1000)), 10**300])
def test_what_was_found_is_told_in_short(value: Any) -> None:
    assert len(found(value)) < 80
    assert found(value).endswith("…")
