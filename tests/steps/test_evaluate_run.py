"""The evaluate step: the best weights on whole splits, figures that agree with one another, an honest baseline."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import SIZES, Listener, context, finished, hardware, parents, q, spec
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.events import Example, Metrics, Progress
from specrun.runtime.device import open_device
from specrun.runtime.distributed import Workers
from specrun.spec.sections.schedule import Evaluate
from specrun.steps.evaluate.load import load_model
from specrun.steps.evaluate.run import _examples, run
from specrun.steps.train.run import run as train
from specrun.tasks.unigram import unigram
from specrun.training.parallel import Parallel
from specrun.training.token_file import open_tokens


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any, Listener, Listener]:
    """A trained run with a test split, evaluated: (folder, train output, evaluate output, both listeners)."""
    root = tmp_path_factory.mktemp("evaluated")
    data, training, listening = parents(root, test=53), Listener(), Listener()
    settings = spec(evaluate=Evaluate(every=q("4 steps")))
    trained = train(context(root / "run", training), settings, data)
    inputs = data | {"train": finished("train", root / "run", trained.values)}
    output = run(context(root / "run", listening, kind="evaluate"), settings, inputs)
    return root, trained, output, training, listening


def test_the_validation_figures_are_those_of_the_best_evaluation_in_training(evaluated: tuple[Any, ...]) -> None:
    _, trained, output, training, _ = evaluated
    best = trained.values["best_step"]
    for name in ("loss", "perplexity", "bits_per_byte", "accuracy"):
        expected = training.metric(f"validation/{name}")[best]
        assert output.values["metrics"][f"validation/{name}"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_perplexities_and_bits_follow_from_the_same_sums(evaluated: tuple[Any, ...], split: str) -> None:
    _, _, output, _, _ = evaluated
    sums, metrics = output.values["sums"][split], output.values["metrics"]
    nll = sums["nll"]
    assert metrics[f"{split}/loss"] == pytest.approx(nll / sums["tokens"])
    assert metrics[f"{split}/perplexity"] == pytest.approx(math.exp(nll / sums["tokens"]))
    assert metrics[f"{split}/word_perplexity"] == pytest.approx(math.exp(nll / sums["words"]))
    assert metrics[f"{split}/bits_per_byte"] == pytest.approx(nll / math.log(2) / sums["bytes"])
    assert metrics[f"{split}/bits_per_byte"] == pytest.approx(math.log2(metrics[f"{split}/perplexity"]))
    assert metrics[f"{split}/accuracy"] == pytest.approx(sums["correct"] / sums["tokens"])


@pytest.mark.parametrize(("rank", "written"), [(0, [{"text": "to be"}]), (1, [])])
def test_what_is_to_look_at_is_written_once_where_each_process_has_all_weights(rank: int, written: list[Any]) -> None:
    calls: list[int] = []
    parallel = Parallel(Workers(rank, 2))

    def write(_: torch.nn.Module) -> list[dict[str, Any]]:
        calls.append(rank)
        return [{"text": "to be"}]

    assert _examples(write, torch.nn.Identity(), parallel, warn=pytest.fail) == written
    assert len(calls) == len(written)


def test_every_token_but_the_first_is_predicted_once(evaluated: tuple[Any, ...]) -> None:
    root, trained, output, _, _ = evaluated
    settings = spec(evaluate=Evaluate(every=q("4 steps")))
    model: Any = load_model(settings, root / "run" / trained.values["best_checkpoint"], sizes=SIZES, device=open_device(hardware()))
    ids = torch.from_numpy(np.asarray(open_tokens(root / "tokens", "test").ids).astype(np.int64))
    nll, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, 8):
            window = ids[start : start + 9]
            nll += F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="sum").item()
            tokens += len(window) - 1
    assert output.values["sums"]["test"]["tokens"] == tokens == 52
    assert output.values["sums"]["test"]["nll"] == pytest.approx(nll, rel=1e-5)


def test_only_figures_of_the_test_split_are_new_metrics(evaluated: tuple[Any, ...]) -> None:
    _, trained, output, _, listener = evaluated
    recorded = list(listener.of(Metrics))
    assert [m.step for m in recorded] == [trained.values["best_step"]]
    assert set(recorded[0].values) == {name for name in output.values["metrics"] if name.startswith("test/")}
    assert [p.done for p in listener.of(Progress)] == [0, 1, 2]


def test_the_best_checkpoint_writes_the_samples_that_training_saw_at_its_step(evaluated: tuple[Any, ...]) -> None:
    _, trained, _, training, listener = evaluated
    best = trained.values["best_step"]
    (final,) = listener.of(Example)
    (seen,) = [example for example in training.of(Example) if example.step == best]
    assert (final.step, final.name, seen.name) == (best, "final", "sample")
    assert final.data == seen.data


@pytest.mark.parametrize("count", [0, 3])
def test_samples_are_what_the_evaluation_is_asked_for_now(evaluated: tuple[Any, ...], count: int) -> None:
    root, trained, _, _, _ = evaluated
    listener = Listener()
    asked = spec(evaluate=Evaluate(every=q("4 steps"), samples=count), task={"prompt": "abba", "sample_tokens": 3})
    values = {"vocab_size": 9, "splits": {"train": {}, "validation": {}}}
    inputs = {kind: finished(kind, root / kind, values) for kind in ("tokens", "tokenizer")}
    run(context(root / "run", listener, kind="evaluate"), asked, inputs | {"train": finished("train", root / "run", trained.values)})
    finals = list(listener.of(Example))
    assert [final.name for final in finals] == ["final", "final-2", "final-3"][:count]
    assert {final.data["prompt"] for final in finals} <= {"abba"}
    assert all(len(final.data["text"]) <= len("abba") + 3 for final in finals)


def test_without_a_test_split_there_is_nothing_new_to_record(tmp_path: Path) -> None:
    data, listener = parents(tmp_path), Listener()
    trained = train(context(tmp_path / "run", Listener()), spec(), data)
    output = run(context(tmp_path / "run", listener), spec(), data | {"train": finished("train", tmp_path / "run", trained.values)})
    assert not list(listener.of(Metrics))
    assert set(output.values["sums"]) == {"validation"}


def test_the_baseline_is_the_smoothed_unigram_cross_entropy(evaluated: tuple[Any, ...]) -> None:
    root, _, output, _, _ = evaluated
    train_ids = np.asarray(open_tokens(root / "tokens", "train").ids)
    validation = np.asarray(open_tokens(root / "tokens", "validation").ids)[1:]
    expected = [-math.log(((train_ids == token).sum() + 1) / (len(train_ids) + 9)) for token in validation]
    assert output.values["baselines"]["validation"][0]["metrics"]["loss"] == pytest.approx(sum(expected) / len(expected))
    assert output.values["baselines"]["validation"][0]["metrics"]["loss"] < math.log(9)


def test_the_baseline_counts_in_blocks_as_it_does_at_once(evaluated: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    root, _, output, _, _ = evaluated
    monkeypatch.setattr("specrun.tasks.unigram._COUNT_TOKENS", 7)
    for split in ("validation", "test"):
        found = unigram(root / "tokens", split, vocab_size=9)
        assert found is not None
        (baseline,) = output.values["baselines"][split]
        assert (found.entropy, found.accuracy) == pytest.approx((baseline["metrics"]["loss"], baseline["metrics"]["accuracy"]))
