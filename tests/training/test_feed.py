"""A feed gives the same batches whether they are gathered when taken or one ahead, in whatever order they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from specrun.training.feed import Feed


@dataclass
class Numbers:
    """A task whose batch is the numbers of its samples. fails_at: the sample at which the source breaks."""

    fails_at: int | None = None
    asked: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def train_batch(self, first: int, *, count: int) -> Any:
        self.asked.append(first // count)
        self.threads.add(threading.current_thread().name)
        if self.fails_at is not None and first <= self.fails_at < first + count:
            raise OSError(f"sample {self.fails_at} cannot be read")
        return tuple(range(first, first + count))


@dataclass
class Lane:
    """A device that copies beside its computation. alive: batches that a test holds count of; marked: those of each moment after which
    copies may begin."""

    events: list[str] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    marked: list[list[int]] = field(default_factory=list)

    def now(self) -> str:
        self.events.append("computation is marked")
        self.marked.append(list(self.alive))
        return "a moment"

    @contextmanager
    def copying(self, after: str) -> Iterator[list[str]]:
        ends: list[str] = []
        yield ends
        ends.append("copied")

    def await_copies(self, end: str) -> None:
        self.events.append(f"computation waits: {end}")


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("specrun-feed")]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [5, 6, 2, 3, 4, 9, 9, 0], [7], []])
def test_what_is_taken_depends_on_the_position_alone(order: list[int]) -> None:
    with Feed(Numbers(), batch_size=3) as direct, Feed(Numbers(), batch_size=3, lane=Lane()) as ahead:
        for position in order:
            assert direct.take(position) == ahead.take(position) == (3 * position, 3 * position + 1, 3 * position + 2)


def test_without_copies_nothing_is_gathered_ahead_and_no_thread_runs() -> None:
    task = Numbers()
    with Feed(task, batch_size=2) as feed:
        feed.take(4)
        assert (task.asked, running()) == ([4], [])


def test_the_next_batch_is_gathered_ahead_each_once_and_by_one_thread() -> None:
    task = Numbers()
    with Feed(task, batch_size=2, lane=Lane()) as feed:
        for position in range(4):
            feed.take(position)
        assert len(running()) == 1
    assert running() == []
    assert task.asked[:4] == [0, 1, 2, 3]
    assert task.asked[4:] in ([], [4])
    assert len(task.threads) == 1
    assert threading.current_thread().name not in task.threads


def test_computation_waits_for_the_copies_of_what_it_is_given() -> None:
    lane = Lane()
    with Feed(Numbers(), batch_size=2, lane=lane) as feed:
        feed.take(0)
    assert lane.events == ["computation is marked", "computation waits: copied", "computation is marked"]


@pytest.mark.parametrize("lane", [None, Lane()])
def test_a_source_that_breaks_is_told_when_its_batch_is_taken_and_not_before(lane: Lane | None) -> None:
    with Feed(Numbers(fails_at=5), batch_size=2, lane=lane) as feed:
        assert feed.take(0) == (0, 1)
        assert feed.take(1) == (2, 3)
        with pytest.raises(OSError, match="sample 5 cannot be read"):
            feed.take(2)
        assert feed.take(3) == (6, 7)
    assert running() == []


def test_what_could_not_be_gathered_ahead_is_gathered_anew_where_it_is_asked_for_again() -> None:
    task = Numbers(fails_at=3)
    with Feed(task, batch_size=2, lane=Lane()) as feed:
        feed.take(0)
        with pytest.raises(OSError, match="sample 3"):
            feed.take(1)
        task.fails_at = None
        assert feed.take(1) == (2, 3)
        assert feed.take(2) == (4, 5)


def test_a_training_that_fails_leaves_no_thread() -> None:
    def train() -> None:
        with Feed(Numbers(), batch_size=2, lane=Lane()) as feed:
            feed.take(0)
            raise KeyError

    with pytest.raises(KeyError):
        train()
    assert running() == []


def test_a_batch_stays_until_the_copies_of_the_one_after_the_next_begin() -> None:
    """The lane may reuse the memory of what was let go; see `Feed.take`."""
    lane = Lane()
    alive = lane.alive

    class Held:
        def __init__(self, position: int) -> None:
            self.position = position
            alive.append(position)

        def __del__(self) -> None:
            alive.remove(self.position)

    class Task(Numbers):
        def train_batch(self, first: int, *, count: int) -> Any:
            return Held(first // count)

    with Feed(Task(), batch_size=1, lane=lane) as feed:
        for position in range(4):
            feed.take(position)
            assert position in alive
            assert position - 1 not in alive
            # What the moment marks has used the batch before this one; until then that one is there, and this one beyond it.
            assert {position - 1, position} - {-1} <= set(lane.marked[-1])
