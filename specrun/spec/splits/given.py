"""Splits that the source itself names."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """The source's own splits. A text source has them where its path is a mapping; a Hub dataset by its configuration."""

    factory: ClassVar[str] = "specrun.sources.splitting:given"
    kind: Literal["given"] = option(impact="weights", description="The source's own splits.")
    train: str = option("train", impact="weights", description="The source's name for the train split.", min_length=1)
    validation: str = option("validation", impact="weights", description="The source's name for the validation split.", min_length=1)
    test: str | None = option(
        None, impact="weights", description="The source's name for the test split; absent means no test split.", min_length=1
    )
