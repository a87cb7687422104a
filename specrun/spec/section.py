"""The base of every section of a spec, the field declaration that goes with it, and the slots that take a part by `kind`.

Owns nothing about YAML or positions: see loader and assembly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

    from specrun.spec.document import Spec
    from specrun.spec.impact import Impact

REQUIRED: Any = ...


class InvalidField(AttributeError):
    """The field's value is invalid, in a section that was built as far as it could be. Who reads it has lost an input."""


class Section(BaseModel):
    """A frozen group of options. Unknown keys, coerced types and non-finite numbers are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True, arbitrary_types_allowed=True
    )

    if not TYPE_CHECKING:  # or every attribute would type-check

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise InvalidField(f"{type(self).__name__}.{name} is invalid")
            return super().__getattr__(name)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a cross-field check found. path: the key to point at, as a tuple from the root of the spec."""

    path: tuple[str | int, ...]
    code: str
    message: str
    hint: str | None = None
    severity: str = "error"


def apart(*checks: Iterator[Problem]) -> Iterator[Problem]:
    """What several checks find, each for itself: one that has lost an input to an invalid field does not end the others."""
    for check in checks:
        with suppress(InvalidField):
            yield from check


class Part(Section):
    """Options of a replaceable part. A subclass narrows `kind` to one literal, the name of its folder.

    factory: "module:function" that builds the part from its options; that module may import torch, this one may not.
    """

    kind: str
    factory: ClassVar[str]

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Checks of this part against the rest of the spec, beyond types. path: where the part sits. Opens no file."""
        yield from ()

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        """What fields that were left out come to, by name (dotted in a section of the part's): the value, or in words what the plan
        will take it from."""
        return {}


@dataclass(frozen=True, slots=True)
class Slot:
    """Marks a field that holds a Part. family: key into `specrun.spec.parts.FAMILIES`."""

    family: str


def option(
    default: Any = REQUIRED,
    *,
    impact: Impact,
    description: str,
    examples: Sequence[Any] | None = None,
    **bounds: Any,
) -> Any:
    """Declare a field of a section. description: one sentence with the unit; bounds: pydantic's ge, gt, le, lt, max_length…"""
    return Field(
        default, description=description, examples=list(examples) if examples else None, json_schema_extra={"x-impact": impact}, **bounds
    )


class NotYet:
    """Annotation of a key whose place in the language is fixed while its machinery is still to come.

    Anything but its absence is the diagnostic `not-available-yet`; nothing is accepted and ignored.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def _check(self, value: Any) -> None:
        if value is not None:
            raise PydanticCustomError("not_available_yet", "{what} is part of the language, but not available yet", {"what": self.what})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"not": {}, "description": f"{self.what}: not available yet"}
