"""The train step: what it emits, what it returns, and that stopping and going on changes nothing."""

from __future__ import annotations

import math
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Beside, Listener, chain, context, early, parents, q, spec, stop_after

from specrun.errors import DataError, InterruptedRun, SpecrunError
from specrun.events import Alert, Example, Metrics, Progress, Span, Status, System
from specrun.spec.sections.parameters import Average, Parameters
from specrun.spec.sections.recovery import Recovery
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train import run as train
from specrun.steps.train.run import draw_model, run
from specrun.tasks.causal_lm.build import CausalLM
from specrun.training.learning_rates.reduce_on_plateau import Options as ReduceOnPlateau
from specrun.training.optimizers.adamw.options import Options as AdamW

ALWAYS_THE_SAME = ("train/loss", "train/learning_rate", "train/gradient_norm", "validation/loss", "validation/accuracy")


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    saved = folder / "checkpoints" / f"step-{step:08d}"
    return load_file(saved / "model.safetensors") | load_file(saved / "optimizer.safetensors")


def assert_equal_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listener, Any]:
    """A run of 24 steps without any trouble."""
    root = tmp_path_factory.mktemp("straight")
    listener = Listener()
    output = run(context(root / "run", listener), spec(model={"dropout": 0.1}), parents(root))
    return root / "run", listener, output


def test_metrics_come_at_their_cadence_and_at_the_end(straight: tuple[Path, Listener, Any]) -> None:
    _, listener, _ = straight
    assert list(listener.metric("train/loss")) == [5, 10, 15, 20, 24]
    assert list(listener.metric("validation/loss")) == [8, 16, 24]
    assert [p.done for p in listener.of(Progress)] == [5, 10, 15, 20, 24]
    names = {name for m in listener.of(Metrics) for name in m.values}
    assert names == {
        "train/loss", "train/learning_rate", "train/gradient_norm",
        "throughput/tokens_per_second", "throughput/samples_per_second", "throughput/step_seconds", "throughput/data_wait_share",
        "validation/loss", "validation/perplexity", "validation/word_perplexity", "validation/bits_per_byte", "validation/accuracy",
    }  # fmt: skip
    last = list(listener.of(Metrics))[-1]
    assert (last.step, last.tokens, last.epoch) == (24, 24 * 4 * 8, pytest.approx(24 * 4 / 49))


def test_progress_names_the_best_evaluation_so_far(straight: tuple[Path, Listener, Any]) -> None:
    _, listener, _ = straight
    first, *_, last = listener.of(Progress)
    assert "best" not in first.values
    assert last.total == 24
    assert last.values["best"] == min(value for step, value in listener.metric("validation/loss").items() if step < 24)


def test_evaluations_and_saves_are_spans_and_evaluations_show_a_text(straight: tuple[Path, Listener, Any]) -> None:
    _, listener, _ = straight
    spans = [(span.name, span.step) for span in listener.of(Span)]
    assert [s for s in spans if s[0] == "evaluation"] == [("evaluation", 8), ("evaluation", 16), ("evaluation", 24)]
    assert [s for s in spans if s[0] == "checkpoint"] == [("checkpoint", 8), ("checkpoint", 16), ("checkpoint", 24)]
    examples = list(listener.of(Example))
    assert [e.step for e in examples] == [8, 16, 24]
    assert all(len(e.data["text"]) == 6 and e.data["prompt"] for e in examples)


def test_the_outcome_names_the_best_and_the_last_weights(straight: tuple[Path, Listener, Any]) -> None:
    folder, listener, output = straight
    values = output.values
    assert values["steps"] == values["total_steps"] == 24
    losses = listener.metric("validation/loss")
    assert values["best_metric"] == min(losses.values())
    assert losses[values["best_step"]] == values["best_metric"]
    assert values["metrics"]["validation/loss"] == losses[24]
    assert values["last_checkpoint"] == "checkpoints/step-00000024"
    assert values["parameters"] == sum(t.numel() for t in load_file(folder / values["last_checkpoint"] / "model.safetensors").values())
    assert set(output.artifacts.values()) == {"best_model", "last_model"}
    assert all((folder / path).is_file() for path in output.artifacts)
    assert output.status == "completed"
    assert values["peak_memory_bytes"] > 2**20


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(straight: tuple[Path, Listener, Any], tmp_path: Path) -> None:
    folder, _, _ = straight
    data = parents(tmp_path)
    run(context(tmp_path / "same", Listener()), spec(model={"dropout": 0.1}), data)
    run(context(tmp_path / "other", Listener(), seed=1), spec(model={"dropout": 0.1}), data)
    assert_equal_bits(weights(tmp_path / "same", 24), weights(folder, 24))
    assert not torch.equal(weights(tmp_path / "other", 24)["final_norm.weight"], weights(folder, 24)["final_norm.weight"])


@pytest.mark.parametrize("stops", [[3], [8], [11, 2], [1, 1, 1, 1], [23]])
def test_stopping_and_going_on_changes_no_bit(straight: tuple[Path, Listener, Any], tmp_path: Path, stops: list[int]) -> None:
    folder, expected, _ = straight
    data, settings = parents(tmp_path), spec(model={"dropout": 0.1})
    listener, at = Listener(), 0
    for count in stops:
        with pytest.raises(InterruptedRun) as stopped:
            run(context(tmp_path / "run", listener, stop=stop_after(count)), settings, data)
        at += count
        assert stopped.value.exit_code == 143
        assert f"step {at} of 24" in str(stopped.value)
    output = run(context(tmp_path / "run", listener), settings, data)
    assert output.values["steps"] == 24
    assert_equal_bits(weights(tmp_path / "run", 24), weights(folder, 24))
    for name in ALWAYS_THE_SAME:
        assert listener.metric(name) == expected.metric(name)
    resumed = [s.resumed_from for s in listener.of(Status)]
    assert resumed == [sum(stops[: i + 1]) for i in range(len(stops))]


@pytest.mark.parametrize("every", [1, 7, 100])
def test_how_often_is_logged_changes_no_result(straight: tuple[Path, Listener, Any], tmp_path: Path, every: int) -> None:
    _, _, output = straight
    settings = spec(model={"dropout": 0.1}, log_every=q(f"{every} steps"))
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_after(23)), settings, parents(tmp_path))
    other = run(context(tmp_path / "run", Listener()), settings, parents(tmp_path / "again"))
    names = [name for name in output.values["metrics"] if not name.startswith("throughput/")]
    assert {name: other.values["metrics"][name] for name in names} == {name: output.values["metrics"][name] for name in names}
    assert set(other.values["metrics"]) == set(output.values["metrics"])
    assert output.values["metrics"]["throughput/tokens_per_second"] == output.values["tokens_per_second"]


def test_the_training_loss_of_a_result_is_the_mean_of_the_last_steps(tmp_path: Path) -> None:
    listener = Listener()
    output = run(context(tmp_path / "run", listener), spec(log_every=q("1 steps")), parents(tmp_path))
    last_two = [listener.metric("train/loss")[step] for step in (23, 24)]
    assert output.values["metrics"]["train/loss"] == pytest.approx(sum(last_two) / 2, rel=1e-12)


def test_a_resumed_attempt_emits_nothing_of_the_steps_before(tmp_path: Path) -> None:
    data, first, second = parents(tmp_path), Listener(), Listener()
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", first, stop=stop_after(13)), spec(), data)
    run(context(tmp_path / "run", second), spec(), data)
    assert second.events[0] == Status("running", "resumed", resumed_from=13)
    assert min(m.step for m in second.of(Metrics)) == 15


def test_a_finished_run_that_is_run_again_only_returns_its_outcome(straight: tuple[Path, Listener, Any]) -> None:
    folder, _, output = straight
    listener = Listener()
    again = run(context(folder, listener), spec(model={"dropout": 0.1}), parents(folder.parent / "again"))
    assert [type(event) for event in listener.events if not isinstance(event, System)] == [Status]
    same = ("steps", "best_step", "best_metric", "best_checkpoint", "metrics", "tokens", "tokens_per_second")
    assert all(again.values[name] == output.values[name] for name in same)


def test_a_checkpoint_of_another_key_is_not_taken_up(tmp_path: Path) -> None:
    data, listener = parents(tmp_path), Listener()
    run(context(tmp_path / "run", Listener(), key="one"), spec(), data)
    run(context(tmp_path / "run", listener, key="two"), spec(), data)
    assert not list(listener.of(Status))
    assert next(iter(listener.metric("train/loss"))) == 5


def test_a_damaged_checkpoint_is_set_aside_with_a_warning_and_the_one_before_goes_on(tmp_path: Path) -> None:
    data = parents(tmp_path)
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_after(18)), spec(), data)
    victim = tmp_path / "run" / "checkpoints" / "step-00000018" / "optimizer.safetensors"
    content = bytearray(victim.read_bytes())
    content[-5] ^= 1
    victim.write_bytes(content)
    listener = Listener()
    output = run(context(tmp_path / "run", listener), spec(), data)
    assert [s.resumed_from for s in listener.of(Status)] == [16]
    assert [a.code for a in listener.of(Alert)] == ["damaged-checkpoint"]
    assert len(output.warnings) == 1
    straight_run = tmp_path / "straight"
    run(context(straight_run, Listener()), spec(), data)
    assert_equal_bits(weights(tmp_path / "run", 24), weights(straight_run, 24))


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_best_weights_that_are_gone_are_made_again_and_never_replaced_by_others(tmp_path: Path, harm: str) -> None:
    data, listener = parents(tmp_path), Listener()
    settings = spec(optimizer=AdamW(kind="adamw", learning_rate=0.3), evaluate=Evaluate(every=q("2 steps")))
    before = run(context(tmp_path / "run", Listener()), settings, data).values
    assert before["best_step"] < 24, "the best must be another than the last"
    best = tmp_path / "run" / before["best_checkpoint"]
    weights_then = (best / "model.safetensors").read_bytes()
    if harm == "lost":
        shutil.rmtree(best)
    else:
        (best / "model.safetensors").write_bytes(weights_then[:-8] + bytes(8))
    output = run(context(tmp_path / "run", listener), settings, data)
    assert (best / "model.safetensors").read_bytes() == weights_then
    assert {name: output.values[name] for name in ("best_step", "best_metric", "best_checkpoint")} == {
        name: before[name] for name in ("best_step", "best_metric", "best_checkpoint")
    }
    assert "lost-best-checkpoint" in [alert.code for alert in listener.of(Alert)]
    assert f"those of step {before['best_step']}" in output.warnings[-1]


def test_best_weights_that_are_gone_are_taken_from_the_checkpoint_of_their_step(tmp_path: Path) -> None:
    """With the bits and the figures that they had, and without training anything again."""
    data, listener = parents(tmp_path), Listener()
    settings = spec(model={"dropout": 0.1}, early_stopping=early(9), parameters=Parameters(average=Average(decay=0.9)))
    before = run(context(tmp_path / "run", Listener()), settings, data).values
    best = tmp_path / "run" / before["best_checkpoint"]
    then = {path.name: path.read_bytes() for path in best.iterdir()}
    assert before["best_step"] == 24
    shutil.rmtree(best)
    output = run(context(tmp_path / "run", listener), settings, data)
    assert {path.name: path.read_bytes() for path in best.iterdir()} == then
    assert {name: output.values[name] for name in ("best_step", "best_metric")} == {"best_step": 24, "best_metric": before["best_metric"]}
    assert [s.resumed_from for s in listener.of(Status)] == [24]
    assert [alert.code for alert in listener.of(Alert)] == ["lost-best-checkpoint"]
    assert output.warnings == ("the best weights, those of step 24, were gone; they are kept again, from the checkpoint of that step",)


def test_without_a_finite_evaluation_there_are_no_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = CausalLM.metrics
    monkeypatch.setattr(CausalLM, "metrics", lambda self, sums: real(self, sums) | {"loss": math.nan})
    with pytest.raises(SpecrunError, match=r"no evaluation gave a finite validation/loss") as caught:
        run(context(tmp_path / "run", Listener()), spec(), parents(tmp_path))
    assert caught.value.code == "metric-never-finite"


def test_early_stopping_ends_after_its_patience_and_says_so(tmp_path: Path) -> None:
    listener = Listener()
    settings = spec(early_stopping=early(2, min_delta=100.0), evaluate=Evaluate(every=q("2 steps")))
    output = run(context(tmp_path / "run", listener), settings, parents(tmp_path))
    assert output.status == "stopped_early"
    assert output.values["stopped_early"] is True
    assert output.values["steps"] == 6
    assert output.values["last_checkpoint"].endswith("step-00000006")
    assert output.values["stop_reason"] == (
        "validation/loss has not improved by more than 100 since step 2, for 2 evaluations; training stopped after step 6 of 24"
    )


def test_every_reduction_on_a_plateau_is_told_with_its_reason(tmp_path: Path) -> None:
    listener = Listener()
    course = ReduceOnPlateau(kind="reduce_on_plateau", patience=q("1 evaluations"), min_delta=100.0, min_fraction=0.2)
    run(context(tmp_path / "run", listener), spec(learning_rate=course, evaluate=Evaluate(every=q("4 steps"))), parents(tmp_path))
    told = [(event.level, event.step, event.message) for event in listener.of(Alert) if event.code == "learning-rate-reduced"]
    why = "validation/loss has not improved since step 4: the learning rate is"
    assert told == [
        ("info", 8, f"{why} 0.5 of its course from here on"),
        ("info", 12, f"{why} 0.25 of its course from here on"),
        ("info", 16, f"{why} 0.2 of its course from here on, the least there is"),
    ]


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    settings, data = spec(early_stopping=early(1, min_delta=100.0), evaluate=Evaluate(every=q("2 steps"))), parents(tmp_path)
    run(context(tmp_path / "run", Listener()), settings, data)
    again = run(context(tmp_path / "run", Listener()), settings, data)
    assert again.values["steps"] == 4
    assert again.status == "stopped_early"


def test_a_loss_that_is_not_finite_is_an_error_with_its_step_and_is_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(*args: Any, **kwargs: Any) -> torch.nn.Module:
        model = draw_model(*args, **kwargs)
        model.get_parameter("final_norm.weight").data[0] = math.inf
        return model

    monkeypatch.setattr("specrun.steps.train.run.draw_model", sick)
    settings = spec(checkpoint=Checkpoint(every=q("1 steps")), log_every=q("3 steps"), recovery=Recovery(non_finite="fail"))
    with pytest.raises(SpecrunError, match=r"the loss of step 1 is (nan|inf)") as caught:
        run(context(tmp_path / "run", Listener()), settings, parents(tmp_path))
    assert caught.value.code == "non-finite-loss"
    assert "learning_rate" in str(caught.value.hint)
    assert not list((tmp_path / "run").glob("checkpoints/step-*"))


def test_a_corpus_shorter_than_a_sequence_names_both_lengths(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"8 tokens; a sequence of data.sequence_length 8 needs 9") as caught:
        run(context(tmp_path / "run", Listener()), spec(), parents(tmp_path, train=8))
    assert caught.value.code == "corpus-shorter-than-sequence"
    assert "data.sequence_length 7 or less" in str(caught.value.hint)


def test_only_the_newest_and_the_best_checkpoints_stay(tmp_path: Path) -> None:
    """And with each of the newest the best that it knows of."""
    settings = spec(checkpoint=Checkpoint(every=q("2 steps"), keep_last=3, keep_best=2), evaluate=Evaluate(every=q("2 steps")))
    listener = Listener()
    run(context(tmp_path / "run", listener), settings, parents(tmp_path))
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.is_dir())
    losses = listener.metric("validation/loss")
    records = [step for step in losses if losses[step] == min(v for s, v in losses.items() if s <= step)]
    known = {max(step for step in records if step <= newest) for newest in (20, 22, 24)}
    expected = [f"best-{step:08d}" for step in sorted({*records[-2:], *known})]
    assert names == [*expected, "step-00000020", "step-00000022", "step-00000024"]


def test_more_than_one_sample_text_is_told_apart(tmp_path: Path) -> None:
    listener = Listener()
    run(
        context(tmp_path / "run", listener),
        spec(evaluate=Evaluate(every=q("24 steps"), samples=3), task={"prompt": "abc"}),
        parents(tmp_path),
    )
    assert [e.name for e in listener.of(Example)] == ["sample", "sample-2", "sample-3"]
    assert {e.data["prompt"] for e in listener.of(Example)} == {"abc"}


def test_a_metric_that_no_evaluation_yields_is_named_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CausalLM, "metrics", lambda *_: {"accuracy": 0.5})  # as of a text without words, or whose loss is infinite
    settings = spec(checkpoint=Checkpoint(every=q("8 steps"), metric="validation/word_perplexity"))
    with pytest.raises(SpecrunError, match=r"metric-without-value.*validation/word_perplexity.*validation/accuracy"):
        run(context(tmp_path / "run", Listener()), settings, parents(tmp_path))


def test_a_metric_that_a_text_almost_without_spaces_cannot_have_is_told_at_the_first_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, listener = CausalLM.evaluate, Listener()
    monkeypatch.setattr(CausalLM, "evaluate", lambda *rest, **more: real(*rest, **more) | {"words": 0.1})
    settings = spec(checkpoint=Checkpoint(every=q("8 steps"), metric="validation/word_perplexity"))
    with pytest.raises(SpecrunError, match=r"metric-without-value.*step 8 yields no 'validation/word_perplexity'"):
        run(context(tmp_path / "run", listener), settings, parents(tmp_path))
    output = run(context(tmp_path / "other", listener), spec(), parents(tmp_path / "again"))
    assert listener.metric("validation/word_perplexity") == {}
    assert output.values["best_step"] is not None


def test_the_loss_comes_close_to_the_known_entropy_of_its_source(tmp_path: Path) -> None:
    _, entropy = chain(2, seed=0)
    listener = Listener()
    settings = spec(
        duration=q("500 steps"), batch_size=16, evaluate=Evaluate(every=q("250 steps")), checkpoint=Checkpoint(every=q("250 steps"))
    )
    run(context(tmp_path / "run", listener), settings, parents(tmp_path, train=20_000, validation=8_000))
    final = listener.metric("validation/loss")[500]
    assert entropy - 0.05 < final < entropy + 0.08


def test_a_training_hands_on_what_it_asked_of_the_machine(straight: tuple[Path, Listener, Any]) -> None:
    _, listener, output = straight
    assert list(listener.of(System))
    assert output.values["system"]["process_rss_peak_bytes"] > 2**20
    assert all(0 <= value <= 1 for value in listener.metric("throughput/data_wait_share").values())
    assert 0 < output.values["metrics"]["throughput/data_wait_share"] < 1
    left = {thread.name for thread in threading.enumerate()} & {"specrun-monitor", "specrun-feed_0"}
    assert left == set()


def test_batches_gathered_ahead_change_no_loss_through_a_resume(
    straight: tuple[Path, Listener, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "copy_lane", lambda device: Beside())
    again, inputs = Listener(), parents(tmp_path)
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", again, stop=stop_after(13)), spec(model={"dropout": 0.1}), inputs)
    run(context(tmp_path / "run", again), spec(model={"dropout": 0.1}), inputs)
    _, listener, _ = straight
    assert again.metric("train/loss") == listener.metric("train/loss")
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("specrun-feed")] == []
