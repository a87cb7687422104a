"""Turns the merged tree into sections, finding every mistake at once, each at its own place.

Fields are checked by pydantic, section by section; what holds sections together (kinds, missing and unknown keys) is checked
here, so that one mistake hides no other. Rules that cross fields come after, in `spec.checks`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError, create_model

from specrun.spec.findings import Findings
from specrun.spec.layers import kind_of
from specrun.spec.missing import MissingKeys, missing_hint
from specrun.spec.nodes import (
    INVALID,
    Entry,
    MapNode,
    Node,
    Path_,
    ScalarNode,
    Source,
    Span,
    child,
    dotted,
    find,
    is_refused,
    key_place,
    of_value,
    place,
    plain,
)
from specrun.spec.own_path import Permission, is_own
from specrun.spec.parts import kinds
from specrun.spec.section import Section
from specrun.spec.shape import Field, fields, section_of

_DEFAULT = Source("default", "default")
_NOWHERE = Span(1, 1, 1, 1)


class Built(NamedTuple):
    """A section as far as it could be built. complete: nothing in it is wrong. value: lacks the attributes that are wrong."""

    value: Any
    complete: bool


_ABSENT = MapNode(_DEFAULT, _NOWHERE)


class Validation:
    """One pass over a merged tree."""

    def __init__(self, root: MapNode, findings: Findings, permission: Permission | None = None) -> None:
        """permission: whose code may be imported; None: parts of a user's own are held as they are written."""
        self._root = root
        self._findings = findings
        self._permission = permission
        self._task: Built | None = None
        self._missing = MissingKeys(root)

    def run(self, cls: type[Section], *, report_missing: bool = True) -> Built:
        """Build the whole spec. cls: class of the root. report_missing: False where a base that may have the keys was not read."""
        built = self._section(cls, self._root, ())
        if report_missing:
            self._missing.report(self._findings)
        for path in self._missing.misplaced:
            if find(self._root, path) is None:
                _forget(built.value, path)
        return Built(built.value, built.complete and not self._missing.misplaced)

    def _section(self, cls: type[Section], node: MapNode, path: Path_) -> Built:
        shapes = fields(cls)
        meant = set() if node.entries.keys() <= shapes.keys() else self._unknown_keys(cls, node, path)
        values: dict[str, Any] = {}
        failed: set[str] = set()
        leaves: dict[str, Any] = {}
        for name, field in shapes.items():
            entry = node.entries.get(name)
            below = (*path, name)
            if entry is not None and is_refused(entry.value, inside=field.family is None and field.section is None):
                failed.add(name)
            elif name in meant or (entry is None and field.required):
                failed.add(name)
                if name not in meant:
                    self._missing.add(cls, below, missing_hint(field))
            elif field.family is None and field.section is None:
                if entry is not None:
                    leaves[name] = plain(entry.value)
            else:
                built = self._holder(field, entry.value if entry else None, below)
                self._task = built if field.family == "task" else self._task
                values[name] = built.value
                if not built.complete:
                    failed.add(name)
        return self._instance(cls, values, leaves, failed, path)

    def _holder(self, field: Field, node: Node | None, path: Path_) -> Built:
        """A field that holds a section or a part."""
        default = field.info.default
        if node is None:
            if default is None:
                return Built(None, complete=True)
            node = of_value(default, _DEFAULT, _NOWHERE) if isinstance(default, dict) else _ABSENT
        if isinstance(node, ScalarNode) and node.value is None and field.optional:
            return Built(None, complete=True)
        if not isinstance(node, MapNode):
            self._not_a_mapping(field, node, path)
            return Built(None, complete=False)
        kind_is_good = True
        kind: str | None = None
        if field.family is not None:
            kind, kind_is_good = self._kind(field, node, path)
            if kind is None:
                return Built(None, complete=False)
            if "kind" not in node.entries:
                entries = {"kind": of_entry(kind), **node.entries}
                node = MapNode(node.source, node.span, entries)
        if is_own(kind):
            return self._own_part(field, str(kind), node, path)
        cls = section_of(field, kind)
        assert cls is not None
        if not kind_is_good:
            # The kind that was probably meant: its other keys are worth checking, the part itself is not built.
            assert kind is not None
            self._section(cls, MapNode(node.source, node.span, {**node.entries, "kind": of_entry(kind)}), path)
            return Built(None, complete=False)
        return self._section(cls, node, path)

    def _own_part(self, field: Field, kind: str, node: MapNode, path: Path_) -> Built:
        """A part of the user's own: its options where its code may be imported, else its keys as they are written."""
        from specrun.spec.own_validation import own_class

        cls = own_class(field, kind, node, path, root=self._root, findings=self._findings, permission=self._permission, task=self._task)
        return Built(None, complete=False) if cls is None else self._section(cls, node, path)

    def _unknown_keys(self, cls: type[Section], node: MapNode, path: Path_) -> set[str]:
        from specrun.spec.unknown_keys import report_unknown_keys

        return report_unknown_keys(cls, node, path, root=self._root, findings=self._findings, missing=self._missing)

    def _kind(self, field: Field, node: MapNode, path: Path_) -> tuple[str | None, bool]:
        """The kind of a part, and whether it is good as written."""
        assert field.family is not None
        kind = kind_of(node)
        if kind is not None and kind in kinds(field.family):
            return kind, True
        from specrun.spec.kinds import check_kind

        return check_kind(field, node, path, self._root, self._findings)

    def _not_a_mapping(self, field: Field, node: Node, path: Path_) -> None:
        from specrun.spec.bounds import found

        name = str(path[-1])
        value = plain(node)
        example = missing_hint(field).removeprefix("add ")
        empty = isinstance(node, ScalarNode) and node.text == ""
        hint = f"indent the keys of {name} under it, or write {example}" if empty else f"write {example}"
        self._findings.add(
            key_place(self._root, path) if empty else place(self._root, path),
            "wrong-type", f"{dotted(path)} is {found(value)}; it must be a mapping{' with a kind' if field.family else ''}",
            path=path, hint=hint,
        )  # fmt: skip

    def _instance(self, cls: type[Section], values: dict[str, Any], leaves: dict[str, Any], failed: set[str], path: Path_) -> Built:
        good = {name: value for name, value in values.items() if name not in failed}
        try:
            whole = cls.__pydantic_validator__.validate_python({**good, **leaves})
            if not failed:
                return Built(whole, complete=True)
        except ValidationError as error:
            for name, inner in self._report(cls, error, failed, path):
                failed = failed | {name}
                if name in leaves:
                    leaves[name] = _without(leaves[name], inner)
        return Built(_partial(cls, values, leaves, failed), complete=False)

    def _report(self, cls: type[Section], error: ValidationError, failed: set[str], path: Path_) -> list[tuple[str, Path_]]:
        """Report pydantic's errors, a diagnostic for each value. Returns: the fields at fault, with the path inside of each fault."""
        from specrun.spec.messages import say

        groups: dict[tuple[str, Path_], list[Any]] = {}
        for item in error.errors(include_url=False):
            name, *rest = item["loc"] or ("",)
            if str(name) in failed and item["type"] == "missing":
                continue
            groups.setdefault((str(name), self._real((*path, str(name)), rest)), []).append(item)
        # A list may be too short only because an item is wrong.
        told = [
            (name, inner) for name, inner in groups if not any(n == name and i != inner and i[: len(inner)] == inner for n, i in groups)
        ]
        for name, inner in told:
            items = groups[name, inner]
            whole = (*path, name, *inner)
            value: Any = None
            node: Node | None = self._root
            for step in whole:
                node = child(node, step)
            value = plain(node) if node is not None else items[0]["input"]
            said = say(dotted(whole), fields(cls)[name].info, items, inner, value, written=_number_text(node))
            at = key_place(self._root, whole) if said.code == "not-available-yet" else place(self._root, whole)
            self._findings.add(at, said.code, said.message, path=whole, hint=said.hint)
        return told

    def _real(self, path: Path_, location: list[Any]) -> Path_:
        """The part of pydantic's location that exists in the tree; the rest are names of union members."""
        node: Node | None = self._root
        for name in path:
            node = child(node, name)
        real: list[str | int] = []
        for name in location:
            below = child(node, name)
            if below is not None:
                real.append(name)
                node = below
        return tuple(real)


def _number_text(node: Node | None) -> str | None:
    """A number as it was written: 1e3 is 1000.0 by now."""
    is_number = isinstance(node, ScalarNode) and node.plain and isinstance(node.value, int | float)
    return node.text if is_number and isinstance(node, ScalarNode) else None


def of_entry(value: Any) -> Entry:
    """A map entry without a place of its own."""
    return Entry(_DEFAULT, _NOWHERE, of_value(value, _DEFAULT, _NOWHERE))


def _without(value: Any, inner: Path_) -> Any:
    """A value without the item in which `inner` leads to a fault; INVALID where the fault is the whole value's."""
    if not inner or value is INVALID:
        return INVALID
    name = inner[0]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key != str(name)}
    return tuple(INVALID if index == int(name) else item for index, item in enumerate(value))


def _partial(cls: type[Section], values: dict[str, Any], leaves: dict[str, Any], failed: set[str]) -> Section:
    """The section with what is right of it; reading an attribute that is wrong raises InvalidField.

    leaves: what stands in the fields that hold no section; of one that failed, the items that are right, and INVALID for others.
    """
    known = dict(values)
    for name, raw in leaves.items():
        if name not in failed:
            known[name] = _leaf_value(cls, name, raw)
        elif raw is not INVALID and any(raw):
            with suppress(ValidationError):
                known[name] = _leaf_items(cls, name, raw)
    for name, field in fields(cls).items():
        if name not in known and name not in failed:
            known[name] = field.info.get_default(call_default_factory=False)
    section = cls.model_construct(_fields_set=set(leaves) | set(values), **known)
    for name in failed:
        if known.get(name) is None:
            section.__dict__.pop(name, None)
    return section


def _forget(section: Any, path: Path_) -> None:
    """Take a default away again whose key was written in the wrong place: no rule may judge by it."""
    for name in path[:-1]:
        section = section.__dict__.get(str(name)) if isinstance(section, Section) else None
    if isinstance(section, Section):
        section.__dict__.pop(str(path[-1]), None)


def _leaf_value(cls: type[Section], name: str, raw: Any) -> Any:
    return _leaf(cls, name).model_validate({"value": raw}).value  # type: ignore[attr-defined]


def _leaf_items(cls: type[Section], name: str, raw: Any) -> Any:
    """The value of a list or mapping some of whose items are refused. Raises ValidationError where it cannot do without them."""
    if isinstance(raw, dict):
        return _leaf_value(cls, name, raw)
    good = iter(_leaf_value(cls, name, tuple(item for item in raw if item is not INVALID)))
    return tuple(INVALID if item is INVALID else next(good) for item in raw)


@cache
def _leaf(cls: type[Section], name: str) -> type[Section]:
    """A model of one field alone: validates it as its section would."""
    return create_model(f"{cls.__name__}_{name}", __base__=Section, value=(cls.model_fields[name].rebuild_annotation(), ...))
