"""Builds the tree of one YAML document from the parser's events, without recursion and within bounds."""

from __future__ import annotations

import re

import yaml

from specrun.spec.findings import Findings, at
from specrun.spec.nearest import nearest
from specrun.spec.nodes import INVALID, Entry, MapNode, Node, Place, ScalarNode, SeqNode, Source, Span
from specrun.spec.scalars import resolve

MAX_DEPTH = 40
MAX_NODES = 100_000
"""Nodes after aliases are expanded. A spec has some hundreds."""
_NEAR_ANCHORS = 50
"""Anchors before an undefined alias that it may have meant; a text of many of both must not take quadratic time."""


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("abandoned", "anchor", "height", "items", "key", "key_span", "merges", "node", "size")

    def __init__(self, node: MapNode | SeqNode, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.abandoned = False
        self.key: str | None = None
        self.key_span: Span | None = None
        self.items: list[Node] = []
        self.merges: list[tuple[Node, Span]] = []
        self.size = 1
        self.height = 1


class Builder:
    """Builds the tree of one document from events, with a stack of its own. size and height count aliases as expanded."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.root: Node | None = None
        self.quoted: list[Span] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._documents = 0
        self._count = 0

    def take(self, event: yaml.Event) -> bool:
        """Take one event; False where nothing more can be read."""
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                return self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                return self._end(event)
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.DocumentStartEvent():
                return self._document(event)
            case _:
                return True

    def _document(self, event: yaml.DocumentStartEvent) -> bool:
        self._documents += 1
        if self._documents > 1:
            self.findings.add(
                Place(self.source, _span(event)), "several-documents", "a second document starts here; a file holds one spec",
                hint="put it into a file of its own",
            )  # fmt: skip
            return False
        if event.version is not None or event.tags:
            number = next((n for n, line in enumerate(self.source.lines, 1) if line.startswith("%")), 1)
            line = self.source.line(number) or ""
            self.findings.add(
                at(self.source, number, 1, len(line)), "yaml-directive", "directives are not allowed; a spec is read as YAML 1.2",
                hint="remove the line and the --- after it",
            )  # fmt: skip
        return True

    def _scalar(self, event: yaml.ScalarEvent) -> bool:
        span = _span(event)
        is_plain = not event.style
        if event.tag is not None:
            self._tag(event.tag, span)
        if not is_plain:
            self.quoted.append(span)
        text: str = event.value
        try:
            value = resolve(text) if is_plain else text
        except ValueError as error:
            self.findings.add(Place(self.source, span), "number-too-long", f"{error} is not a setting", hint="quote it if it is text")
            value = INVALID
        return self._put(ScalarNode(self.source, span, value, text, plain=is_plain), 1, 1, event.anchor)

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> bool:
        span = _span(event)
        if len(self._stack) >= MAX_DEPTH:
            self._too_deep(span)
            return False
        if event.tag is not None:
            self._tag(event.tag, span)
        if self._wants_key():
            self.findings.add(Place(self.source, span), "key-not-text", "a key is text, not a collection", hint="write one key a line")
            return False
        node: MapNode | SeqNode
        if isinstance(event, yaml.MappingStartEvent):
            node = MapNode(self.source, span)
        else:
            node = SeqNode(self.source, span, ())
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(node, event.anchor))
        return True

    def _end(self, event: yaml.CollectionEndEvent) -> bool:
        done = self._stack.pop()
        start, end = done.node.span, _span(event)
        if end.column < end.end_column:  # a flow collection ends with a bracket; a block one where the next line starts
            done.node.span = Span(start.line, start.column, end.end_line, end.end_column)
        if isinstance(done.node, MapNode):
            self._merge_in(done, done.node)
        else:
            done.node.items = tuple(done.items)
        return self._put(done.node, done.size, done.height, done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> bool:
        name, span = str(event.anchor), _span(event)
        place = Place(self.source, span)
        if any(o.anchor == name for o in self._stack):
            self.findings.add(place, "alias-cycle", f"*{name} stands inside the value that &{name} names", hint="write the value out")
            return False
        if name not in self._anchors:
            near = None if self.findings.full else nearest(name, list(self._anchors)[-_NEAR_ANCHORS:])
            hint = f"did you mean *{near}?" if near else f"put &{name} before the value it should repeat"
            self.findings.add(place, "undefined-alias", f"no value before this is named &{name}", hint=hint)
            return self._put(ScalarNode(self.source, span, INVALID, f"*{name}"), 1, 1, None)
        node, size, height = self._anchors[name]
        if len(self._stack) + height > MAX_DEPTH:
            self._too_deep(span)
            return False
        if sum(o.size for o in self._stack) + size > MAX_NODES:
            self.findings.add(
                place, "alias-bomb", f"the aliases expand to more than {MAX_NODES:,} values", hint="write the values out once"
            )
            return False
        return self._put(node, size, height, None)

    def _put(self, node: Node, size: int, height: int, anchor: str | None) -> bool:
        self._count += 1
        if self._count > MAX_NODES:
            self.findings.add(
                Place(self.source, node.span), "too-many-values", f"the file holds more than {MAX_NODES:,} values",
                hint="name data files in data.source instead of writing their content here",
            )  # fmt: skip
            return False
        if anchor:
            self._anchors[anchor] = (node, size, height)
        if not self._stack:
            self.root = node
            return True
        parent = self._stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node, SeqNode):
            parent.items.append(node)
        elif parent.key_span is None:
            self._key(parent, node)
        else:
            self._value(parent, parent.node, node)
        return True

    def _key(self, parent: _Open, node: Node) -> None:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            text = node.text if isinstance(node, ScalarNode) else "a collection"
            self.findings.add(
                Place(self.source, node.span), "key-not-text", f"{text or 'an empty key'} is not text", hint=f'quote it: "{text}"'
            )
            parent.key = None
        else:
            parent.key = node.value
        parent.key_span = node.span

    def _value(self, parent: _Open, mapping: MapNode, node: Node) -> None:
        key, span = parent.key, parent.key_span
        parent.key = parent.key_span = None
        assert span is not None
        if key is None or parent.abandoned:
            return
        if key == "<<" and span.end_column - span.column == len(key):  # a quoted "<<" is a key like any other
            parent.merges.append((node, span))
        elif key in mapping.entries:
            first = mapping.entries[key].span
            self.findings.add(
                Place(self.source, span), "duplicate-key", f'"{key}" stands already in line {first.line}', hint="keep one of the two"
            )
            # A header without content that stands here twice is indented too far, and so is all that follows it.
            parent.abandoned = isinstance(node, ScalarNode) and node.text == "" and node.plain
        else:
            mapping.entries[key] = Entry(self.source, span, node)

    def _merge_in(self, done: _Open, mapping: MapNode) -> None:
        """`<<: *base`: the mapping's own keys win, then earlier bases over later ones (YAML 1.1's merge key)."""
        for node, span in done.merges:
            for base in node.items if isinstance(node, SeqNode) else (node,):
                if not isinstance(base, MapNode):
                    self.findings.add(
                        Place(self.source, span), "merge-not-a-mapping", "<< takes a mapping or a list of mappings",
                        hint="use an alias of a mapping, such as <<: *base",
                    )  # fmt: skip
                    continue
                for key, entry in base.entries.items():
                    mapping.entries.setdefault(key, entry)

    def _wants_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node, MapNode) and self._stack[-1].key_span is None

    def _tag(self, tag: str, span: Span) -> None:
        short = re.sub(r"^tag:yaml\.org,2002:", "!!", tag)
        self.findings.add(
            Place(self.source, span), "tag", f"the tag {short} is not allowed; values have the types of the spec language",
            hint="remove the tag; quote the value if it is text",
        )  # fmt: skip

    def _too_deep(self, span: Span) -> None:
        self.findings.add(
            Place(self.source, span),
            "too-deep",
            f"values are nested more than {MAX_DEPTH} deep",
            hint="no section needs more than 6 levels",
        )


def _span(event: yaml.Event) -> Span:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
