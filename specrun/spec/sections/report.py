"""The `report` section: which documents a run ends with."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from specrun.spec.section import Section, option

Format = Literal["html", "md"]


class Report(Section):
    """What is written about a run."""

    formats: tuple[Format, ...] = option(("html", "md"), impact="report", description="Documents to write.", min_length=1)
    title: str | None = option(None, impact="report", description="Heading of the report; absent means the run's name.", max_length=200)

    @field_validator("formats")
    @classmethod
    def _distinct(cls, formats: tuple[Format, ...]) -> tuple[Format, ...]:
        for name in formats:
            if formats.count(name) > 1:
                raise PydanticCustomError("duplicate_item", "{name} is listed twice", {"name": name})
        return formats
