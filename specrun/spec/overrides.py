"""`--set path=value`: one value laid over the file, checked like the file."""

from __future__ import annotations

from collections.abc import Sequence

from specrun.errors import UsageError
from specrun.spec.findings import Findings
from specrun.spec.loader import load_node
from specrun.spec.nodes import Entry, MapNode, Node, Path_, Place, ScalarNode, SeqNode, Source, Span, child, dotted
from specrun.spec.text import split_lines


class Override:
    """A parsed argument. path: keys and indices; spans: of each in the argument."""

    def __init__(self, argument: str, value: Node, source: Source, path: tuple[str, ...], spans: tuple[Span, ...]) -> None:
        self.argument = argument
        self.value = value
        self.source = source
        self.path = path
        self.spans = spans


def parse_override(argument: str, findings: Findings) -> Override | None:
    """Read `path=value`; the value is YAML, so that `[1, 2]`, `1e-3` and `null` mean what they mean in the file.

    Raises: UsageError for an argument without a path or without `=`.
    """
    path, equals, text = argument.partition("=")
    names = tuple(path.strip().split("."))
    if not equals or not all(names):
        raise UsageError(f"--set {argument!r} is not path=value", code="set-without-value", hint="write --set schedule.batch_size=32")
    source = Source("set", "--set", split_lines(argument), label="--set")
    offset = len(path) + 1
    # The value is parsed where it stands in the argument: what comes before it is blanked.
    before = Findings()
    value = load_node(" " * offset + text, source, before) if text.strip() else _empty(source, offset)
    for found in before.ordered():
        findings.adopt(found, path=dotted(names), source_line=argument)
    if value is None:
        return None
    if isinstance(value, ScalarNode) and value.plain and _reads_otherwise(value, text):
        value = ScalarNode(value.source, value.span, text, text)
    spans = []
    column = 1 + len(path) - len(path.lstrip())
    for name in names:
        spans.append(Span(1, column, 1, column + len(name)))
        column += len(name) + 1
    return Override(argument, value, source, names, tuple(spans))


def _reads_otherwise(value: ScalarNode, text: str) -> bool:
    """Whether YAML took something of a bare text away. It means what it says, with its spaces, # and line breaks: a shell has
    removed the quotes already."""
    return value.text != text if isinstance(value.value, str) else value.text != text.strip()


def _empty(source: Source, offset: int) -> ScalarNode:
    return ScalarNode(source, Span(1, offset + 1, 1, offset + 1), None, "")


def as_tree(override: Override, below: Node | None, findings: Findings) -> MapNode | None:
    """The override as a layer of its own. below: what it lies over, for indices into lists, which are replaced whole."""
    node = _nest(override, 0, below, findings)
    assert node is None or isinstance(node, MapNode)
    return node


def _nest(override: Override, position: int, below: Node | None, findings: Findings) -> Node | None:
    if position == len(override.path):
        return override.value
    name, span = override.path[position], override.spans[position]
    inner = _nest(override, position + 1, child(below, name), findings)
    if inner is None:
        return None
    if isinstance(below, SeqNode) and name.isdigit():
        if int(name) >= len(below.items):
            path: Path_ = override.path[: position + 1]
            findings.add_at(
                override.source, span, "index-out-of-range", f"{dotted(path[:-1])} has {len(below.items)} items, counted from 0",
                path=path, hint=f"use an index up to {len(below.items) - 1}, or set the whole list",
            )  # fmt: skip
            return None
        items = list(below.items)
        items[int(name)] = inner
        return SeqNode(override.source, span, tuple(items))
    return MapNode(override.source, span, {name: Entry(override.source, span, inner)})


def report_replaced(overrides: Sequence[Override], findings: Findings) -> None:
    """Warn of an override that a later one replaces whole: it has no effect."""
    for position, first in enumerate(overrides):
        last = next((o for o in reversed(overrides[position + 1 :]) if _replaces(o, first)), None)
        if last is not None:
            message = f"--set {last.argument} comes later and replaces this --set; the last wins"
            findings.add(
                Place(first.source, first.spans[-1]), "set-twice", message, path=first.path, severity="warning",
                hint=f"remove --set {first.argument}, or the other",
            )  # fmt: skip


def _replaces(later: Override, earlier: Override) -> bool:
    """Whether nothing remains of an override. Mappings merge key by key, everything else is replaced whole."""
    if later.path == earlier.path:
        return not (isinstance(later.value, MapNode) and isinstance(earlier.value, MapNode))
    return later.path == earlier.path[: len(later.path)] and not isinstance(later.value, MapNode)
