"""The base learning rate, which every optimizer has: a number, or auto until one has been found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

BaseRate = Annotated[float, Field(gt=0, le=10)] | Literal["auto"]


def given(rate: float | Literal["auto"]) -> float:
    """A rate that is a number by now: what finds one runs before whatever uses it."""
    assert rate != "auto", "no optimizer is built before its learning rate is found"
    return rate
