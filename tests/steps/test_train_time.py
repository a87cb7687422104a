"""Training for a time: it ends cleanly when the time is used, by a clock that the tests wind."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Listener, context, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.events import Metrics, Progress, Span, Status
from specrun.runtime.distributed import Workers
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train import run as module
from specrun.training import recovery
from specrun.training.learning_rates.warmup_cosine import Options as WarmUpCosine
from specrun.training.session import Session

EVALUATION_SECONDS = 2.0


@dataclass
class Pace:
    """How long things take, by the clock of the test. first_step: of the first of each attempt; write: of a checkpoint, beside training."""

    step: float = 1.0
    first_step: float = 1.0
    evaluation: float = EVALUATION_SECONDS
    write: float = 0.0
    now: float = 0.0
    fresh: bool = field(default=True, init=False)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """A step takes a second, an evaluation two."""
    pace, real, real_step = Pace(), module.new_session, module.train_step_that_fits

    def step(*args: Any, **kwargs: Any) -> Any:
        pace.now += pace.first_step if pace.fresh else pace.step
        pace.fresh = False
        return real_step(*args, **kwargs)

    def new_session(*args: Any, **kwargs: Any) -> Any:
        session = real(*args, **kwargs)
        pace.fresh = True
        judge, collect = session.state.task.evaluate, session.saver.collect

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            pace.now += pace.evaluation
            return judge(*args, **kwargs)

        def collect_all() -> Any:
            session.saver.wait()
            return [replace(written, seconds=pace.write) for written in collect()]

        session.state.task.evaluate, session.saver.collect = evaluate, collect_all
        return session

    monkeypatch.setattr(module, "train_step_that_fits", step)
    monkeypatch.setattr(module, "new_session", new_session)
    monkeypatch.setattr(module, "Session", partial(module.Session, _clock=lambda: pace.now))
    return pace


def settings(duration: str = "40s", **more: Any) -> Any:
    course = WarmUpCosine(kind="warmup_cosine", warmup=q("10%"))
    return spec(
        duration=q(duration), learning_rate=course, evaluate=Evaluate(every=q("25%")), checkpoint=Checkpoint(every=q("50%")),
        log_every=q("1 steps"), **more,
    )  # fmt: skip


@pytest.mark.usefixtures("clocked")
def test_a_time_limit_ends_the_training_saved_and_says_so(tmp_path: Path) -> None:
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), settings(), parents(tmp_path))
    steps, judged = output.values["steps"], list(listener.metric("validation/loss"))
    assert output.status == "completed"
    assert output.values["stop_reason"] == f"time limit of 40s reached after step {steps}"
    assert output.values["total_steps"] == steps
    assert steps + EVALUATION_SECONDS * len(judged) <= 40 + 1, "the last evaluation is within the time, but for the step under way"
    assert steps + EVALUATION_SECONDS * len(judged) >= 38
    assert judged[-1] == steps
    assert len(judged) == 4
    assert output.values["last_checkpoint"].endswith(f"{steps:08d}")
    assert len([span for span in listener.of(Span) if span.name == "checkpoint"]) in (2, 3)


@pytest.mark.usefixtures("clocked")
def test_the_learning_rate_comes_to_its_end_with_the_time(tmp_path: Path) -> None:
    listener = Listener()
    module.run(context(tmp_path / "run", listener), settings(), parents(tmp_path))
    rates = [m.values["train/learning_rate"] for m in listener.of(Metrics) if "train/learning_rate" in m.values]
    top = rates.index(max(rates))
    assert 1 <= top <= 6
    assert rates[:top] == sorted(rates[:top])
    assert rates[-1] == pytest.approx(0.1 * max(rates), rel=0.2), "the course's final fraction"
    assert all(progress.total >= progress.done for progress in listener.of(Progress))


@pytest.mark.usefixtures("clocked")
def test_the_time_is_that_of_all_attempts(tmp_path: Path) -> None:
    data, listener = parents(tmp_path), Listener()
    for _ in range(2):
        with pytest.raises(InterruptedRun):
            module.run(context(tmp_path / "run", listener, stop=stop_after(9)), settings(), data)
    output = module.run(context(tmp_path / "run", listener), settings(), data)
    judged = listener.metric("validation/loss")
    assert 38 <= output.values["steps"] + EVALUATION_SECONDS * len(judged) <= 41
    assert 38 <= output.values["seconds"] <= 41
    again = module.run(context(tmp_path / "run", Listener()), settings(), data)
    assert again.values["steps"] == output.values["steps"], "what is over stays over"


@pytest.mark.usefixtures("clocked")
def test_a_time_that_is_over_before_the_first_step_gives_one_step(tmp_path: Path) -> None:
    output = module.run(context(tmp_path / "run", Listener()), settings("1s"), parents(tmp_path))
    assert output.values["steps"] == 1
    assert output.values["metrics"]["validation/loss"] > 0


def rates(listener: Listener) -> list[float]:
    return list(listener.metric("train/learning_rate").values())


def test_a_first_step_that_compiles_takes_nothing_of_the_warm_up(clocked: Pace, tmp_path: Path) -> None:
    clocked.first_step = 30.0
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), settings("100s"), parents(tmp_path))
    assert_even_warm_up(listener)
    assert output.values["seconds"] <= 101, "it is time all the same"


def test_evaluations_take_nothing_of_the_warm_up(clocked: Pace, tmp_path: Path) -> None:
    clocked.evaluation = 8.0
    listener, data = Listener(), parents(tmp_path)
    given = settings("100s")
    schedule = given.schedule.model_copy(update={"evaluate": Evaluate(every=q("8%"))})
    module.run(context(tmp_path / "run", listener), given.model_copy(update={"schedule": schedule}), data)
    assert min(listener.metric("validation/loss")) < rates(listener).index(max(rates(listener))), "one falls into it"
    assert_even_warm_up(listener)


def assert_even_warm_up(listener: Listener) -> None:
    """Of about ten steps, each a step nearer to the top."""
    found = rates(listener)
    top = found.index(max(found))
    assert 5 <= top <= 12
    assert max(after - before for before, after in pairwise(found[:top])) <= 0.3 * max(found)


def test_a_resume_is_no_leap_in_the_course(clocked: Pace, tmp_path: Path) -> None:
    clocked.first_step = 20.0
    listener, data = Listener(), parents(tmp_path)
    with pytest.raises(InterruptedRun):
        module.run(context(tmp_path / "run", listener, stop=stop_after(4)), settings("100s"), data)
    module.run(context(tmp_path / "run", listener), settings("100s"), data)
    assert_even_warm_up(listener)


def test_the_time_holds_the_write_of_the_last_checkpoint(clocked: Pace, tmp_path: Path) -> None:
    clocked.write = 5.0
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), settings(), parents(tmp_path))
    assert 38 <= output.values["seconds"] + clocked.write <= 41
    assert max(listener.metric("validation/loss")) == output.values["steps"]


def test_a_resume_brings_no_evaluation_forward(clocked: Pace, tmp_path: Path) -> None:
    data, straight, halting = parents(tmp_path), Listener(), Listener()
    module.run(context(tmp_path / "straight", straight), settings(), data)
    for _ in range(2):
        with pytest.raises(InterruptedRun):
            module.run(context(tmp_path / "halting", halting, stop=stop_after(12)), settings(), data)
    module.run(context(tmp_path / "halting", halting), settings(), data)
    assert list(halting.metric("validation/loss")) == list(straight.metric("validation/loss"))


def test_all_workers_train_by_the_clock_of_the_first(clocked: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose steps, evaluations and saves take otherwise trains the same when it hears what the first one said."""
    said, first, other = list[Any](), Listener(), Listener()
    data, given = parents(tmp_path), settings()
    monkeypatch.setattr(Workers, "told", lambda _, document: (said.append(document), document)[1])
    clocked.write = 4.0
    output = module.run(context(tmp_path / "first", first), given, data)
    heard = iter(said)
    monkeypatch.setattr(Workers, "told", lambda _, document: next(heard))
    clocked.step, clocked.first_step, clocked.evaluation, clocked.write = 1.5, 9.0, 3.0, 0.0
    same = module.run(context(tmp_path / "other", other), given, data)
    assert next(heard, None) is None
    assert same.values["steps"] == output.values["steps"]
    for name in ("train/learning_rate", "train/loss", "validation/loss"):
        assert other.metric(name) == first.metric(name)


def test_back_at_the_start_training_warms_up_again(clocked: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, listener = recovery.accumulate, Listener()
    poison = range(6, 10)
    monkeypatch.setattr(recovery, "accumulate", lambda state, batch: real(state, batch) * (math.nan if state.position in poison else 1.0))
    module.run(context(tmp_path / "run", listener), settings("100s"), parents(tmp_path))
    assert [status.resumed_from for status in listener.of(Status)] == [0]
    again = [m.values["train/learning_rate"] for m in listener.of(Metrics) if "train/learning_rate" in m.values]
    restart = next(i for i, (before, after) in enumerate(pairwise(again), start=1) if after < before)
    top = again.index(max(again))
    assert restart < top
    assert top - restart >= 5


def by_time(duration: str, every: str, **more: Any) -> Any:
    return spec(
        duration=q(duration), evaluate=Evaluate(every=q(every)), checkpoint=Checkpoint(every=q("50%")), log_every=q("1 steps"), **more
    )


def judged(listener: Listener) -> list[int]:
    return list(listener.metric("validation/loss"))


@pytest.mark.parametrize(("every", "steps"), [("7s", [7, 14, 20]), ("10s", [10, 20]), ("2.5s", [3, 6, 9, 12, 15, 18, 20]), ("1h", [20])])
def test_evaluations_come_by_the_time_of_steps_and_at_the_end(clocked: Pace, tmp_path: Path, every: str, steps: list[int]) -> None:
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), by_time("20 steps", every), parents(tmp_path))
    assert judged(listener) == steps
    assert output.values["steps"] == 20


def test_an_evaluation_longer_than_the_time_between_two_is_not_followed_by_the_next_at_once(clocked: Pace, tmp_path: Path) -> None:
    clocked.evaluation = 100.0
    listener = Listener()
    module.run(context(tmp_path / "run", listener), by_time("20 steps", "5s"), parents(tmp_path))
    assert judged(listener) == [5, 10, 15, 20]


@pytest.mark.usefixtures("clocked")
def test_evaluations_by_time_come_within_a_duration_in_time_and_at_its_end(tmp_path: Path) -> None:
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), by_time("40s", "10s"), parents(tmp_path))
    assert judged(listener) == [10, 20, 30, output.values["steps"]]
    assert 38 <= output.values["seconds"] <= 41


@pytest.mark.usefixtures("clocked")
@pytest.mark.parametrize("duration", ["40 steps", "60s"])
def test_a_resume_goes_on_with_the_time_since_the_last_evaluation(tmp_path: Path, duration: str) -> None:
    data, straight, halting, given = parents(tmp_path), Listener(), Listener(), by_time(duration, "7s")
    module.run(context(tmp_path / "straight", straight), given, data)
    for _ in range(3):
        with pytest.raises(InterruptedRun):
            module.run(context(tmp_path / "halting", halting, stop=stop_after(10)), given, data)
    module.run(context(tmp_path / "halting", halting), given, data)
    assert judged(halting) == judged(straight)
    if duration == "40 steps":
        assert halting.metric("train/loss") == straight.metric("train/loss")


def test_an_evaluation_by_time_that_a_signal_ends_is_made_by_the_next_attempt(clocked: Pace, tmp_path: Path) -> None:
    data, given, straight, halting, asked = parents(tmp_path), by_time("20 steps", "7s"), Listener(), Listener(), False

    def in_evaluation() -> int | None:
        nonlocal asked
        asked = asked or sys._getframe(1).f_code.co_name == "_look_up"
        return 15 if asked else None

    module.run(context(tmp_path / "straight", straight), given, data)
    with pytest.raises(InterruptedRun, match="after step 7 of 20"):
        module.run(context(tmp_path / "halting", halting, stop=in_evaluation), given, data)
    module.run(context(tmp_path / "halting", halting), given, data)
    assert judged(halting) == judged(straight) == [7, 14, 20]


@pytest.mark.parametrize("duration", ["10 steps", "60s"])
def test_setting_up_is_no_time_of_steps(clocked: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duration: str) -> None:
    """Neither in the figures nor in what evaluations come by: compiling blocks, drawing weights, reading a checkpoint of gigabytes."""
    real, data, listener = module.begin, parents(tmp_path), Listener()

    def begin(*args: Any, **kwargs: Any) -> None:
        clocked.now += 8.0
        real(*args, **kwargs)
        clocked.now += 8.0

    monkeypatch.setattr(module, "begin", begin)
    given = by_time(duration, "3s")
    with pytest.raises(InterruptedRun):
        module.run(context(tmp_path / "run", listener, stop=stop_after(4)), given, data)
    output = module.run(context(tmp_path / "run", listener), given, data)
    assert set(listener.metric("throughput/step_seconds").values()) == {1.0}
    assert output.values["metrics"]["throughput/step_seconds"] == 1.0
    assert judged(listener)[:3] == [3, 6, 9]


@pytest.mark.usefixtures("clocked")
def test_evaluations_by_time_change_no_step(tmp_path: Path) -> None:
    data, often, seldom = parents(tmp_path), Listener(), Listener()
    module.run(context(tmp_path / "often", often), by_time("12 steps", "2s"), data)
    module.run(context(tmp_path / "seldom", seldom), by_time("12 steps", "50 steps"), data)
    assert often.metric("train/loss") == seldom.metric("train/loss")


def test_all_workers_evaluate_by_the_clock_of_the_first(clocked: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, first, other = list[Any](), Listener(), Listener()
    data, given = parents(tmp_path), by_time("20 steps", "7s")
    monkeypatch.setattr(Workers, "told", lambda _, document: (said.append(document), document)[1])
    module.run(context(tmp_path / "first", first), given, data)
    heard = iter(said)
    monkeypatch.setattr(Workers, "told", lambda _, document: next(heard))
    clocked.step = 3.0
    module.run(context(tmp_path / "other", other), given, data)
    assert judged(other) == judged(first) == [7, 14, 20]


@pytest.mark.usefixtures("clocked")
def test_whatever_goes_by_time_workers_hear_of_it_once_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duration, evaluations and checkpoints; each exchange is a wait for all the others."""
    said: list[Any] = []
    given = spec(duration=q("12s"), evaluate=Evaluate(every=q("1h")), checkpoint=Checkpoint(every=q("4s")), log_every=q("1 steps"))
    monkeypatch.setattr(Workers, "told", lambda _, document: (said.append(document), document)[1])
    real, counts = Session.after_step, list[int]()

    def after_step(self: Session, stats: Any) -> None:
        before = len(said)
        real(self, stats)
        counts.append(len(said) - before)

    monkeypatch.setattr(Session, "after_step", after_step)
    listener = Listener()
    output = module.run(context(tmp_path / "run", listener), given, parents(tmp_path))
    assert counts[:-1] == [1] * (output.values["steps"] - 1)
    assert [span.step for span in listener.of(Span) if span.name == "checkpoint"][:2] == [4, 8]


@pytest.mark.usefixtures("clocked")
def test_a_warm_up_in_time_is_its_share_of_the_duration(tmp_path: Path) -> None:
    data, found = parents(tmp_path), []
    for warmup in ("10%", "4s"):
        listener, course = Listener(), WarmUpCosine(kind="warmup_cosine", warmup=q(warmup))
        given = settings()
        schedule = given.schedule.model_copy(update={"learning_rate": course})
        module.run(context(tmp_path / warmup.strip("%"), listener), given.model_copy(update={"schedule": schedule}), data)
        found.append(rates(listener))
    assert found[0] == found[1]
