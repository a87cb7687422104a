"""Breaks a spec on purpose: every key, in every way a person does, with the lines where that must be told.

Positions come from PyYAML's own composer, so that the loader under test is not its own judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from specrun.spec.document import Spec
from specrun.spec.section import NotYet
from specrun.spec.shape import Field, alternatives, fields, section_of
from specrun.spec.units import ByteSize, Quantity

Way = Literal["delete", "misspell", "wrong type", "out of range", "duplicate", "wrong indent"]
WAYS: tuple[Way, ...] = ("delete", "misspell", "wrong type", "out of range", "duplicate", "wrong indent")


@dataclass(frozen=True)
class Key:
    """A key of a spec's text. start, end: offsets of the whole entry; lines count from 1; flow: inside braces."""

    path: tuple[str, ...]
    field: Field
    start: int
    end: int
    value_start: int
    value_end: int
    line: int
    parent_line: int
    sibling_lines: frozenset[int]
    flow: bool
    value: str


@dataclass(frozen=True)
class Mutant:
    """A broken text. lines: where a diagnostic about it may point."""

    way: Way
    path: tuple[str, ...]
    text: str
    lines: frozenset[int]
    field: Field


def keys(text: str) -> list[Key]:
    """Every key of the language in a spec, outermost first."""
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_keys(text, root, Spec, (), root.start_mark.line + 1))


def _keys(text: str, node: yaml.MappingNode, cls: Any, path: tuple[str, ...], parent_line: int) -> Iterator[Key]:
    kind = next((v.value for k, v in node.value if k.value == "kind"), None)
    siblings = frozenset(k.start_mark.line + 1 for k, _ in node.value)
    for key, value in node.value:
        field = fields(cls)[key.value]
        where = (*path, key.value)
        end = value.end_mark.index
        if not node.flow_style:
            end = _content_end(text, key.start_mark.index, end)
        yield Key(
            where, field, key.start_mark.index, end, value.start_mark.index, min(end, value.end_mark.index), key.start_mark.line + 1,
            parent_line, siblings, bool(node.flow_style), text[value.start_mark.index : min(end, value.end_mark.index)],
        )  # fmt: skip
        if isinstance(value, yaml.MappingNode):
            inner_kind = next((v.value for k, v in value.value if k.value == "kind"), None)
            inner = section_of(field, inner_kind)
            if inner is not None:
                yield from _keys(text, value, inner, where, key.start_mark.line + 1)
    assert kind is None or "kind" in fields(cls)


def _content_end(text: str, start: int, end: int) -> int:
    """A block value ends where its last line does; the parser's mark may be lines further on."""
    return start + len(text[start:end].rstrip())


def mutants(text: str) -> Iterator[Mutant]:
    """Every mutation of every key."""
    for key in keys(text):
        yield from _delete(text, key)
        yield from _misspell(text, key)
        yield from _wrong_type(text, key)
        yield from _out_of_range(text, key)
        yield from _duplicate(text, key)
        yield from _wrong_indent(text, key)


def _delete(text: str, key: Key) -> Iterator[Mutant]:
    if key.flow:
        end = key.end
        while text[end] in ", ":
            end += 1
        changed = text[: key.start] + text[end:]
        # What follows on other lines keeps its line.
        lines = {key.parent_line, key.line}
    else:
        start = text.rfind("\n", 0, key.start) + 1
        end = text.find("\n", key.end) + 1 or len(text)
        changed = text[:start] + text[end:]
        gone = text[start:end].count("\n")
        first = next(n for n, line in enumerate(changed.splitlines(), 1) if line.strip() and not line.startswith("#"))
        parent = key.parent_line if key.path[:-1] else first
        # Rules that miss the value may point at a neighbour that no longer fits.
        neighbours = {n if n < key.line else n - gone for n in key.sibling_lines if n != key.line}
        lines = {parent} if key.field.required else {parent} | neighbours
    yield Mutant("delete", key.path, changed, frozenset(lines), key.field)


def _misspell(text: str, key: Key) -> Iterator[Mutant]:
    name = key.path[-1]
    swapped = name[:-2] + name[-1] + name[-2] if name[-1] != name[-2] else name + name[-1]
    for wrong in (swapped, name[:1] + name[2:], name[:-1] + "z", name + "x"):
        changed = text[: key.start] + wrong + text[key.start + len(name) :]
        yield Mutant("misspell", key.path, changed, frozenset({key.line}), key.field)


def _replace(text: str, key: Key, value: str, way: Way) -> Mutant:
    changed = text[: key.value_start] + value + text[key.value_end :]
    lines = {key.line}
    if not key.flow and text.count("\n", key.start, key.value_start):  # a block value starts a line further down
        head = text[: key.start] + key.path[-1] + ": " + value
        changed = head + text[key.end :]
    return Mutant(way, key.path, changed, frozenset(lines), key.field)


def _wrong_type(text: str, key: Key) -> Iterator[Mutant]:
    types = {annotation for annotation, _ in alternatives(key.field.info)}
    wrong = ["[[]]", "true"] if bool not in types else ["[[]]", "3"]
    if dict not in types and key.field.section is None and key.field.family is None:
        wrong.append("{x: 1}")
    if types & {int, float} and str not in types:
        wrong.append('"7"')
    for value in wrong:
        yield _replace(text, key, value, "wrong type")


def _out_of_range(text: str, key: Key) -> Iterator[Mutant]:
    for annotation, metadata in alternatives(key.field.info):
        if annotation in (int, float):
            if any(hasattr(note, "ge") or hasattr(note, "gt") or hasattr(note, "metadata") for note in metadata):
                yield _replace(text, key, "-1", "out of range")
            if any(hasattr(note, "le") or hasattr(note, "lt") for note in metadata):
                yield _replace(text, key, "99999999999999999999", "out of range")
        elif annotation is Quantity:
            yield _replace(text, key, "7 bananas", "out of range")
            yield _replace(text, key, "-3 steps", "out of range")
        elif annotation is ByteSize:
            yield _replace(text, key, "3 potatoes", "out of range")
        elif getattr(annotation, "__origin__", None) is Literal:
            yield _replace(text, key, "zzzzzz", "out of range")
    if key.field.not_yet or any(isinstance(n, NotYet) for n in key.field.info.metadata):
        yield _replace(text, key, "{}", "out of range")


def _duplicate(text: str, key: Key) -> Iterator[Mutant]:
    entry = text[key.start : key.end]
    if key.flow:
        changed = text[: key.end] + ", " + entry + text[key.end :]
        line = key.line + text.count("\n", key.start, key.end)
    else:
        indent = key.start - text.rfind("\n", 0, key.start) - 1
        changed = text[: key.end] + "\n" + " " * indent + entry + text[key.end :]
        line = key.line + entry.count("\n") + 1
    yield Mutant("duplicate", key.path, changed, frozenset({line}), key.field)


def _wrong_indent(text: str, key: Key) -> Iterator[Mutant]:
    if key.flow:
        return
    start = text.rfind("\n", 0, key.start) + 1
    if text[start : key.start].strip():
        return
    for shift in (1, 2, -1, -2):
        indent = key.start - start + shift
        if indent >= 0:
            changed = text[:start] + " " * indent + text[key.start :]
            yield Mutant("wrong indent", key.path, changed, frozenset({key.line}), key.field)
