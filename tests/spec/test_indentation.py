"""The line that is blamed for odd indentation is the one a person would move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.indentation import indent_of, odd_line
from tests.spec.specs import check, texts

BLOCK = """\
version: 1
name: a
task:
  kind: causal_lm
  prompt: x
data:
  source:
    kind: synthetic
    states: 4
  split:
    kind: ratio
    test: 0.1
model:
  kind: gpt
  width: 64
""".splitlines()


def moved(number: int, shift: int) -> str:
    lines = list(BLOCK)
    lines[number - 1] = " " * (indent_of(lines[number - 1]) + shift) + lines[number - 1].lstrip()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("shift", [-3, -2, -1, 1, 2, 3])
@pytest.mark.parametrize("number", range(1, len(BLOCK) + 1))
def test_every_line_that_is_moved_is_the_one_that_is_told(number: int, shift: int) -> None:
    if indent_of(BLOCK[number - 1]) + shift < 0:
        return
    found = [d for d in check(moved(number, shift)).diagnostics if d.severity == "error"]
    assert [d.line for d in found if d.line != number] == []
    assert found


def test_a_short_text_with_two_and_three_spaces_has_two() -> None:
    (found,) = check("version: 1\ntask:\n  kind: causal_lm\n   prompt: x\n").diagnostics
    assert (found.line, found.code) == (4, "wrong-indent")


def test_four_spaces_a_level_are_as_good_as_two() -> None:
    text = "\n".join(" " * indent_of(line) + line for line in BLOCK)
    assert check(text).loaded is not None
    (found,) = check(text.replace("        states", "       states")).diagnostics
    assert found.line == 9


def test_a_long_text_is_blamed_where_the_parser_complains() -> None:
    assert odd_line(["a: 1"] * 501, 7) == 7
    assert odd_line(["a: " + "x" * 60_000, "  b: 1"], 2) == 2


def test_a_text_without_indentation_has_a_step_all_the_same() -> None:
    assert odd_line(["a: 1", "b 2", "c: 3"], 2) == 2
    assert odd_line([], 1) == 1


@given(st.sampled_from(sorted(texts())), st.integers(0, 60), st.integers(-4, 4))
def test_some_line_near_by_is_blamed_whatever_is_moved(name: str, number: int, shift: int) -> None:
    lines = texts()[name].splitlines()
    number = number % len(lines)
    lines[number] = " " * max(0, indent_of(lines[number]) + shift) + lines[number].lstrip(" ")
    for found in check("\n".join(lines) + "\n").diagnostics:
        assert 1 <= found.line <= len(lines)
