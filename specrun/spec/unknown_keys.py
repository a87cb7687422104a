"""Unknown keys: names what was meant or where a key belongs, and reports one mistake once."""

from __future__ import annotations

from collections.abc import Sequence

from specrun.spec.document import Spec
from specrun.spec.findings import Findings
from specrun.spec.missing import MissingKeys
from specrun.spec.nearest import distance, listed, nearest
from specrun.spec.nodes import MapNode, Path_, ScalarNode, dotted, key_place
from specrun.spec.parts import FAMILIES
from specrun.spec.secrets import shortened
from specrun.spec.section import Part, Section
from specrun.spec.shape import Field, classes_under, fields, known_places, walk_classes

_FEW_KINDS = 3
"""Kinds of a part that a hint names one by one."""


def report_unknown_keys(
    cls: type[Section], node: MapNode, path: Path_, *, root: MapNode, findings: Findings, missing: MissingKeys
) -> set[str]:
    """Report the keys that a section does not have. Returns: the fields they were meant for, which are wrong, not missing."""
    shapes = fields(cls)
    meant: set[str] = set()
    holder = dotted(path) or "the spec"
    carried: set[str] = set()
    for name in node.entries:
        if name in shapes or name in carried or findings.full:
            continue
        where = (*path, name)
        at = key_place(root, where)
        if parent := _indented_too_little(name, node, shapes):
            meant.add(parent)
            findings.add(
                at, "wrong-indent", f'"{name}" belongs to {parent}, which stands above it with nothing in it', path=where,
                hint=f"indent it under {parent}",
            )  # fmt: skip
            continue
        absent = [s for s in shapes if s not in node.entries]
        near = _meant(name, node, shapes)
        if near and distance(name, near) <= 2:
            hint = f'did you mean "{near}"?'
            meant |= {near} & set(absent)
        elif belongs := _belongs(name, cls, missing):
            hint = belongs
            came_along = _carried(name, node)
            carried |= came_along
            if came_along:
                findings.retract_duplicates(at)
        elif near:
            hint = f'did you mean "{near}"?'
            meant |= {near} & set(absent)
        else:
            hint = f"its keys are {listed(shapes, 'and')}"
        findings.add(at, "unknown-key", f'{holder} has no key "{shortened(name)}"', path=where, hint=hint)
    return meant


def _meant(name: str, node: MapNode, shapes: dict[str, Field]) -> str | None:
    """The key that was meant: of equally near ones, one that is required and not there."""
    near = nearest(name, shapes)
    if near is None:
        return None
    edits = distance(name, near)
    return min(
        (k for k in shapes if distance(name, k) <= edits), key=lambda k: (k in node.entries, not shapes[k].required, k), default=near
    )


def _indented_too_little(name: str, node: MapNode, shapes: dict[str, Field]) -> str | None:
    """The section just above a key that has nothing in it, where the key is one of that section's."""
    key = node.entries[name]
    before = [(e.span, n) for n, e in node.entries.items() if n in shapes and e.source is key.source and e.span < key.span]
    if not before:
        return None
    _, above = max(before)
    value = node.entries[above].value
    if not isinstance(value, ScalarNode) or value.value is not None or value.text != "":
        return None
    return above if any(name in fields(cls) for cls in classes_under(shapes[above])) else None


def _carried(name: str, node: MapNode) -> set[str]:
    """Keys that came along with a section whose line is indented too far: it stands empty, and its keys beside it."""
    value = node.entries[name].value
    if not isinstance(value, ScalarNode) or value.value is not None or value.text != "":
        return set()
    holders = [fields(owner)[name] for _, owner in known_places(Spec, name)]
    return {inner for holder in holders for cls in classes_under(holder) for inner in fields(cls)}


def _belongs(name: str, cls: type[Section], missing: MissingKeys) -> str | None:
    """Where a key of this name has its place: other kinds of the same part, else sections first, then parts with the kinds that have it."""
    found: dict[str, list[str]] = {}
    for place, owner in known_places(Spec, name):
        if name == "kind" or owner is cls:
            continue
        missing.found_elsewhere((*place, name))
        kinds = found.setdefault(dotted(place) if place else "the top level", [])
        kinds += [_kind(owner)] if issubclass(owner, Part) else []
    if not found:
        return None
    same = {dotted(place) for place, owner in walk_classes(Spec) if owner is cls and place} & found.keys()
    found = {place: kinds for place, kinds in found.items() if not same or place in same}
    labels = [f"{place} of kind {_kinds(kinds)}" if kinds else place for place, kinds in found.items()]
    return f'"{name}" belongs to {listed(sorted(labels, key=lambda label: " of kind " in label)[:3])}'


def _kinds(names: Sequence[str]) -> str:
    """Kinds that have a key; of many, one that is in use everywhere and how many more."""
    each = list(dict.fromkeys(names))
    if len(each) <= _FEW_KINDS:
        return listed(each)
    known = {family.usual for family in FAMILIES.values()}
    return f"{next((kind for kind in each if kind in known), each[0])} and {len(each) - 1} others"


def _kind(owner: type[Part]) -> str:
    return str(fields(owner)["kind"].info.annotation.__args__[0])  # type: ignore[union-attr]
