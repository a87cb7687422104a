"""The whole spec: every section in its final place.

Owns the sections' composition. How a file becomes one is `spec.assembly`; where each value came from is `spec.provenance`.
"""

from __future__ import annotations

import html
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from specrun.spec.model_options import ModelOptions
from specrun.spec.section import NotYet, Section, Slot, option
from specrun.spec.sections.data import Data
from specrun.spec.sections.hardware import Hardware
from specrun.spec.sections.report import Report
from specrun.spec.sections.schedule import Schedule
from specrun.spec.task_options import TaskOptions

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _whole(value: object) -> object:
    """true and 1.0 equal 1, but are no version."""
    if type(value) is not int:
        raise PydanticCustomError("literal_error", "the version is an integer")
    return value


class Spec(Section):
    """One experiment, every default filled in."""

    version: Annotated[Literal[1], BeforeValidator(_whole)] = option(impact="meta", description="Version of the spec language.")
    name: str = option(
        impact="meta",
        description="Name of the experiment: letters, digits, dots, dashes and underscores.",
        examples=["my-experiment"],
        pattern=NAME_PATTERN,
        max_length=80,
    )
    description: str | None = option(None, impact="meta", description="What the experiment is for.", max_length=2000)
    tags: tuple[Tag, ...] = option((), impact="meta", description="Words to find the run by.", max_length=50)
    preset: Literal["fast", "balanced", "quality"] | None = option(
        None, impact="meta", description="Set of values that fills what is left out; absent means the fields' own defaults."
    )
    extends: str | None = option(None, impact="meta", description="Spec this one starts from, as a path relative to this file.")
    seeds: tuple[Seed, ...] = option((0,), impact="weights", description="Random seeds; a run each.", min_length=1, max_length=1000)

    task: Annotated[TaskOptions, Slot("task")] = option(impact="weights", description="What the model learns to do.")
    data: Data = option(impact="weights", description="What is trained on.")
    model: Annotated[ModelOptions, Slot("model")] = option(impact="weights", description="The network.")
    hardware: Hardware = option(Hardware(), impact="runtime", description="What it runs on.")
    schedule: Schedule = option(Schedule(), impact="weights", description="How it is trained.")
    search: Annotated[None, NotYet("search")] = option(None, impact="extend", description="Search over values of other fields.")
    export: Annotated[None, NotYet("export")] = option(None, impact="export", description="What the trained model is turned into.")
    expect: tuple[str, ...] = option(
        (),
        impact="report",
        description="Gates on metrics of the finished run, such as test/perplexity < 60; apply exits 4 when one fails.",
        examples=[("validation/loss < 4",)],
        max_length=1000,
    )
    tracking: Annotated[None, NotYet("tracking")] = option(None, impact="runtime", description="Trackers that follow the run.")
    report: Report = option(Report(), impact="report", description="What is written about the run.")

    def _repr_html_(self) -> str:
        """Every value as YAML, for notebooks."""
        from specrun.spec.explain import yaml_values

        return f"<pre>{html.escape(yaml_values(self))}</pre>"
