"""Text that others wrote stays text, in Markdown and in general."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.report.markdown import aligned, block, code, inline
from specrun.report.views import Column, Row

texts = st.text(max_size=60)
lively = st.text(alphabet="ab`|*_<>[]()#!~\\\n -.&", max_size=40)


@given(lively)
def test_escaped_text_has_no_bare_markup(text: str) -> None:
    escaped = inline(text)
    assert "\n" not in escaped
    assert not set(re.sub(r"\\.", "", escaped)) & set("`*[]|~#<")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("data.sequence_length 5e-4 -> 1e-3", "data.sequence_length 5e-4 -> 1e-3"),
        ("_emphasis_ __x__", r"\_emphasis\_ \__x_\_"),
        ("- item", r"\- item"),
        ("> quote", r"\> quote"),
        ("1. first", r"1\. first"),
        ("=====", r"\====="),
        ("a <b> & [c](d)", r"a &lt;b> &amp; \[c\](d)"),
    ],
)
def test_only_what_could_become_markup_is_escaped(text: str, escaped: str) -> None:
    assert inline(text) == escaped


@given(lively)
def test_a_code_span_is_not_ended_by_its_own_backticks(text: str) -> None:
    span = code(text)
    if span:
        fence = re.match(r"`+", span)
        assert fence is not None
        assert span.endswith(fence[0])
        assert fence[0] not in list(re.findall(r"`+", span[len(fence[0]) : -len(fence[0])]))


def test_a_bar_in_a_code_span_is_escaped_where_it_would_end_a_cell_only() -> None:
    assert code("a|b") == "`a|b`"
    assert "`a\\|b`" in aligned((Column("key", mono=True),), (Row(("a|b",)),))


@given(lively)
def test_a_block_is_not_ended_by_its_own_fences(text: str) -> None:
    first, *_, last = block(text).split("\n")
    assert re.fullmatch(r"`{3,}", first)
    assert first == last
    assert first not in text


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_every_line_of_a_table_has_as_many_cells_as_its_head(rows: list[tuple[str, str]]) -> None:
    lines = aligned((Column("key", mono=True), Column("value", numeric=True)), tuple(Row(row) for row in rows)).split("\n")
    assert len(lines) == len(rows) + 2
    assert {len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))) for line in lines} == {3}


def test_a_table_is_aligned_in_its_source() -> None:
    table = aligned((Column("split"), Column("loss", numeric=True)), (Row(("validation", "2.131")), Row(("試験", "12"))))
    assert table.split("\n") == [
        "| split      |  loss |",
        "| ---------- | ----: |",
        "| validation | 2.131 |",
        "| 試験       |    12 |",
    ]
