"""The few metrics that stand for a run are of its hardest split, and the same wherever there is room for a few."""

from __future__ import annotations

import itertools

import pytest

from specrun.records.headline import headline

NAMES = ("validation/loss", "validation/accuracy", "test/loss", "test/perplexity", "test/bits_per_byte", "test/a", "train/loss", "x/y")


@pytest.mark.parametrize("at_most", [1, 2, 3])
def test_fewer_are_the_first_of_more_whatever_the_order_of_recording(at_most: int) -> None:
    for names in itertools.permutations(NAMES[:6]):
        assert headline(names, at_most=at_most) == ["test/loss", "test/perplexity", "test/bits_per_byte"][:at_most]


def test_a_split_that_says_more_hides_those_that_say_less() -> None:
    assert headline([name for name in NAMES if not name.startswith("test/")], at_most=3) == ["validation/loss", "validation/accuracy"]
    assert headline(["train/loss", "train/gradient_norm", "x/y"], at_most=3) == ["train/loss"]
    assert headline(["x/y"], at_most=3) == []
