"""Layers of values that lie over one another: defaults < preset < extends < file < --set < added layers. The last wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from specrun.spec.nodes import Entry, MapNode, Node, Path_, Place, ScalarNode, plain
from specrun.spec.parts import kinds
from specrun.spec.section import Section
from specrun.spec.shape import Field, fields, section_of


@dataclass(frozen=True, slots=True)
class Layer:
    """Values by dotted path that a command lays over the spec. name: as provenance tells it, such as `smoke`.

    optional: a path that the chosen kinds do not have is skipped; otherwise it is an error like any unknown key.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False


class Dropped(NamedTuple):
    """Fields of a part that went because a higher layer changed its kind."""

    path: Path_
    old_kind: str
    new_kind: str
    names: tuple[str, ...]
    place: Place
    only_preset: bool


def merge(low: Node | None, high: Node, root: type[Section], dropped: list[Dropped]) -> Node:
    """Lay `high` over `low`. Mappings merge key by key, everything else is replaced whole.

    dropped: takes what a change of kind removes.
    """
    return _merge(low, high, cls=root, slot=None, path=(), dropped=dropped)


def _merge(low: Node | None, high: Node, *, cls: type[Section] | None, slot: Field | None, path: Path_, dropped: list[Dropped]) -> Node:
    if not isinstance(low, MapNode) or not isinstance(high, MapNode):
        return high if low is None else _over(high, low)
    entries = _kept(low, high, slot, path, dropped) if slot is not None else dict(low.entries)
    shapes = fields(cls) if cls is not None else {}
    for name, entry in high.entries.items():
        below = entries[name].value if name in entries else None
        shape = shapes.get(name)
        inner = section_of(shape, kind_of(entry.value) or kind_of(below)) if shape else None
        inner_slot = shape if shape and shape.family else None
        value = _merge(below, entry.value, cls=inner, slot=inner_slot, path=(*path, name), dropped=dropped)
        entries[name] = Entry(entry.source, entry.span, value)
    return MapNode(high.source, high.span, entries)


def _kept(low: MapNode, high: MapNode, slot: Field, path: Path_, dropped: list[Dropped]) -> dict[str, Entry]:
    """What remains of a part under a layer that may change its kind."""
    old_kind, new_kind = kind_of(low) or slot.default_kind, kind_of(high)
    if old_kind is None or new_kind is None or old_kind == new_kind:
        return dict(low.entries)
    names = tuple(name for name in low.entries if name != "kind")
    if names:
        value = high.entries["kind"].value
        only_preset = all(low.entries[n].value.source.kind == "preset" for n in names)
        dropped.append(Dropped(path, old_kind, new_kind, names, Place(value.source, value.span), only_preset))
    return {name: entry for name, entry in low.entries.items() if name == "kind"}


def _over(high: Node, low: Node) -> Node:
    """A copy that remembers what it lies over; nodes may be shared by aliases and are never changed."""
    if isinstance(high, ScalarNode):
        return ScalarNode(high.source, high.span, high.value, high.text, plain=high.plain, below=low)
    if isinstance(high, MapNode):
        return MapNode(high.source, high.span, high.entries, low)
    return type(high)(high.source, high.span, high.items, low)


def kind_of(node: Node | None) -> str | None:
    """The `kind` that a mapping names; None where it names none."""
    if isinstance(node, MapNode) and "kind" in node.entries:
        value = plain(node.entries["kind"].value)
        return value if isinstance(value, str) else None
    return None


def has_path(root: Node | None, cls: type[Section], path: Path_) -> bool:
    """Whether a path leads to a field, given the kinds that the tree chooses."""
    node = root
    current: type[Section] | None = cls
    for position, name in enumerate(path):
        shape = fields(current).get(str(name)) if current is not None else None
        if shape is None:
            return False
        entry = node.entries.get(str(name)) if isinstance(node, MapNode) else None
        node = entry.value if entry else None
        kind = kind_of(node)
        if shape.family and kind is not None and kind not in kinds(shape.family):
            return False
        current = section_of(shape, kind)
        if current is None:
            return position == len(path) - 1
    return True
