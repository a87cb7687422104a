"""The shape of the language: which fields a section has, what each holds, and what its bounds are, in words.

Read off the section classes; messages, `explain`, the JSON Schema and the merge of layers all use it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from specrun.spec.impact import Impact
from specrun.spec.nodes import INVALID, Path_
from specrun.spec.parts import FAMILIES, kinds, options_class
from specrun.spec.section import NotYet, Part, Section, Slot

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a section. family: of the part it holds; section: class it holds; default_kind: of a part left out."""

    name: str
    info: FieldInfo
    impact: Impact
    family: str | None = None
    section: type[Section] | None = None
    optional: bool = False
    not_yet: bool = False

    @property
    def required(self) -> bool:
        return self.info.is_required()

    @property
    def default_kind(self) -> str | None:
        default = self.info.default
        if self.family is None or not isinstance(default, dict | Part):
            return None
        return default["kind"] if isinstance(default, dict) else default.kind


@cache
def fields(section: type[Section]) -> dict[str, Field]:
    """The fields of a section by name, in their order."""
    return {name: _field(name, info) for name, info in section.model_fields.items()}


def _field(name: str, info: FieldInfo) -> Field:
    extra = info.json_schema_extra
    assert isinstance(extra, dict), f"{name} is declared without option()"
    family, section, not_yet = None, None, False
    optional = False
    for annotation, metadata in _members(info.annotation, tuple(info.metadata)):
        for note in metadata:
            family = note.family if isinstance(note, Slot) else family
            not_yet = not_yet or isinstance(note, NotYet)
        if isinstance(annotation, type) and issubclass(annotation, Section) and not issubclass(annotation, Part):
            section = annotation
        optional = optional or annotation in (None, type(None))
    return Field(name, info, cast("Impact", extra["x-impact"]), family, section, optional, not_yet)


def _members(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The alternatives of an annotation, each with the metadata that applies to it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *notes = get_args(annotation)
        yield from _members(inner, (*metadata, *notes))
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member, metadata)
    else:
        yield annotation, metadata


def alternatives(info: FieldInfo) -> list[tuple[Any, tuple[Any, ...]]]:
    """The types a field takes, each with its bounds."""
    return list(_members(info.annotation, tuple(info.metadata)))


def members(annotation: Any) -> list[tuple[Any, tuple[Any, ...]]]:
    """The types an annotation inside another one takes, each with its bounds."""
    return list(_members(annotation, ()))


@cache
def section_of(field: Field, kind: str | None) -> type[Section] | None:
    """The class under a field: its section, or the options of the part's kind; None where there is none or it is not known."""
    if field.family is None:
        return field.section
    kind = kind or field.default_kind
    return options_class(field.family, kind) if kind in kinds(field.family) else None


def classes_under(field: Field) -> list[type[Section]]:
    """What may be under a field: its section, or the options of every kind."""
    if field.family is not None:
        return [options_class(field.family, kind) for kind in kinds(field.family)]
    return [field.section] if field.section is not None else []


def read(section: Section, name: str) -> Any:
    """A field that not every kind has: None where this one lacks it. Raises InvalidField where its value is invalid."""
    return getattr(section, name) if name in fields(type(section)) else None


def valid_items(values: Sequence[Item]) -> Iterator[tuple[int, Item]]:
    """The items of a list with their indices, without those that validation has refused."""
    return ((index, item) for index, item in enumerate(values) if item is not INVALID)


def walk_classes(root: type[Section]) -> Iterator[tuple[Path_, type[Section]]]:
    """Every section and every kind of every part that a spec can hold, with its path. Imports all options modules."""
    yield (), root
    for name, field in fields(root).items():
        for below in classes_under(field):
            for path, cls in walk_classes(below):
                yield (name, *path), cls


@cache
def known_places(root: type[Section], name: str) -> tuple[tuple[Path_, type[Section]], ...]:
    """The sections and parts that have a key of this name: for `x belongs to schedule`. Imports all options modules."""
    return tuple((path, cls) for path, cls in walk_classes(root) if name in fields(cls))


def family_noun(family: str) -> str:
    """What a part of a family is called."""
    return FAMILIES[family].noun
