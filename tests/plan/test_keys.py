"""Keys: equal content, equal key; any difference that can change a result, another key."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.keys import canonical, digest, effective_key, step_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value):
    """The same value with every mapping written in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(inner) for key, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_a_mapping_changes_no_digest(value):
    assert canonical(value) == canonical(shuffled(value))
    assert digest(value) == digest(shuffled(value))


@given(st.dictionaries(st.text(min_size=1, max_size=5), JSON, min_size=1, max_size=4), JSON)
def test_another_value_of_an_option_is_another_key(options, value):
    name = min(options)
    other = {**options, name: value}
    same = canonical(options) == canonical(other)
    arguments = {"kind": "train", "version": 1, "inputs": {}, "parents": []}
    assert (step_key(options=options, **arguments) == step_key(options=other, **arguments)) is same


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_a_number_that_is_not_finite_has_no_canonical_form(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


def test_where_an_input_lies_changes_no_key_and_what_it_holds_does():
    arguments = {"kind": "data", "version": 1, "options": {}, "parents": []}
    here = step_key(inputs={"/home/ann/a.txt": "d1", "/home/ann/b.txt": "d2"}, **arguments)
    there = step_key(inputs={"/mnt/b.txt": "d2", "/mnt/a.txt": "d1"}, **arguments)
    other = step_key(inputs={"/home/ann/a.txt": "d1", "/home/ann/b.txt": "d3"}, **arguments)
    assert here == there
    assert here != other


def test_parents_version_and_kind_enter_the_key():
    base = {"kind": "tokens", "version": 1, "options": {}, "inputs": {}, "parents": ["a", "b"]}
    keys = {step_key(**base), *(step_key(**{**base, **change}) for change in ({"parents": ["b", "a"]}, {"version": 2}, {"kind": "data"}))}
    assert len(keys) == 4


def test_a_variant_changes_what_children_see_and_its_absence_does_not():
    assert effective_key("k", None) == effective_key("k", "") == "k"
    assert len({effective_key("k", None), effective_key("k", "fallback"), effective_key("k", "commit 1")}) == 3
