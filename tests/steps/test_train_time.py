"""Training for a time: it ends cleanly when the time is used, by a clock that the tests wind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_run import Listener, context, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.events import Metrics, Progress, Span
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train import run as module
from specrun.training.learning_rates.warmup_cosine import Options as WarmUpCosine

EVALUATION_SECONDS = 2.0


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A step takes a second, an evaluation two."""
    real, real_step = module.new_session, module.train_step_that_fits
    now = [0.0]

    def step(*args: Any, **kwargs: Any) -> Any:
        now[0] += 1.0
        return real_step(*args, **kwargs)

    def new_session(*args: Any, **kwargs: Any) -> Any:
        session = real(*args, **kwargs)
        session._clock = session.account.clock = lambda: now[0]
        session._began = session._saved_at = now[0]
        judge = session.state.task.evaluate

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            now[0] += EVALUATION_SECONDS
            return judge(*args, **kwargs)

        session.state.task.evaluate = evaluate
        return session

    monkeypatch.setattr(module, "train_step_that_fits", step)
    monkeypatch.setattr(module, "new_session", new_session)


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
