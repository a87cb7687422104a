"""Asked to end in an evaluation, training leaves it, saves and makes it up first thing in the next attempt: nothing else differs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_train_syncs import session
from tiny_run import Listener, context, early, parents, q, spec

from specrun.errors import InterruptedRun
from specrun.events import Example, Span
from specrun.runtime.distributed import Workers
from specrun.spec.sections.schedule import Evaluate
from specrun.steps.train.run import run
from specrun.tasks.causal_lm.build import CausalLM
from specrun.training import checkpoint_files as cf
from specrun.training.parallel import Parallel
from specrun.training.session import _AskedToStop


def stop_in_evaluation(number: int, place: str = "_look_up") -> Callable[[], int | None]:
    """Asks for an end between two batches of the `number`-th evaluation of an attempt, or when it looks up at another place."""
    seen = 0

    def requested() -> int | None:
        nonlocal seen
        seen += sys._getframe(1).f_code.co_name == place
        return 15 if seen >= number else None

    return requested


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / "step-00000024" / "model.safetensors")


@pytest.mark.parametrize(("stops", "ended_after"), [([1], [8]), ([2], [16]), ([3], [24]), ([1, 1, 1], [8, 8, 8])])
def test_an_evaluation_is_left_for_the_next_attempt_and_made_once(tmp_path: Path, stops: list[int], ended_after: list[int]) -> None:
    data, settings = parents(tmp_path), spec(model={"dropout": 0.1})
    straight, listener = Listener(), Listener()
    expected = run(context(tmp_path / "straight", straight), settings, data)
    for number, step in zip(stops, ended_after, strict=True):
        with pytest.raises(InterruptedRun, match=f"after step {step} of 24; its state is saved"):
            run(context(tmp_path / "run", listener, stop=stop_in_evaluation(number)), settings, data)
        assert cf.checkpoints(tmp_path / "run" / "checkpoints")[0].step == step
    output = run(context(tmp_path / "run", listener), settings, data)
    one, other = weights(tmp_path / "run"), weights(tmp_path / "straight")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert listener.metric("validation/loss") == straight.metric("validation/loss")
    for kind in (Example, Span):
        recorded = [event.step for event in listener.of(kind) if getattr(event, "name", "") in ("sample", "evaluation")]
        assert recorded == [8, 16, 24]
    assert output.values["best_metric"] == expected.values["best_metric"]
    assert output.values["metrics"]["validation/loss"] == expected.values["metrics"]["validation/loss"]


@pytest.mark.parametrize(("look", "ended_after"), [(1, 8), (6, 8), (7, 16), (18, 24)])
def test_a_signal_while_samples_are_written_is_heeded_before_the_next_token(tmp_path: Path, look: int, ended_after: int) -> None:
    """Six tokens an evaluation. The next attempt makes all of the evaluation."""
    data, settings, listener = parents(tmp_path), spec(model={"dropout": 0.1}), Listener()
    straight = run(context(tmp_path / "straight", Listener()), settings, data)
    with pytest.raises(InterruptedRun, match=f"after step {ended_after} of 24; its state is saved"):
        run(context(tmp_path / "run", listener, stop=stop_in_evaluation(look, "_look_alone")), settings, data)
    output = run(context(tmp_path / "run", listener), settings, data)
    assert [event.step for event in listener.of(Example)] == [8, 16, 24]
    one, other = weights(tmp_path / "run"), weights(tmp_path / "straight")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert output.values["best_metric"] == straight.values["best_metric"]


class Second(Workers):
    """The second of two, alone in its process."""

    others_asked = 0

    def largest(self, number: int) -> int:
        return max(number, self.others_asked)


def test_a_worker_that_follows_leaves_the_samples_to_the_first_and_an_evaluation_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = session(tmp_path, Listener())
    it.state.parallel = Parallel(Second(rank=1, size=2))
    monkeypatch.setattr(CausalLM, "examples", lambda *_, **__: pytest.fail("the first writes them"))
    assert it._examples() == []
    monkeypatch.setattr(Second, "others_asked", 15)
    with pytest.raises(_AskedToStop):
        it._examples()


def test_an_evaluation_that_was_made_up_for_is_not_made_again_after_a_kill(tmp_path: Path) -> None:
    data, settings, listener = parents(tmp_path), spec(), Listener()
    for stop in (stop_in_evaluation(1), stop_in_evaluation(2)):
        with pytest.raises(InterruptedRun):
            run(context(tmp_path / "run", listener, stop=stop), settings, data)
    for info in cf.checkpoints(tmp_path / "run" / "checkpoints"):
        if info.step > 8:
            cf.set_aside(info.path)
    run(context(tmp_path / "run", listener), settings, data)
    assert [event.step for event in listener.of(Span) if event.name == "evaluation"] == [8, 16, 24]


def test_early_stopping_counts_an_evaluation_that_was_left(tmp_path: Path) -> None:
    data = parents(tmp_path)
    settings = spec(early_stopping=early(2, min_delta=100.0), evaluate=Evaluate(every=q("2 steps")))
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_in_evaluation(3)), settings, data)
    output = run(context(tmp_path / "run", Listener()), settings, data)
    assert (output.status, output.values["steps"]) == ("stopped_early", 6)
