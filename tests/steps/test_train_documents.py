"""Training on documents: what is recorded is of real tokens, and stopping in the middle of an epoch changes no bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_run import ALPHABET, Listener, chain, context, finished, hardware, parents, q, spec, stop_after

from specrun.engine.executors.torchrun import run_on_workers
from specrun.errors import InterruptedRun
from specrun.events import Metrics
from specrun.runtime.choice import Choice
from specrun.runtime.compilation import compile_blocks
from specrun.spec.document import Spec
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.contract import StepInput
from specrun.steps.evaluate.run import run as evaluate
from specrun.steps.registry import step_kinds
from specrun.steps.train import run as train
from specrun.steps.train.run import run
from specrun.tasks.unigram import unigram
from specrun.training.documents import pieces
from specrun.training.token_file import open_tokens, write_tokens

LENGTH = 8


def documents(root: Path) -> dict[str, StepInput]:
    """Finished steps whose splits hold documents of 1 to 25 tokens."""
    steps = parents(root)
    for number, split in enumerate(("train", "validation")):
        sizes = np.random.default_rng(number).integers(1, 26, 37 if split == "train" else 11)
        ids = np.split(chain(int(sizes.sum()), seed=number)[0], np.cumsum(sizes)[:-1])
        write_tokens(root / "tokens", split, [(it, len(it), 1) for it in ids], vocab_size=len(ALPHABET), unpredicted=lambda _: (1, 0))
    return steps


def on_documents(*, grouped: bool = True, model: Mapping[str, Any] | None = None, **schedule: Any) -> Spec:
    settings = spec(model=model, **({"micro_batch_size": 2, "log_every": q("1 steps")} | schedule))
    return settings.model_copy(update={"data": settings.data.model_copy(update={"packing": "documents", "group_by_length": grouped})})


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted(folder.glob("checkpoints/step-*"))[-1] / "model.safetensors")


def test_stopping_in_the_middle_of_an_epoch_changes_no_bit_nor_any_count(tmp_path: Path) -> None:
    data, straight, stopped = documents(tmp_path), Listener(), Listener()
    settings = on_documents(model={"dropout": 0.1}, duration=q("30 steps"), checkpoint=Checkpoint(every=q("7 steps")))
    output = run(context(tmp_path / "straight", straight), settings, data)
    for count in (5, 9, 6):
        with pytest.raises(InterruptedRun):
            run(context(tmp_path / "stopped", stopped, stop=stop_after(count)), settings, data)
    again = run(context(tmp_path / "stopped", stopped), settings, data)
    one, other = last_weights(tmp_path / "straight"), last_weights(tmp_path / "stopped")
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in ("train/loss", "validation/loss"):
        assert stopped.metric(name) == straight.metric(name)
    tokens = [{it.step: it.tokens for it in listener.of(Metrics)} for listener in (straight, stopped)]
    assert tokens[0] == tokens[1]
    assert again.values["tokens"] == output.values["tokens"]
    for name in ("train/loss", "throughput/padding_share"):
        assert again.values["metrics"][name] == output.values["metrics"][name]


def test_an_epoch_trains_on_each_predicted_token_once(tmp_path: Path) -> None:
    data, listener = documents(tmp_path), Listener()
    of_them = pieces(open_tokens(tmp_path / "tokens", "train"), sequence_length=LENGTH)
    steps = len(of_them.lengths) // 2
    output = run(context(tmp_path / "run", listener), on_documents(duration=q("1 epochs"), batch_size=2), data)
    rest = len(of_them.lengths) % 2
    assert output.values["total_steps"] == steps + rest
    if rest == 0:
        assert output.values["tokens"] == of_them.tokens
    assert output.values["samples_per_epoch"] == len(of_them.lengths)
    taken = [it.tokens for it in listener.of(Metrics) if "train/loss" in it.values]
    assert all(0 < after - before <= 2 * LENGTH for before, after in zip([0, *taken], taken, strict=False))


def test_durations_in_tokens_are_of_predicted_ones(tmp_path: Path) -> None:
    output = run(context(tmp_path / "run", Listener()), on_documents(duration=q("300 tokens")), documents(tmp_path))
    assert output.values["tokens"] == pytest.approx(300, rel=0.15)


def test_grouping_leaves_less_padding_and_windows_have_none_to_tell_of(tmp_path: Path) -> None:
    data = documents(tmp_path)

    def padding(settings: Spec, name: str) -> float | None:
        found = run(context(tmp_path / name, Listener()), settings, data).values["metrics"]
        share: float | None = found.get("throughput/padding_share")
        return share

    rare = {"evaluate": Evaluate(every=q("24 steps"), samples=0), "micro_batch_size": "auto"}
    grouped = padding(on_documents(**rare), "grouped")
    mixed = padding(on_documents(grouped=False, **rare), "mixed")
    assert grouped is not None
    assert mixed is not None
    assert 0 <= grouped < 0.6 * mixed < 0.6
    assert padding(spec(**rare), "windows") is None


def test_the_micro_batch_changes_nothing_but_the_order_of_sums(tmp_path: Path) -> None:
    data = documents(tmp_path)
    losses = []
    for size in (1, 2, 4):
        listener = Listener()
        run(context(tmp_path / str(size), listener), on_documents(micro_batch_size=size, duration=q("12 steps")), data)
        losses.append(listener.metric("train/loss"))
    assert losses[0] == pytest.approx(losses[2], abs=1e-5)
    assert losses[1] == pytest.approx(losses[2], abs=1e-5)


def test_the_model_is_judged_by_what_the_unigram_baseline_is(tmp_path: Path) -> None:
    """Both leave out the first token of each document, which nothing predicts."""
    data, settings = documents(tmp_path), on_documents(duration=q("4 steps"))
    output = run(context(tmp_path / "run", Listener()), settings, data)
    inputs = data | {"train": finished("train", tmp_path / "run", output.values)}
    judged = evaluate(context(tmp_path / "judge", Listener(), kind="evaluate"), settings, inputs).values
    file = open_tokens(tmp_path / "tokens", "validation")
    predicted = np.delete(np.asarray(file.ids), np.asarray(file.offsets[:-1]))
    counts = np.bincount(np.asarray(open_tokens(tmp_path / "tokens", "train").ids), minlength=len(ALPHABET)) + 1
    assert judged["sums"]["validation"]["tokens"] == len(predicted)
    entropy = judged["baselines"]["validation"][0]["metrics"]["loss"]
    assert entropy == pytest.approx(-np.log(counts[predicted] / counts.sum()).mean())
    as_stream = unigram(tmp_path / "tokens", "validation", vocab_size=len(ALPHABET))
    assert as_stream is not None
    assert as_stream.entropy != pytest.approx(entropy)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compiled_blocks_meet_as_few_shapes_as_torch_keeps_code_for_and_give_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.setattr("specrun.training.documents._NARROWEST", 1)
    monkeypatch.setattr(train, "compile_blocks", partial(compile_blocks, backend="eager"))
    data, eager, compiled = documents(tmp_path), Listener(), Listener()
    rare = {"evaluate": Evaluate(every=q("40 steps"), samples=0), "checkpoint": Checkpoint(every=q("40 steps"))}
    settings = on_documents(duration=q("40 steps"), micro_batch_size=1, **rare)
    run(context(tmp_path / "eager", eager), settings, data)
    with_compiler = replace(hardware(), compilation=Choice("default", "a test"))
    output = run(replace(context(tmp_path / "compiled", compiled), hardware=with_compiler), settings, data)
    torch.compiler.reset()
    assert compiled.metric("train/loss") == pytest.approx(eager.metric("train/loss"), abs=1e-5)
    assert not output.warnings
    assert output.values["compilation"]["recompilations"] in range(3, 8)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_have_the_losses_and_counts_of_one(tmp_path: Path, strategy: str) -> None:
    rare = {"evaluate": Evaluate(every=q("6 steps"), samples=0), "checkpoint": Checkpoint(every=q("12 steps"))}
    settings = on_documents(duration=q("12 steps"), batch_size=8, micro_batch_size=2, **rare)
    data, alone, together = documents(tmp_path), Listener(), Listener()
    one = run(context(tmp_path / "alone", alone), settings, data)
    two_devices = replace(hardware(), devices=2, strategy=Choice(strategy, "a test"))
    kind = next(kind for kind in step_kinds() if kind.kind == "train")
    two = run_on_workers(kind, replace(context(tmp_path / "together", together), hardware=two_devices), settings, data)
    for name in ("train/loss", "validation/loss"):
        assert together.metric(name) == pytest.approx(alone.metric(name), abs=1e-5)
    assert two.values["tokens"] == one.values["tokens"]
