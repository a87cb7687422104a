"""The tree that a YAML text becomes: plain values, each with the place where it was written.

Owns no checks: `spec.loader` builds trees, `spec.merge` lays them over one another, `spec.validation` turns them into sections.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

SourceKind = Literal["default", "preset", "extends", "file", "set", "layer"]
Path_: TypeAlias = tuple[str | int, ...]
_HERE = Path()


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Source:
    """Where text comes from. name: as shown; label: as told by `explain`; folder: where relative paths start."""

    __slots__ = ("folder", "kind", "label", "lines", "name")

    def __init__(self, kind: SourceKind, name: str, lines: tuple[str, ...] = (), folder: Path = _HERE, label: str = "") -> None:
        self.kind: Final = kind
        self.name: Final = name
        self.lines: Final = lines
        self.folder: Final = folder
        self.label: Final = label

    def line(self, number: int) -> str | None:
        """The text of a line, from 1; None where there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else None


INVALID: Any = type("Invalid", (), {"__repr__": lambda _: "invalid"})()
"""A value that was refused already: by the loader, in a scalar; by validation, among the items of a list."""


class ScalarNode:
    """A single value. text: as written; plain: written without quotes. below: the node that this one overrides."""

    __slots__ = ("below", "plain", "source", "span", "text", "value")

    def __init__(self, source: Source, span: Span, value: Any, text: str, *, plain: bool = True, below: Node | None = None) -> None:
        self.source = source
        self.span = span
        self.value = value
        self.text = text
        self.plain = plain
        self.below = below


class SeqNode:
    """A list."""

    __slots__ = ("below", "items", "source", "span")

    def __init__(self, source: Source, span: Span, items: tuple[Node, ...], below: Node | None = None) -> None:
        self.source = source
        self.span = span
        self.items = items
        self.below = below


class Entry(NamedTuple):
    """A key of a mapping with its value. source and span: of the key."""

    source: Source
    span: Span
    value: Node


class MapNode:
    """A mapping, in the order of the text."""

    __slots__ = ("below", "entries", "source", "span")

    def __init__(self, source: Source, span: Span, entries: dict[str, Entry] | None = None, below: Node | None = None) -> None:
        self.source = source
        self.span = span
        self.entries = {} if entries is None else entries
        self.below = below


Node: TypeAlias = ScalarNode | SeqNode | MapNode


class Place(NamedTuple):
    """A position to point at."""

    source: Source
    span: Span


def plain(node: Node) -> Any:
    """The value without positions: dict, tuple or scalar. The loader bounds the depth."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SeqNode):
        return tuple(plain(item) for item in node.items)
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def is_refused(node: Node, *, inside: bool = True) -> bool:
    """Whether the loader has refused the value. inside: look into a mapping as well, which is a value here and not a section."""
    if isinstance(node, SeqNode):
        return any(is_refused(item) for item in node.items)
    if isinstance(node, MapNode):
        return inside and any(is_refused(entry.value) for entry in node.entries.values())
    return node.value is INVALID


def child(node: Node | None, name: str | int) -> Node | None:
    """The value under a key or an index; None where there is none. An index may come as text."""
    if isinstance(node, MapNode):
        entry = node.entries.get(str(name))
        return entry.value if entry else None
    if isinstance(node, SeqNode) and str(name).isdigit() and int(name) < len(node.items):
        return node.items[int(name)]
    return None


def find(node: Node | None, path: Path_) -> Node | None:
    """The node at a path; None where there is none."""
    for name in path:
        node = child(node, name)
    return node


def place(root: MapNode, path: Path_) -> Place:
    """Where to point for a path: its value, or the key of the nearest parent that was written; the root's start at last."""
    node: Node = root
    best = Place(root.source, root.span)
    for position, name in enumerate(path):
        below = child(node, name)
        if below is None:
            return best
        last = position == len(path) - 1
        if isinstance(node, MapNode) and not (last and isinstance(below, ScalarNode) and below.text != ""):
            entry = node.entries[str(name)]
            best = Place(entry.source, entry.span)
        else:
            best = Place(below.source, below.span)
        node = below
    return best


def key_place(root: MapNode, path: Path_) -> Place:
    """Where the key of a path was written, or the nearest parent's."""
    parent = find(root, path[:-1])
    if path and isinstance(parent, MapNode) and (entry := parent.entries.get(str(path[-1]))):
        return Place(entry.source, entry.span)
    return place(root, path)


def of_value(value: Any, source: Source, span: Span) -> Node:
    """A tree whose every node has the same place: for values of presets, layers and defaults."""
    if isinstance(value, dict):
        return MapNode(source, span, {key: Entry(source, span, of_value(item, source, span)) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return SeqNode(source, span, tuple(of_value(item, source, span) for item in value))
    return ScalarNode(source, span, value, "null" if value is None else str(value))


def dotted(path: Path_) -> str:
    """`("seeds", 0)` as `seeds.0`."""
    return ".".join(str(name) for name in path)
