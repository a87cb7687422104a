"""Progress: what a person sees of a run, and that no watcher can hurt it."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.cli.bars import bar_columns, fitted
from specrun.cli.progress import PlainProgress, line_of, progress
from specrun.events import Alert, Example, Heartbeat, Message, Metrics, Progress, Status, StepRecord


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def at(step, total=100, **values):
    return Progress("train", step, total, "step", values)


def test_plain_lines_come_every_few_seconds_and_at_the_end():
    clock, stream = Clock(), io.StringIO()
    plain = PlainProgress(stream, clock=clock)
    for step in range(0, 101, 10):
        clock.now = step / 10
        plain.show(at(step, loss=4.0 - step / 100))
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["50/100", "100/100"]
    assert lines[0] == "  train  step 50/100  50 %  loss 3.5000  ETA 5.0 s"
    assert "ETA" not in lines[1]


def test_the_pace_counts_from_the_first_step_seen_so_that_a_resume_does_not_look_fast():
    clock, stream = Clock(), io.StringIO()
    plain = PlainProgress(stream, clock=clock)
    plain.show(at(900, 1000))
    clock.now = 10.0
    plain.show(at(910, 1000))
    assert "ETA 1m30s" in stream.getvalue()


def test_each_thing_that_a_step_counts_has_a_pace_and_an_end_of_its_own():
    clock, stream = Clock(), io.StringIO()
    plain = PlainProgress(stream, clock=clock)
    plain.show(Progress("tokens", 1, 1, "train document"))
    for second, done in ((100.0, 0), (110.0, 10)):
        clock.now = second
        plain.show(Progress("tokens", done, 20, "validation document"))
    assert stream.getvalue().splitlines() == [
        "  tokens  train document 1/1  100 %",
        "  tokens  validation document 0/20  0 %",
        "  tokens  validation document 10/20  50 %  ETA 10 s",
    ]


def test_values_are_shown_in_the_terms_of_training():
    clock, stream = Clock(), io.StringIO()
    PlainProgress(stream, clock=clock).show(
        at(100, 100, loss=4.012, learning_rate=5e-4, best=4.187, best_step=60, tokens_per_second=28_400)
    )
    assert stream.getvalue() == "  train  step 100/100  100 %  loss 4.0120  lr 5e-4  best 4.1870 @ 60  28.4k tok/s\n"


def test_a_total_that_is_not_known_shows_a_count():
    stream = io.StringIO()
    clock = Clock()
    plain = PlainProgress(stream, clock=clock)
    plain.show(Progress("data", 1, None, "document"))
    clock.now = 6
    plain.show(Progress("data", 1200, None, "document"))
    assert stream.getvalue() == "  data  document 1,200\n"


def test_what_is_worth_a_line_has_one_and_the_rest_has_none():
    assert line_of(Message("hello")) == "hello"
    assert line_of(Alert("warning", "x", "careful")) == "warning: careful"
    assert line_of(Metrics(4, {"validation/loss": 2.5})) == "step 4: validation/loss 2.500"
    assert line_of(Example(4, "sample", {"text": "a\n b" + "c" * 300})).startswith('sample: "a bccc')
    assert line_of(Example(4, "final-2", {"text": "a"})) == 'sample of the best checkpoint: "a"'
    for event in (Metrics(4, {"train/loss": 2.5}), Heartbeat(), Status("running"), Example(4, "other", {})):
        assert line_of(event) is None


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x9b2J", "\x1b[2J"])
def test_what_a_model_or_a_source_says_cannot_steer_the_terminal(text):
    for event in (Message(text), Alert("warning", "x", text), Example(4, "sample", {"text": text})):
        line = line_of(event)
        assert line is not None
        assert line.isprintable()


def test_where_there_is_no_terminal_nothing_is_redrawn():
    stream = io.StringIO()
    with progress(stream) as show:
        show(Message("hello"))
        show(at(100))
    assert "\x1b" not in stream.getvalue()
    assert "hello" in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def ended(name, seconds=3.0):
    return StepRecord(name, name, "k", "run", "", {}, {"seconds": seconds})


def drawn(monkeypatch, events, *, columns=80) -> list[str]:
    """What a terminal of that width was given, a line a redraw, without escape sequences."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress(stream) as show:
        for event in events:
            show(event)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n").splitlines()


def test_a_terminal_gets_bars_and_lines_above_them(monkeypatch):
    lines = drawn(monkeypatch, [at(10, loss=3.0), Metrics(4, {"validation/loss": 2.5}), at(100, loss=2.0)])
    assert any("step 100/100" in line for line in lines)
    assert any("validation/loss 2.500" in line for line in lines)


def test_a_terminal_that_cannot_redraw_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with progress(stream) as show:
        show(at(100))
    assert stream.getvalue() == "  train  step 100/100  100 %\n"


FULL = {
    "count": "step 12,345/30,000", "share": "41 %", "loss": "loss 10.8301", "learning_rate": "lr 1.00e-03",
    "best": "best 4.1870 @ 12000", "tokens_per_second": "28.4k tok/s", "eta": "ETA 14m40s",
}  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        (120, "step 12,345/30,000  41 %  loss 10.8301  best 4.1870 @ 12000  28.4k tok/s  ETA 14m40s"),
        (80, "step 12,345/30,000  41 %  loss 10.8301  ETA 14m40s"),
        (60, "41 %  loss 10.8301  28.4k tok/s  ETA 14m40s"),
        (40, "loss 10.8301  ETA 14m40s"),
        (24, "loss 10.8301"),
    ],
)
def test_what_does_not_fit_is_left_out_whole_and_the_loss_last(columns, kept):
    bar = bar_columns(columns)
    assert fitted(FULL, columns - 12 - (bar + 1 if bar else 0)) == kept


@given(width=st.integers(0, 200), names=st.sets(st.sampled_from(sorted(FULL))))
def test_what_is_shown_never_exceeds_the_room_and_wider_shows_the_more_important(width, names):
    parts = {name: FULL[name] for name in FULL if name in names}
    shown = fitted(parts, width)
    assert len(shown) <= width
    if "loss" in names and width >= len(FULL["loss"]):
        assert FULL["loss"] in shown
    assert fitted(parts, 200) == "  ".join(parts.values())


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_in_a_terminal_is_cut(monkeypatch, columns):
    values = {"loss": 4.0123, "learning_rate": 5e-4, "best": 4.187, "best_step": 600, "tokens_per_second": 28_400}
    lines = drawn(monkeypatch, [at(step, 1200, **values) for step in range(0, 1000, 100)], columns=columns)
    assert any("loss 4.0123" in line for line in lines)
    assert not any("…" in line or len(line) > columns for line in lines)


def test_a_step_that_has_ended_leaves_a_line_and_no_bar(monkeypatch):
    lines = drawn(monkeypatch, [Progress("data", 0, None, "document"), ended("data"), at(50, loss=2.0), ended("data")])
    assert sum("data: done in 3.0 s" in line for line in lines) == 1
    last = "\n".join(lines[-2:])
    assert "document" not in last
    assert "train" in last


def test_no_bar_of_an_ended_step_is_drawn_below_later_lines(monkeypatch):
    lines = drawn(monkeypatch, [Progress("data", 1, 1, "document"), ended("data"), Message("next"), Message("and next")])
    after = lines[next(number for number, line in enumerate(lines) if "data: done" in line) + 1 :]
    assert not any("document" in line for line in after)


def test_a_step_that_was_stopped_keeps_where_it_stood(monkeypatch):
    assert "step 50/100" in "\n".join(drawn(monkeypatch, [at(50)])[-2:])


def test_a_finished_step_is_told_once_and_a_cached_one_not_at_all():
    stream = io.StringIO()
    with progress(stream) as show:
        for event in (ended("data"), ended("data"), StepRecord("tokens", "tokens", "k", "cached", "", {}, {"seconds": 1.0})):
            show(event)
        show(StepRecord("train", "train", "k", "run", "", {}, {}))
    assert stream.getvalue() == "  data: done in 3.0 s\n"
