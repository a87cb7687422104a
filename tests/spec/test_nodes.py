"""Places in the tree: what is pointed at for a path, also for one that was not written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.findings import Findings, at
from specrun.spec.loader import load_node
from specrun.spec.nodes import (
    INVALID,
    MapNode,
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
from specrun.spec.text import split_lines

TEXT = """\
name: a
data:
  source: {kind: text, path: x.txt}
  empty:
seeds: [1, 22]
expect:
  - first
  - second
"""


def tree(text: str = TEXT) -> MapNode:
    node = load_node(text, Source("file", "a.yaml", split_lines(text)), Findings())
    assert isinstance(node, MapNode)
    return node


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("name",), 1, 7),
        (("data",), 2, 1),
        (("data", "source"), 3, 3),
        (("data", "source", "path"), 3, 30),
        (("data", "empty"), 4, 3),
        (("data", "missing"), 2, 1),
        (("data", "source", "missing", "deeper"), 3, 3),
        (("seeds",), 5, 1),
        (("seeds", 1), 5, 12),
        (("seeds", "1"), 5, 12),
        (("seeds", 9), 5, 1),
        (("expect", 1), 8, 5),
        (("nothing",), 1, 1),
        ((), 1, 1),
    ],
)
def test_a_path_points_at_its_value_or_the_nearest_parent(path: tuple[str | int, ...], line: int, column: int) -> None:
    found = place(tree(), path)
    assert (found.span.line, found.span.column) == (line, column)


@pytest.mark.parametrize(
    ("path", "line", "column"), [(("name",), 1, 1), (("data", "source", "path"), 3, 24), (("data", "missing"), 2, 1), ((), 1, 1)]
)
def test_a_key_is_where_it_was_written(path: tuple[str | int, ...], line: int, column: int) -> None:
    found = key_place(tree(), path)
    assert (found.span.line, found.span.column) == (line, column)


def test_a_span_ends_after_the_value() -> None:
    node = find(tree(), ("data", "source"))
    assert node is not None
    assert node.span == Span(3, 11, 3, 36)
    name = find(tree(), ("name",))
    assert name is not None
    assert name.span == Span(1, 7, 1, 8)


def test_what_is_not_there_is_none() -> None:
    root = tree()
    assert find(root, ("data", "nope", "deeper")) is None
    assert child(find(root, ("name",)), "x") is None
    assert child(find(root, ("seeds",)), "x") is None
    assert child(None, "x") is None


values = st.recursive(
    st.integers() | st.text(max_size=4) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_a_value_survives_the_tree(value: object) -> None:
    assert plain(of_value(value, Source("layer", "x"), Span(1, 1, 1, 1))) == value


def test_every_node_of_a_value_has_its_place() -> None:
    source, span = Source("preset", "a.yaml", label="preset fast"), Span(3, 9, 3, 13)
    root = of_value({"a": {"b": [1]}}, source, span)
    assert isinstance(root, MapNode)
    assert place(root, ("a", "b", 0)) == (source, span)


def test_a_refused_value_is_found_wherever_it_stands() -> None:
    source, span = Source("file", "a"), Span(1, 1, 1, 1)
    bad = ScalarNode(source, span, INVALID, "*x")
    good = ScalarNode(source, span, 1, "1")
    assert is_refused(bad)
    assert not is_refused(good)
    text = "a: {b: *x, c: 1}\nd: [1, *x]\ne: [1]\nf: {g: 1}\n"
    root = tree(text)
    refused = {name: is_refused(entry.value) for name, entry in root.entries.items()}
    assert refused == {"a": True, "d": True, "e": False, "f": False}
    assert not is_refused(root.entries["a"].value, inside=False)
    assert repr(INVALID) == "invalid"


def test_paths_are_dotted() -> None:
    assert dotted(("seeds", 0)) == "seeds.0"
    assert dotted(()) == ""


def test_a_line_that_does_not_exist_has_no_text() -> None:
    source = Source("file", "a", ("one", "two"))
    assert (source.line(0), source.line(1), source.line(2), source.line(3)) == (None, "one", "two", None)


def test_findings_keep_their_order_and_are_counted() -> None:
    findings = Findings()
    source = Source("file", "a", ("one", "two"))
    findings.add(at(source, 2, 1), "b", "second")
    findings.add(at(source, 1, 2), "a", "first", severity="warning")
    findings.add(at(source, 2, 1), "b", "second")
    assert [d.code for d in findings.ordered()] == ["a", "b"]
    assert findings.error_count == 2
    assert not findings.full
