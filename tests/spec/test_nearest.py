"""The name a person meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.document import Spec
from specrun.spec.nearest import distance, listed, nearest
from specrun.spec.sections.schedule import Schedule
from specrun.spec.shape import fields

words = st.text(alphabet="abcd_", max_size=8)
KEYS = sorted({*fields(Spec), *fields(Schedule)})


@pytest.mark.parametrize(
    ("first", "second", "edits"),
    [
        ("", "", 0),
        ("a", "", 1),
        ("abc", "abc", 0),
        ("abc", "acb", 1),
        ("abc", "ab", 1),
        ("abc", "abd", 1),
        ("ca", "abc", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_edits_are_counted_with_swaps_as_one(first: str, second: str, edits: int) -> None:
    assert distance(first, second) == edits


@given(words, words)
def test_distance_is_symmetric_and_zero_only_for_equals(first: str, second: str) -> None:
    assert distance(first, second) == distance(second, first)
    assert (distance(first, second) == 0) == (first == second)
    assert distance(first, second) <= max(len(first), len(second))


@given(words, words)
def test_distance_is_at_least_the_difference_of_lengths(first: str, second: str) -> None:
    assert distance(first, second) >= abs(len(first) - len(second))


@given(st.sampled_from([k for k in KEYS if len(k) >= 5]), st.data())
def test_one_slip_of_a_long_key_finds_the_key(key: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(key) - 2))
    slip = data.draw(st.sampled_from(["drop", "double", "swap", "other"]))
    wrong = {
        "drop": key[:place] + key[place + 1 :],
        "double": key[:place] + key[place] + key[place:],
        "swap": key[:place] + key[place + 1] + key[place] + key[place + 2 :],
        "other": key[:place] + "q" + key[place + 1 :],
    }[slip]
    found = nearest(wrong, KEYS)
    assert found is not None
    assert distance(wrong, found) <= distance(wrong, key)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("batchsize", "batch_size"),
        ("Batch-Size", "batch_size"),
        ("durations", "duration"),
        ("grad", "gradient_clip"),
        ("hw", None),
        ("zzzzzzzz", None),
        ("checkpoints", "checkpoint"),
        ("", None),
        ("optimizer_options", "optimizer"),
    ],
)
def test_the_nearest_key_is_found_or_none(name: str, found: str | None) -> None:
    assert nearest(name, KEYS) == found


def test_a_short_name_is_not_taken_for_another_short_one() -> None:
    assert nearest("gpu", ["cpu"]) is None
    assert nearest("gtp", ["gpt"]) == "gpt"
    assert nearest("x", []) is None


@given(words, st.lists(words, max_size=6))
def test_the_answer_is_one_of_the_known_and_does_not_depend_on_their_order(name: str, known: list[str]) -> None:
    found = nearest(name, known)
    assert found is None or found in known
    assert found == nearest(name, reversed(known))


@pytest.mark.parametrize(("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")])
def test_names_are_listed_as_in_a_sentence(items: list[str], text: str) -> None:
    assert listed(items) == text
    assert listed(items, "and") == text.replace(" or ", " and ")
