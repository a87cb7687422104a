"""Progress: what a person sees of a run, and that no watcher can hurt it."""

from __future__ import annotations

import io

from specrun.cli.progress import Guarded, PlainProgress, line_of, progress
from specrun.events import Alert, Example, Heartbeat, Message, Metrics, Progress, Status


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


def test_values_are_shown_in_the_terms_of_training():
    clock, stream = Clock(), io.StringIO()
    PlainProgress(stream, clock=clock).show(
        at(100, 100, loss=4.012, learning_rate=5e-4, best=4.187, best_step=60, tokens_per_second=28_400)
    )
    assert stream.getvalue() == "  train  step 100/100  100 %  loss 4.0120  lr 5.00e-04  best 4.1870 @ 60  28.4k tok/s\n"


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
    assert line_of(Metrics(4, {"validation/loss": 2.5})) == "step 4: validation/loss 2.5"
    assert line_of(Example(4, "sample", {"text": "a\n b" + "c" * 300})).startswith('sample: "a bccc')
    assert line_of(Example(4, "final-2", {"text": "a"})) == 'sample of the best checkpoint: "a"'
    for event in (Metrics(4, {"train/loss": 2.5}), Heartbeat(), Status("running"), Example(4, "other", {})):
        assert line_of(event) is None


def test_a_stream_that_breaks_ends_the_showing_and_nothing_else():
    seen = []

    def broken(event):
        seen.append(event)
        raise BrokenPipeError

    guarded = Guarded(broken)
    guarded.show(Message("one"))
    guarded.show(Message("two"))
    assert len(seen) == 1


def test_where_there_is_no_terminal_nothing_is_redrawn():
    stream = io.StringIO()
    with progress(stream) as show:
        show(Message("hello"))
        show(at(100))
    assert "\x1b" not in stream.getvalue()
    assert "hello" in stream.getvalue()


def test_a_terminal_gets_bars_and_lines_above_them():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress(stream) as show:
        show(at(10, loss=3.0))
        show(Metrics(4, {"validation/loss": 2.5}))
        show(at(100, loss=2.0))
    text = stream.getvalue()
    assert "step 100/100" in text
    assert "validation/loss 2.5" in text
