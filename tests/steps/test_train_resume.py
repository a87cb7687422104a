"""Stopping in the middle of an epoch and going on changes no bit, whatever the optimizer and whatever keeps state beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Listener, context, early, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.events import Alert, Status
from specrun.spec.document import Spec
from specrun.spec.parts import kinds, options_class
from specrun.spec.sections.parameters import Average, Parameters
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.train.run import run
from specrun.training import checkpoint_files
from specrun.training.learning_rates.reduce_on_plateau import Options as ReduceOnPlateau


def everything_on(kind: str, **more: Any) -> Spec:
    """Dropout, accumulation, a moving average, early stopping, and a rate that each evaluation reduces."""
    plateau = ReduceOnPlateau(kind="reduce_on_plateau", warmup=q("2 steps"), patience=q("1 evaluations"), min_delta=100.0, min_fraction=0.2)
    values: dict[str, Any] = {
        "duration": q("14 steps"), "micro_batch_size": 2, "learning_rate": plateau, "log_every": q("1 steps"),
        "optimizer": options_class("optimizer", kind)(kind=kind), "parameters": Parameters(average=Average(decay=0.8)),
        "evaluate": Evaluate(every=q("3 steps"), samples=0), "checkpoint": Checkpoint(every=q("6 steps")), "early_stopping": early(50),
    }  # fmt: skip
    return spec(model={"dropout": 0.1}, **(values | more))


def saved(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of every checkpoint that is left."""
    files = sorted(folder.glob("checkpoints/*-*/*.safetensors"))
    return {f"{file.parent.name}/{file.name}:{name}": tensor for file in files for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("kind", kinds("optimizer"))
def test_with_all_that_keeps_state_going_on_changes_no_bit(kind: str, tmp_path: Path) -> None:
    data, straight, stopped = parents(tmp_path), Listener(), Listener()
    settings = everything_on(kind)
    output = run(context(tmp_path / "straight", straight), settings, data)
    for count in (4, 3, 2):
        with pytest.raises(InterruptedRun):
            run(context(tmp_path / "stopped", stopped, stop=stop_after(count)), settings, data)
    again = run(context(tmp_path / "stopped", stopped), settings, data)
    expected = {name: tensor for name, tensor in saved(tmp_path / "straight").items() if "step-00000014" in name or "best" in name}
    found = saved(tmp_path / "stopped")
    assert any("average.safetensors" in name for name in expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    for name in ("train/loss", "train/learning_rate", "validation/loss"):
        assert stopped.metric(name) == straight.metric(name)
    assert again.values["best_step"] == output.values["best_step"]


def test_each_evaluation_without_an_improvement_reduces_the_rate_to_its_floor(tmp_path: Path) -> None:
    listener, settings = Listener(), everything_on("adamw")
    run(context(tmp_path / "run", listener), settings, parents(tmp_path))
    rates, base = listener.metric("train/learning_rate"), settings.schedule.optimizer.learning_rate  # type: ignore[attr-defined]
    fractions = {step: rate / base for step, rate in rates.items()}
    expected = {1: 0.5, 2: 1.0, 3: 1.0, **dict.fromkeys(range(4, 7), 1.0), **dict.fromkeys(range(7, 10), 0.5),
                **dict.fromkeys(range(10, 13), 0.25), 13: 0.2, 14: 0.2}  # fmt: skip
    assert fractions == pytest.approx(expected)


def test_the_average_is_what_is_evaluated_and_kept_as_best_and_changes_no_training(tmp_path: Path) -> None:
    data, plain, averaged, course = parents(tmp_path), Listener(), Listener(), spec().schedule.learning_rate
    run(
        context(tmp_path / "plain", plain),
        everything_on("adamw", parameters=Parameters(), learning_rate=course),
        data,
    )
    settings = everything_on("adamw", learning_rate=course)
    output = run(context(tmp_path / "averaged", averaged), settings, data)
    assert plain.metric("train/loss") == averaged.metric("train/loss")
    assert plain.metric("validation/loss") != averaged.metric("validation/loss")
    last = tmp_path / "averaged" / output.values["last_checkpoint"]
    best = tmp_path / "averaged" / output.values["best_checkpoint"]
    assert output.values["best_step"] == output.values["steps"]
    average, kept = load_file(last / "average.safetensors"), load_file(best / "model.safetensors")
    assert average.keys() == kept.keys()
    assert all(torch.equal(average[name], kept[name]) for name in kept)
    assert not torch.equal(kept["final_norm.weight"], load_file(last / "model.safetensors")["final_norm.weight"])


def with_facts(folder: Path, step: int, change: Callable[[bytes], bytes]) -> None:
    """A checkpoint with other facts, whole by its manifest: as another version of the program would have written it."""
    (info,) = (it for it in checkpoint_files.checkpoints(folder) if it.step == step)
    files = {path.name: path.read_bytes() for path in sorted(info.path.iterdir()) if path.name != "manifest.json"}
    files["state.json"] = change(files["state.json"])
    checkpoint_files.save(folder, step=step, key=info.key, files={name: [it] for name, it in files.items()}, metrics=info.metrics,
                          best_step=info.best_step)  # fmt: skip


def without(*names: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        facts = json.loads(content)
        for name in names:
            section, _, last = name.rpartition(".")
            del (facts[section] if section else facts)[last]
        return json.dumps(facts).encode()

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("tokens"), "state.json has no tokens; another version of specrun wrote it"),
        (without("meter.newest", "evaluated_at"), "state.json has no evaluated_at, meter.newest; another version of specrun wrote it"),
        (lambda content: content[:-9], "state.json cannot be read: "),
        (lambda content: b"[]", "state.json holds no facts"),
    ],
)
def test_a_checkpoint_whose_facts_cannot_be_taken_up_is_set_aside_and_training_ends_with_the_same_bits(
    tmp_path: Path, change: Callable[[bytes], bytes], reason: str
) -> None:
    data, listener, settings = parents(tmp_path), Listener(), everything_on("adamw")
    run(context(tmp_path / "straight", Listener()), settings, data)
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "run", Listener(), stop=stop_after(10)), settings, data)
    with_facts(tmp_path / "run" / "checkpoints", 10, change)
    output = run(context(tmp_path / "run", listener), settings, data)
    (alert,) = (it for it in listener.of(Alert) if it.level == "warning")
    assert alert.code == "outdated-checkpoint"
    assert alert.message.startswith(f"a checkpoint cannot be taken up and is set aside in quarantine/step-00000010-0: {reason}")
    assert output.warnings == (alert.message,)
    assert [status.resumed_from for status in listener.of(Status)] == [6]
    expected, found = (
        {name: it for name, it in saved(tmp_path / folder).items() if "step-00000014" in name} for folder in ("straight", "run")
    )
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_with_no_checkpoint_whose_facts_can_be_taken_up_training_begins_anew(tmp_path: Path) -> None:
    data, listener, settings = parents(tmp_path), Listener(), spec(duration=q("6 steps"))
    run(context(tmp_path / "run", Listener()), settings, data)
    with_facts(tmp_path / "run" / "checkpoints", 6, without("tokens"))
    run(context(tmp_path / "run", listener), settings, data)
    assert [alert.code for alert in listener.of(Alert)] == ["outdated-checkpoint"]
    assert not list(listener.of(Status))
    assert listener.metric("train/loss").keys() == {5, 6}
