"""Differences of options as data, and the reasons made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.compare import Change, Earlier, changes, nearest, reason_to_run
from specrun.plan.step import Step

LEAF = st.integers(-5, 5) | st.text(max_size=3)
TREE = st.dictionaries(st.sampled_from("abc"), LEAF | st.dictionaries(st.sampled_from("xy"), LEAF, max_size=2), max_size=3)


def step(options, *, inputs=None, key="new", name="n"):
    return Step("train", "train", key, (), options, inputs or {}, {"name": name}, 0)


def before(options, *, inputs=None, key="old", version=1, finished_at="2026-01-01T00:00:00Z", name="n", folder="", sizes=None):
    return Earlier("train", key, version, options, inputs or {}, finished_at, name, folder, sizes or {})


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


@pytest.mark.parametrize("none", [{"a": None}, {}])
def test_a_section_that_comes_or_goes_is_told_by_its_options_alone(none):
    some = {"a": {"x": 1, "y": None}, "ab": 3}
    assert changes({**none, "ab": 3}, some) == (Change("a.x", "(absent)", 1), Change("a.y", "(absent)", None))
    assert changes(some, {**none, "ab": 3}) == (Change("a.x", 1, "(absent)"), Change("a.y", None, "(absent)"))


def test_the_reason_is_version_then_options_then_files_then_parents():
    same = {"a": 1}
    assert reason_to_run(step({"b": 1}), version=2, earlier=[before(same)], changed_parents=[])[0].startswith("this specrun's train step")
    assert reason_to_run(step(same), version=2, earlier=[before(same)], changed_parents=[])[0].startswith("this specrun's train step")
    edited = reason_to_run(step(same, inputs={"x.txt": "2"}), version=1, earlier=[before(same, inputs={"x.txt": "1"})], changed_parents=[])
    assert edited[0] == "contents of x.txt changed"
    assert reason_to_run(step(same), version=1, earlier=[before(same)], changed_parents=["tokens"])[0] == "its input changes: tokens"
    assert (
        reason_to_run(step(same, key="old"), version=1, earlier=[before(same)], changed_parents=[])[0]
        == "its earlier result is gone or damaged"
    )
    assert reason_to_run(step(same), version=1, earlier=[], changed_parents=[])[0] == "no earlier result"


def test_the_comparison_is_with_the_result_that_differs_least_then_of_the_same_name_then_the_newest():
    far, near = before({"a": 1, "b": 1}, key="far"), before({"a": 1, "b": 2}, key="near")
    assert nearest(step({"a": 1, "b": 2, "c": 3}), [far, near]).key == "near"
    other = before({"a": 1}, key="other", name="other", finished_at="2026-03-01T00:00:00Z")
    own = before({"a": 1}, key="own", finished_at="2026-02-01T00:00:00Z")
    older = before({"a": 1}, key="older", finished_at="2026-01-01T00:00:00Z")
    assert nearest(step({"a": 2}), [other, older, own]).key == "own"


def test_a_new_experiment_is_not_explained_by_an_unrelated_one():
    unrelated = before(dict.fromkeys("pqrs", 1), name="quickstart")
    assert reason_to_run(step({"a": 1}), version=1, earlier=[unrelated], changed_parents=[]) == ("no earlier result of n", ())
    own = before({"a": 2, **dict.fromkeys("pqrs", 1)})
    assert reason_to_run(step({"a": 1}), version=1, earlier=[unrelated, own], changed_parents=[])[0].startswith("a 2 -> 1; p 1 -> ")


def test_a_comparison_with_another_experiment_says_with_which():
    run = before({"a": 2}, name="quickstart", folder="runs/quickstart-1c44")
    assert reason_to_run(step({"a": 1}), version=1, earlier=[run], changed_parents=[])[0] == "compared with quickstart-1c44: a 2 -> 1"
    shared = before({"a": 2}, name="quickstart", folder="data/0a1b2c")
    assert reason_to_run(step({"a": 1}), version=1, earlier=[shared], changed_parents=[])[0] == "compared with quickstart: a 2 -> 1"


def test_a_long_list_of_changes_is_cut_and_counted():
    reason, found = reason_to_run(step(dict.fromkeys("abcdef", 1)), version=1, earlier=[before({})], changed_parents=[])
    assert reason.endswith("and 2 more")
    assert len(found) == 6


def why(old, new, *, sizes=None, now=None):
    """The reason for inputs that were `old` and are `new`."""
    same = {"a": 1}
    return reason_to_run(step(same, inputs=new), version=1, earlier=[before(same, inputs=old, sizes=sizes)], changed_parents=["x"],
                         input_bytes=now)  # fmt: skip


def test_another_file_in_the_same_place_is_a_change_of_the_path():
    reason, differing = why({"data.source /x/a.txt": "1"}, {"data.source /x/b.txt": "2"})
    assert reason == "data.source.path a.txt -> b.txt"
    assert [change.path for change in differing] == ["data.source.path"]
    assert why({"data.source /x/a.txt": "1"}, {"data.source /y/a.txt": "2"})[0] == "data.source.path /x/a.txt -> /y/a.txt"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (1_100_000, 400_000, " (1.05 MiB -> 391 KiB)"),
        (1_000_000, 1_000_001, " (1,000,000 -> 1,000,001 B)"),
        (500, 500, ""),
    ],
)
def test_a_file_that_was_edited_is_named_with_its_sizes(old, new, said):
    name = "data.source /x/a b.txt"
    assert why({name: "1"}, {name: "2"}, sizes={name: old}, now={name: new})[0] == f"contents of a b.txt changed{said}"


def test_files_that_come_and_go_are_named():
    kept = {"data.source /x/a.txt": "1"}
    assert why(kept, kept | {"data.source /x/b.txt": "2"})[0] == "/x/b.txt is new"
    assert why(kept | {"data.source /x/b.txt": "2"}, kept)[0] == "/x/b.txt is gone"


def test_a_file_that_only_moved_is_no_change():
    assert why({"data.source /x/a.txt": "1"}, {"data.source /y/a.txt": "1"})[0] == "its input changes: x"


def test_a_result_that_another_took_the_place_of_is_compared_with_that_one():
    own = before({"report": {"formats": ["html"]}}, key="new", folder="runs/r", finished_at="2026-01-01T00:00:00Z")
    took = before({"report": {"formats": ["md"]}}, key="other", folder="runs/r", finished_at="2026-01-02T00:00:00Z")
    elsewhere = before({"report": {"formats": ["json"]}}, key="else", folder="runs/s", finished_at="2026-01-03T00:00:00Z")
    back = step({"report": {"formats": ["html"]}})
    reason, _ = reason_to_run(back, version=1, earlier=[own, took, elsewhere], changed_parents=[])
    assert reason == "report.formats [md] -> [html]"
