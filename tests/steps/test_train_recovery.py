"""A train step among faults: it recovers as the ladder says, tells of each rung, and comes to the same weights each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Beside, Listener, context, parents, q, spec, stop_after

from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Alert, Example, Metrics, Status
from specrun.runtime.hardware import Choice
from specrun.spec.sections.parameters import Average, Lora, Parameters
from specrun.spec.sections.recovery import Recovery
from specrun.spec.sections.schedule import Checkpoint, EarlyStopping, Evaluate
from specrun.steps.train.run import run
from specrun.tasks.causal_lm.build import CausalLM
from specrun.training import checkpoint_files, recovery
from specrun.training.cross_entropy import linear_scores
from specrun.training.learning_rates.reduce_on_plateau import Options as ReduceOnPlateau
from specrun.training.learning_rates.warmup_cosine import Options as WarmUpCosine
from specrun.training.loading import Loaded, Loader
from specrun.training.loop import TrainState
from specrun.training.optimizers.muon.options import Options as Muon
from specrun.training.starting_again import StartAgain, remember

LAST = 24
Cond = Callable[[TrainState], bool]


class Kill(BaseException):
    """Ends a process without a word, as far as one that goes on can."""


def poison(patch: pytest.MonkeyPatch, bad: Cond, value: float = math.nan) -> None:
    """Make the loss of each step that meets a condition something that is not finite."""
    real = recovery.accumulate
    patch.setattr(recovery, "accumulate", lambda state, batch: real(state, batch) * (value if bad(state) else 1.0))


def batches(*positions: int) -> Cond:
    """The bad data: batches by their number from 0."""
    return lambda state: state.position in positions


def final(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "checkpoints" / f"step-{LAST:08d}").glob("*.safetensors"))
    return {f"{file.stem} {name}": tensor for file in files for name, tensor in load_file(file).items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def train(root: Path, listener: Listener | None = None, **schedule: Any) -> tuple[Path, Any]:
    data = parents(root)
    model = {"dropout": schedule.pop("dropout", 0.1)}
    output = run(context(root / "run", listener or Listener()), spec(model=model, **schedule), data)
    return root / "run", output


def rungs(listener: Listener) -> list[tuple[str, int | None]]:
    return [(alert.code, alert.step) for alert in listener.of(Alert)]


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undone by the test itself, between two trainings."""
    yield monkeypatch
    monkeypatch.undo()


def test_a_step_that_is_skipped_leaves_the_training_as_if_it_had_not_been_made(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    poison(patch, batches(6))
    folder, output = train(tmp_path / "poisoned", listener)
    patch.undo()
    real = recovery.update

    def idle(state: TrainState, loss: torch.Tensor) -> Any:
        if state.step != 6:
            return real(state, loss)
        state.optimizer.zero_grad(set_to_none=True)
        state.step, state.position = state.step + 1, state.position + 1
        return recovery.StepStats(loss, loss, 0.0)

    patch.setattr(recovery, "update", idle)
    assert same(final(folder), final(train(tmp_path / "idle")[0]))
    assert rungs(listener) == [("step-skipped", 7)]
    assert listener.metric("recovery/skipped_steps") == {10: 1.0}
    assert all(math.isfinite(value) for m in listener.of(Metrics) for value in m.values.values())
    assert any("the loss of step 7 is nan; its update was left out" in line for line in output.warnings)


def test_the_figures_of_an_interval_are_of_the_steps_that_counted(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    every, rare = Listener(), Listener()
    poison(patch, batches(6, 10, 11))
    train(tmp_path / "every", every, log_every=q("1 steps"))
    train(tmp_path / "rare", rare, log_every=q("5 steps"))
    losses = every.metric("train/loss")
    assert [step for step, loss in losses.items() if math.isnan(loss)] == [7, 11, 12]
    counted = [losses[step] for step in range(6, 11) if step != 7]
    assert rare.metric("train/loss")[10] == pytest.approx(sum(counted) / 4, rel=1e-12)
    assert every.metric("recovery/skipped_steps") == {7: 1.0, 11: 1.0, 12: 1.0}
    assert rare.metric("recovery/skipped_steps") == {10: 1.0, 15: 2.0}


def test_an_interval_without_a_step_that_counted_has_no_mean(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    poison(patch, batches(4, 5))
    _, output = train(tmp_path, listener, log_every=q("2 steps"))
    assert math.isnan(listener.metric("train/loss")[6])
    assert listener.metric("recovery/skipped_steps") == {6: 2.0}
    assert all(math.isfinite(value) for value in output.values["metrics"].values())


@pytest.mark.parametrize(("window", "saved"), [((10, 11, 12), 8), ((2, 3, 4), 0), ((16, 17, 18), 16)])
def test_a_window_of_bad_data_is_passed_over_from_the_last_good_checkpoint(
    tmp_path: Path, patch: pytest.MonkeyPatch, window: tuple[int, ...], saved: int
) -> None:
    listener = Listener()
    poison(patch, batches(*window))
    folder, output = train(tmp_path / "poisoned", listener)
    patch.undo()
    real, after = CausalLM.train_batch, window[-1] + 1
    patch.setattr(
        CausalLM, "train_batch", lambda self, first, *, count: real(self, first + (after - saved) * 4 * (first >= saved * 4), count=count)
    )
    assert same(final(folder), final(train(tmp_path / "around")[0]))
    assert rungs(listener) == [("step-skipped", window[0] + 1), ("rolled-back", window[-1] + 1)]
    assert [(s.reason, s.resumed_from) for s in listener.of(Status)] == [("rolled back", saved)]
    message = next(alert.message for alert in listener.of(Alert) if alert.code == "rolled-back")
    assert f"goes back to step {saved} and passes over batches {saved + 1} to {after}" in message
    assert output.values["steps"] == LAST


@pytest.mark.parametrize(("window", "gone_back_to"), [((15, 16, 17), [8]), ((16, 17, 18, 19, 20, 21), [16, 8])])
def test_going_back_behind_the_newest_best_weights_costs_no_more_than_what_came_after_the_checkpoint(
    tmp_path: Path, patch: pytest.MonkeyPatch, window: tuple[int, ...], gone_back_to: list[int]
) -> None:
    """The weights of step 16 are judged, found the best, and saved, and then count no longer: within a row of skips, or as the place
    that it did not help to go back to."""
    listener = Listener()
    poison(patch, batches(*window))
    folder, output = train(tmp_path / "poisoned", listener)
    patch.undo()
    assert listener.metric("validation/loss")[16] < listener.metric("validation/loss")[8]
    assert [s.resumed_from for s in listener.of(Status)] == gone_back_to
    assert "lost-best-checkpoint" not in [code for code, _ in rungs(listener)]
    if len(gone_back_to) == 1:  # at the second time the learning rate is lowered
        real = CausalLM.train_batch
        patch.setattr(CausalLM, "train_batch", lambda self, first, *, count: real(self, first + 40 * (first >= 32), count=count))
        around, expected = train(tmp_path / "around")
        assert same(final(folder), final(around))
        assert output.values["best_metric"] == expected.values["best_metric"]


@pytest.mark.parametrize("window", [(9, 10, 11), (9, 10, 11, 12, 13, 14)])
def test_checkpoints_within_a_row_of_skips_do_not_push_out_the_one_before_it(
    tmp_path: Path, patch: pytest.MonkeyPatch, window: tuple[int, ...]
) -> None:
    """With one at each step and two that are kept."""
    listener = Listener()
    poison(patch, batches(*window))
    train(tmp_path, listener, checkpoint=Checkpoint(every=q("1 steps"), keep_last=2))
    assert [s.resumed_from for s in listener.of(Status)] == [9, 8][: len(window) // 3]


STATEFUL: dict[str, dict[str, Any]] = {
    "average": {"parameters": Parameters(average=Average(decay=0.9))},
    "lora": {"parameters": Parameters(lora=Lora(rank=2))},
    "plateau": {
        "learning_rate": ReduceOnPlateau(kind="reduce_on_plateau", patience=q("1 evaluations"), min_delta=1.0),
        "evaluate": Evaluate(every=q("3 steps")),
    },
    "muon": {"optimizer": Muon(kind="muon")},
}


@pytest.mark.slow
@pytest.mark.parametrize("first", [2, 11])
@pytest.mark.parametrize("kind", STATEFUL)
def test_all_that_training_goes_on_from_goes_back(tmp_path: Path, patch: pytest.MonkeyPatch, kind: str, first: int) -> None:
    """Whatever was in memory: the outcome is that of a process that never saw the bad data."""
    window, saved = (first, first + 1, first + 2), first // 8 * 8
    poison(patch, batches(*window))
    folder, output = train(tmp_path / "poisoned", **STATEFUL[kind])
    patch.undo()
    real, passed = CausalLM.train_batch, window[-1] + 1 - saved
    patch.setattr(CausalLM, "train_batch", lambda self, at, *, count: real(self, at + passed * 4 * (at >= saved * 4), count=count))
    around, expected = train(tmp_path / "around", **STATEFUL[kind])
    assert same(final(folder), final(around))
    names = [name for name in output.values["metrics"] if not name.startswith("throughput/")]
    assert {name: output.values["metrics"][name] for name in names} == {name: expected.values["metrics"][name] for name in names}


@pytest.mark.parametrize("first", [2, pytest.param(11, marks=pytest.mark.slow)])
def test_the_loss_scale_of_float16_goes_back_with_the_weights(tmp_path: Path, patch: pytest.MonkeyPatch, first: int) -> None:
    """Which each bad step has halved: it was no overflow."""
    data, passed, saved = parents(tmp_path), first % 8 + 3, first // 8 * 8

    def trained(name: str) -> dict[str, torch.Tensor]:
        plain = context(tmp_path / name, Listener())
        run(replace(plain, hardware=replace(plain.hardware, precision=Choice("float16", "a test"))), spec(), data)
        return final(tmp_path / name)

    poison(patch, batches(first, first + 1, first + 2))
    poisoned = trained("poisoned")
    patch.undo()
    real = CausalLM.train_batch
    patch.setattr(CausalLM, "train_batch", lambda self, at, *, count: real(self, at + passed * 4 * (at >= saved * 4), count=count))
    assert "loss_scale scale" in poisoned
    assert same(poisoned, trained("around"))


@pytest.mark.parametrize("log_every", [pytest.param(1, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow), 100])
def test_how_often_is_logged_changes_nothing_about_a_roll_back(tmp_path: Path, patch: pytest.MonkeyPatch, log_every: int) -> None:
    poison(patch, batches(9, 10, 11, 12, 13))
    one, _ = train(tmp_path / "one")
    other, output = train(tmp_path / "other", log_every=q(f"{log_every} steps"))
    assert same(final(one), final(other))
    assert output.values["steps"] == LAST


def test_each_step_is_once_in_what_counts_after_a_roll_back(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    poison(patch, batches(12, 13, 14))
    train(tmp_path, listener, log_every=q("1 steps"))
    counted: list[int] = []
    for event in listener.events:
        if isinstance(event, Status) and event.resumed_from is not None:
            counted = [step for step in counted if step <= event.resumed_from]
        elif isinstance(event, Metrics) and "train/loss" in event.values:
            counted.append(event.step)
    assert counted == list(range(1, LAST + 1))


@pytest.mark.parametrize("first", [2, 12])
def test_tokens_are_counted_of_the_steps_that_count_wherever_training_goes_back_to(
    tmp_path: Path, patch: pytest.MonkeyPatch, first: int
) -> None:
    """To the start, or to a checkpoint."""
    plain, listener = Listener(), Listener()
    _, expected = train(tmp_path / "plain", plain)
    poison(patch, batches(first, first + 1, first + 2))
    _, output = train(tmp_path / "poisoned", listener)
    assert [status.resumed_from for status in listener.of(Status)] == [first // 8 * 8]
    assert output.values["tokens"] == expected.values["tokens"]
    counted = {metrics.step: metrics.tokens for metrics in listener.of(Metrics)}
    assert counted == {metrics.step: metrics.tokens for metrics in plain.of(Metrics)}


def test_where_no_older_checkpoint_is_kept_training_stays_at_the_oldest_good_one(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Not at step 0, which would be all that was trained; the learning rate is lowered each time."""
    listener = Listener()
    poison(patch, batches(*range(18, 33)))
    folder, output = train(
        tmp_path, listener, duration=q("24 steps"), recovery=Recovery(max_rollbacks=5), checkpoint=Checkpoint(every=q("4 steps"))
    )
    assert [s.resumed_from for s in listener.of(Status)] == [16, 12, 12, 12, 12]
    lowered = [a.message for a in listener.of(Alert) if a.code == "learning-rate-lowered"]
    assert [message.split(" of the schedule's")[0].rpartition(" ")[2] for message in lowered] == ["0.5", "0.25", "0.125", "0.0625"]
    assert output.values["steps"] == LAST
    assert not list((folder / "checkpoints" / "quarantine").glob("step-00000012-*"))


def damaged(folder: Path) -> None:
    weights = folder / "step-00000012" / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))


def outdated(folder: Path) -> None:
    info = next(it for it in checkpoint_files.checkpoints(folder) if it.step == 12)
    files = {path.name: [path.read_bytes()] for path in info.path.iterdir() if path.name != "manifest.json"}
    checkpoint_files.save(folder, step=12, key=info.key, files={**files, "state.json": [b"{}"]}, best_step=info.best_step)


@pytest.mark.parametrize("spoil", [damaged, outdated])
def test_an_older_checkpoint_that_cannot_be_gone_on_from_is_no_reason_to_leave_the_good_one(
    tmp_path: Path, patch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    listener, real = Listener(), Loader.newest_good

    def newest_good(loader: Loader, **steps: int) -> Loaded:
        if steps["or_else_step"] == 16:
            spoil(loader.folder)
        return real(loader, **steps)

    patch.setattr(Loader, "newest_good", newest_good)
    poison(patch, batches(*range(18, 24)))
    train(tmp_path, listener, checkpoint=Checkpoint(every=q("4 steps")))
    assert [s.resumed_from for s in listener.of(Status)] == [16, 16]


def test_the_learning_rate_is_lowered_only_where_going_back_did_not_help(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    poison(patch, lambda state: state.step in (12, 13, 14) and state.rate_factor > 0.6)
    _, output = train(tmp_path, listener)
    assert [code for code, _ in rungs(listener)] == [
        "step-skipped", "rolled-back", "step-skipped", "rolled-back", "learning-rate-lowered",
    ]  # fmt: skip
    assert output.values["steps"] == LAST
    rates = listener.metric("train/learning_rate")
    plain = Listener()
    patch.undo()
    train(tmp_path / "plain", plain)
    assert rates[20] == pytest.approx(plain.metric("train/learning_rate")[20] / 2)


@pytest.mark.parametrize("first", [0, 13])
def test_what_no_rung_helps_ends_the_run_with_what_was_tried(tmp_path: Path, patch: pytest.MonkeyPatch, first: int) -> None:
    listener = Listener()
    poison(patch, lambda state: state.step >= first, math.inf)
    with pytest.raises(SpecrunError, match=r"after training went back 3 times, at last with 0.25 of the learning rate") as caught:
        train(tmp_path, listener)
    assert caught.value.code == "non-finite-loss"
    assert "learning_rate" in str(caught.value.hint)
    assert [code for code, _ in rungs(listener) if code != "step-skipped"] == [
        "rolled-back", "rolled-back", "learning-rate-lowered", "rolled-back", "learning-rate-lowered",
    ]  # fmt: skip


def test_a_training_shorter_than_a_row_of_skips_does_not_end_well_without_a_step_that_counted(
    tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    poison(patch, lambda _: True)
    with pytest.raises(SpecrunError, match="non-finite-loss"):
        train(tmp_path, duration=q("2 steps"), learning_rate=WarmUpCosine(kind="warmup_cosine", warmup=q("1 steps")))


def test_weights_that_are_not_finite_are_never_gone_back_to(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    real = recovery.update

    def broken(state: TrainState, loss: torch.Tensor) -> Any:
        stats = real(state, loss)
        if state.position == 12:
            state.model.get_parameter("final_norm.weight").data[0] = math.nan
        return stats

    listener = Listener()
    patch.setattr(recovery, "update", broken)
    settings = {"checkpoint": Checkpoint(every=q("4 steps")), "evaluate": Evaluate(every=q("24 steps"))}
    folder, output = train(tmp_path, listener, **settings)
    assert [s.resumed_from for s in listener.of(Status)] == [8]
    assert output.values["steps"] == LAST
    assert all(tensor.isfinite().all() for tensor in final(folder).values())


@pytest.mark.parametrize("dies_at", [13, 16, *(pytest.param(at, marks=pytest.mark.slow) for at in (10, 15, 20, 30))])
def test_killed_around_a_roll_back_it_ends_with_the_bits_of_one_that_was_not(
    tmp_path: Path, patch: pytest.MonkeyPatch, dies_at: int
) -> None:
    poison(patch, batches(10, 11, 12, 18))
    settings = spec(model={"dropout": 0.1}, log_every=q("2 steps"))
    straight, _ = train(tmp_path / "straight", log_every=q("2 steps"))
    data, calls = parents(tmp_path), 0

    def kill() -> int | None:
        nonlocal calls
        calls += 1
        if calls == dies_at:
            raise Kill
        return None

    folder = tmp_path / "run"
    if dies_at < 30:
        with pytest.raises(Kill):
            run(context(folder, Listener(), stop=kill), settings, data)
    else:
        with pytest.raises(InterruptedRun):
            run(context(folder, Listener(), stop=stop_after(14)), settings, data)
    run(context(folder, Listener()), settings, data)
    assert same(final(folder), final(straight))


def test_a_resume_does_not_give_back_the_rollbacks_that_were_used(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    poison(patch, lambda state: state.step in (12, 13, 14))
    settings, data = spec(recovery=Recovery(max_rollbacks=1), log_every=q("1 steps")), parents(tmp_path)
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_after(17)), settings, data)
    listener = Listener()
    with pytest.raises(SpecrunError, match="after training went back once"):
        run(context(tmp_path / "run", listener), settings, data)
    assert "rolled-back" not in [code for code, _ in rungs(listener)]


def test_without_recovery_the_first_fault_ends_the_run_and_nothing_after_it_is_saved(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    poison(patch, batches(9))
    with pytest.raises(SpecrunError, match=r"the loss of step 10 is nan") as caught:
        train(tmp_path, listener, recovery=Recovery(non_finite="fail"))
    assert caught.value.code == "non-finite-loss"
    assert not rungs(listener)
    assert not list((tmp_path / "run").glob("checkpoints/step-*1*"))


def test_early_stopping_and_the_best_are_those_of_what_counts(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """The evaluation at step 12 is voided with its weights, which are the best until then."""
    listener = Listener()
    poison(patch, batches(13, 14, 15))
    folder, output = train(tmp_path, listener, evaluate=Evaluate(every=q("4 steps")), checkpoint=Checkpoint(every=q("8 steps")))
    assert [s.resumed_from for s in listener.of(Status)] == [8]
    assert sorted(path.name[:13] for path in (folder / "checkpoints" / "quarantine").iterdir()) == ["best-00000012"]
    losses: dict[int, float] = {}
    for metrics in listener.of(Metrics):
        losses |= {metrics.step: metrics.values["validation/loss"]} if "validation/loss" in metrics.values else {}
    assert output.values["best_metric"] == min(losses.values())
    assert losses[output.values["best_step"]] == output.values["best_metric"]


def run_out(patch: pytest.MonkeyPatch, *, at_call: int) -> None:
    """Let memory end at one micro-batch of the training, counted over all of it, and then for any that is as large."""
    real, calls = CausalLM.loss_sum, 0

    def loss_sum(self: CausalLM, model: Any, batch: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        loss = real(self, model, batch)
        if calls >= at_call and len(batch.ids) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return loss

    patch.setattr(CausalLM, "loss_sum", loss_sum)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_out_of_memory_at_the_start_ends_with_the_bits_of_the_smaller_micro_batch(
    tmp_path: Path, patch: pytest.MonkeyPatch, dropout: float
) -> None:
    listener, plain = Listener(), Listener()
    run_out(patch, at_call=1)
    tight, output = train(tmp_path / "tight", listener, dropout=dropout)
    patch.undo()
    small, _ = train(tmp_path / "small", plain, dropout=dropout, micro_batch_size=2)
    assert same(final(tight), final(small))
    assert rungs(listener) == [("out-of-memory", 1)]
    assert output.values["micro_batch_size"] == 2
    assert [m.tokens for m in listener.of(Metrics)] == [m.tokens for m in plain.of(Metrics)]
    assert listener.metric("train/loss") == plain.metric("train/loss")


def test_the_size_that_fits_is_kept_by_a_resume(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    run_out(patch, at_call=6)
    straight, _ = train(tmp_path / "straight")
    patch.undo()
    run_out(patch, at_call=6)
    settings, data, again = spec(model={"dropout": 0.1}), parents(tmp_path), Listener()
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_after(11)), settings, data)
    output = run(context(tmp_path / "run", again), settings, data)
    assert output.values["micro_batch_size"] == 2
    assert not rungs(again)
    assert same(final(tmp_path / "run"), final(straight))


@pytest.mark.parametrize("ahead", [False, True])
def test_a_batch_that_found_no_memory_once_changes_nothing(tmp_path: Path, patch: pytest.MonkeyPatch, ahead: bool) -> None:
    straight, _ = train(tmp_path / "straight")
    real, failed = CausalLM.train_batch, set[int]()

    def train_batch(self: CausalLM, first: int, *, count: int) -> Any:
        if first in (0, 28) and first not in failed:
            failed.add(first)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return real(self, first, count=count)

    patch.setattr(CausalLM, "train_batch", train_batch)
    patch.setattr("specrun.steps.train.run.copy_lane", lambda _: Beside() if ahead else None)
    folder, _ = train(tmp_path / "tight")
    assert failed == {0, 28}
    assert same(final(folder), final(straight))


def test_samples_that_do_not_fit_cost_a_training_nothing_but_themselves(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    straight, expected = train(tmp_path / "straight")
    real, calls = CausalLM.examples, 0

    def examples(self: CausalLM, *rest: Any, **more: Any) -> list[dict[str, Any]]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return real(self, *rest, **more)

    patch.setattr(CausalLM, "examples", examples)
    folder, output = train(tmp_path / "tight", listener)
    assert same(final(folder), final(straight))
    assert rungs(listener) == [("out-of-memory", 16)]
    assert sorted(listener.metric("validation/loss")) == [8, 16, 24]
    assert [event.step for event in listener.of(Example)] == [8, 24]
    assert output.values["best_metric"] == expected.values["best_metric"]


@pytest.mark.parametrize("metric", ["loss", "perplexity", "word_perplexity", "bits_per_byte"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e5])
def test_an_evaluation_that_is_not_finite_improves_nothing_whatever_the_metric(
    tmp_path: Path, patch: pytest.MonkeyPatch, metric: str, value: float
) -> None:
    """Neither the best, nor early stopping, nor a plateau; 1e5 nats a token are a perplexity beyond any float."""
    real, calls, name = CausalLM.evaluate, 0, f"validation/{metric}"

    def evaluate(self: CausalLM, *rest: Any, **more: Any) -> dict[str, float]:
        nonlocal calls
        calls += 1
        return real(self, *rest, **more) | ({"nll": value * 82} if calls == 1 else {})

    patch.setattr(CausalLM, "evaluate", evaluate)
    course = ReduceOnPlateau(kind="reduce_on_plateau", patience=q("9 evaluations"), metric=name)
    _, output = train(tmp_path, checkpoint=Checkpoint(every=q("8 steps"), metric=name), learning_rate=course,
                      early_stopping=EarlyStopping(patience=q("9 evaluations"), metric=name))  # fmt: skip
    assert output.values["steps"] == LAST
    assert output.values["best_step"] in (16, 24)


def test_what_workers_could_not_do_is_not_tried_again_by_whoever_goes_on(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    asked, real = [], CausalLM.evaluate

    def evaluate(self: CausalLM, model: torch.nn.Module, **options: Any) -> Any:
        asked.append(options["divided"])
        return real(self, model, **options)

    patch.setattr(CausalLM, "evaluate", evaluate)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    remember(tmp_path / "run" / "checkpoints", StartAgain("no room", alert=("out-of-memory", ""), divided=4))
    train(tmp_path, duration=q("8 steps"))
    assert asked == [4]


def test_an_evaluation_that_does_not_fit_is_cut_smaller_and_comes_to_the_same(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    plain, listener = Listener(), Listener()
    train(tmp_path / "plain", plain)
    real = linear_scores

    def scores(hidden: torch.Tensor, *rest: Any, **more: Any) -> Any:
        if len(hidden) > 24:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(hidden, *rest, **more)

    patch.setattr("specrun.tasks.causal_lm.build.linear_scores", scores)
    patch.setattr("specrun.tasks.causal_lm.build.EVALUATION_TOKENS", {"cpu": 80})
    folder, _ = train(tmp_path / "tight", listener)
    assert same(final(folder), final(tmp_path / "plain" / "run"))
    assert rungs(listener) == [("out-of-memory", 8)] * 2
    losses, expected = listener.metric("validation/loss"), plain.metric("validation/loss")
    assert losses == pytest.approx(expected, rel=1e-6)
