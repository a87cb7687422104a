"""Differences of options as data, and the reasons made of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.compare import Change, Earlier, changes, nearest, reason_to_run
from specrun.plan.step import Step

LEAF = st.integers(-5, 5) | st.text(max_size=3)
TREE = st.dictionaries(st.sampled_from("abc"), LEAF | st.dictionaries(st.sampled_from("xy"), LEAF, max_size=2), max_size=3)


def step(options, *, inputs=None, key="new", name="n"):
    return Step("train", "train", key, (), options, inputs or {}, {"name": name}, 0)


def before(options, *, inputs=None, key="old", version=1, finished_at="2026-01-01T00:00:00Z", name="n"):
    return Earlier("train", key, version, options, inputs or {}, finished_at, name)


@given(TREE)
def test_nothing_differs_from_itself(tree):
    assert changes(tree, tree) == ()


@given(TREE, TREE)
def test_a_difference_reversed_is_the_reverse_difference(old, new):
    reverse = {Change(c.path, c.new, c.old) for c in changes(old, new)}
    assert set(changes(new, old)) == reverse


def test_a_changed_option_is_named_with_both_values():
    reason, found = reason_to_run(
        step({"schedule": {"optimizer": {"learning_rate": 1e-3}}}), version=1,
        earlier=[before({"schedule": {"optimizer": {"learning_rate": 5e-4}}})], changed_parents=[],
    )  # fmt: skip
    assert reason == "schedule.optimizer.learning_rate 0.0005 -> 0.001"
    assert [change.path for change in found] == ["schedule.optimizer.learning_rate"]


def test_an_option_that_appears_or_goes_is_shown_as_absent():
    reason, _ = reason_to_run(step({"a": 1}), version=1, earlier=[before({"b": 2})], changed_parents=[])
    assert reason == "a (absent) -> 1; b 2 -> (absent)"


def test_without_a_changed_option_the_reason_is_version_then_files_then_parents():
    same = {"a": 1}
    assert reason_to_run(step(same), version=2, earlier=[before(same)], changed_parents=[])[0].startswith("this specrun's train step")
    edited = reason_to_run(step(same, inputs={"x.txt": "2"}), version=1, earlier=[before(same, inputs={"x.txt": "1"})], changed_parents=[])
    assert edited[0] == "its input changed: x.txt"
    assert reason_to_run(step(same), version=1, earlier=[before(same)], changed_parents=["tokens"])[0] == "its input changes: tokens"
    assert (
        reason_to_run(step(same, key="old"), version=1, earlier=[before(same)], changed_parents=[])[0]
        == "its earlier result is gone, damaged or replaced"
    )
    assert reason_to_run(step(same), version=1, earlier=[], changed_parents=[])[0] == "no earlier result"


def test_the_comparison_is_with_the_result_that_differs_least_then_of_the_same_name_then_the_newest():
    far, near = before({"a": 1, "b": 1}, key="far"), before({"a": 1, "b": 2}, key="near")
    assert nearest(step({"a": 1, "b": 2, "c": 3}), [far, near]).key == "near"
    other = before({"a": 1}, key="other", name="other", finished_at="2026-03-01T00:00:00Z")
    own = before({"a": 1}, key="own", finished_at="2026-02-01T00:00:00Z")
    older = before({"a": 1}, key="older", finished_at="2026-01-01T00:00:00Z")
    assert nearest(step({"a": 2}), [other, older, own]).key == "own"


def test_a_long_list_of_changes_is_cut_and_counted():
    reason, found = reason_to_run(step(dict.fromkeys("abcdef", 1)), version=1, earlier=[before({})], changed_parents=[])
    assert reason.endswith("and 2 more")
    assert len(found) == 6
