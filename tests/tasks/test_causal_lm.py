"""The causal_lm task: batches, evaluation in windows, metrics, texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from specrun.models.gpt.build import GPT
from specrun.models.gpt.build import build as build_gpt
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.tasks.causal_lm.build import CausalLM, TokenBatch, build
from specrun.tasks.causal_lm.options import Options
from specrun.training.token_file import write_tokens
from tests.tasks.openings import opening

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
LENGTH = 10


def task(root: Path, *, validation: int = 95, end_of_text: bool = False, **options: Any) -> CausalLM:
    """The task on 300 training tokens 0..7 in turn, with 7 as end-of-text where there is one."""
    tokens, tokenizer = root / "tokens", root / "tokenizer"
    if not tokens.exists():
        tokens.mkdir(parents=True)
        tokenizer.mkdir()
        for split, count in (("train", 300), ("validation", validation)):
            more: dict[str, Any] = {"end_of_text_id": 7} if end_of_text else {"unpredicted": lambda _: (1, 0)}
            write_tokens(tokens, split, [(np.arange(count) % 7, count, count // 5)], vocab_size=8, **more)
        codec = Tokenizer(models.WordLevel({c: i for i, c in enumerate("abcd ef")} | {"<|endoftext|>": 7}, unk_token="a"))
        codec.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        codec.decoder = decoders.Fuse()
        codec.add_special_tokens(["<|endoftext|>"])
        codec.save(str(tokenizer / "tokenizer.json"))
    folders = {"tokens": tokens, "tokenizer": tokenizer}
    asked = Options(kind="causal_lm", **options)
    return build(asked, opening(asked, folders, device=DEVICE, sequence_length=LENGTH))


def model(vocab_size: int = 8) -> GPT:
    torch.manual_seed(0)
    return build_gpt(Gpt(kind="gpt", num_layers=1, width=16, num_heads=2), vocab_size=vocab_size, sequence_length=LENGTH)


def test_a_batch_holds_consecutive_tokens_of_the_split(tmp_path: Path) -> None:
    batch = task(tmp_path).train_batch(5, count=6)
    assert batch.ids.shape == (6, LENGTH + 1)
    assert batch.weight == 60
    assert ((batch.ids[:, 1:] - batch.ids[:, :-1]) % 7 == 1).all()


@given(samples=st.integers(1, 20), size=st.integers(1, 25))
def test_parts_of_a_batch_are_the_batch(samples: int, size: int) -> None:
    batch = TokenBatch(torch.arange(samples * 4).reshape(samples, 4))
    parts = list(batch.split(size))
    assert torch.equal(torch.cat([part.ids for part in parts]), batch.ids)
    assert all(len(part.ids) <= size for part in parts)
    assert sum(part.weight for part in parts) == batch.weight == samples * 3


def test_smoothed_labels_are_trained_on_and_not_judged_by(tmp_path: Path) -> None:
    plain, smooth, network = task(tmp_path), task(tmp_path, label_smoothing=0.2), model()
    batch = plain.train_batch(0, count=6)
    logits, labels = network(batch.ids[:, :-1]).flatten(0, 1), batch.ids[:, 1:].flatten()
    wanted = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.2, reduction="sum")
    torch.testing.assert_close(smooth.loss_sum(network, batch), wanted)
    assert not torch.allclose(smooth.loss_sum(network, batch), plain.loss_sum(network, batch))
    assert smooth.evaluate(network, "validation") == plain.evaluate(network, "validation")


@pytest.mark.parametrize("validation", [2, 3, 11, 12, 20, 21, 95, 101])
def test_an_evaluation_predicts_each_token_once_whatever_the_length(tmp_path: Path, validation: int) -> None:
    it, network = task(tmp_path, validation=validation), model()
    sums = it.evaluate(network, "validation")
    assert sums["tokens"] == validation - 1
    assert sums["bytes"] == validation - 1
    assert sums["nll"] > 0
    assert network.training


def test_how_many_windows_are_computed_at_once_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it, network = task(tmp_path), model()
    whole = it.evaluate(network, "validation")
    monkeypatch.setattr("specrun.tasks.causal_lm.build.EVALUATION_TOKENS", {"cpu": 1})
    assert it.evaluate(network, "validation") == pytest.approx(whole, rel=1e-6)


def test_a_limited_evaluation_takes_the_first_windows_and_scales_bytes_and_words(tmp_path: Path) -> None:
    sums = task(tmp_path).evaluate(model(), "validation", max_samples=3)
    assert sums["tokens"] == 30
    assert sums["bytes"] == pytest.approx(94 * 30 / 94)
    assert sums["words"] == pytest.approx(19 * 30 / 94)


def test_an_evaluation_waits_for_the_device_once(tmp_path: Path) -> None:
    device = Device("cpu", torch.device("cpu"), torch.float32)
    it = task(tmp_path)
    it._device = device
    it.evaluate(model(), "validation")
    assert device.syncs == 1


@given(
    nll=st.floats(0.1, 1e6) | st.just(math.nan) | st.just(math.inf),
    tokens=st.integers(1, 10**5),
    words=st.integers(0, 10**4),
    size=st.integers(0, 10**5),
)
def test_which_metrics_there_are_is_for_the_data_to_say_and_not_for_the_loss(
    nll: float, tokens: int, words: int, size: int, tmp_path_factory: Any
) -> None:
    assume(tokens != 1000 * words)  # the border itself is a matter of rounding
    it = CausalLM.__new__(CausalLM)
    it.vocab_size = 2
    metrics = it.metrics({"nll": nll, "tokens": tokens, "correct": 0.0, "words": words, "bytes": size})
    assert ("bits_per_byte" in metrics) == (size > 0)
    assert ("word_perplexity" in metrics) == (tokens < 1000 * words), "two tokens, guessed alike: 2**1000 a word"
    for name, count in (("perplexity", tokens), ("word_perplexity", words)):
        if name in metrics:
            assert math.isnan(metrics[name]) == math.isnan(nll)
            assert math.isinf(metrics[name]) == (nll / count >= 1000 * math.log(2))


def test_nothing_predicted_has_no_metrics(tmp_path: Path) -> None:
    assert task(tmp_path).metrics({"nll": 0.0, "tokens": 0, "correct": 0, "words": 0, "bytes": 0}) == {}


def test_texts_are_the_same_for_the_same_model_and_start_from_the_prompt(tmp_path: Path) -> None:
    it, network = task(tmp_path, prompt="abc", sample_tokens=9), model()
    one, other = it.examples(network, count=2), it.examples(network, count=2)
    assert one == other
    assert one[0]["prompt"] == "abc"
    assert one[0]["text"] != one[1]["text"]
    assert all(len(example["text"]) <= 9 for example in one)
    assert it.examples(network, count=0) == []


def test_without_a_prompt_the_first_words_of_the_validation_split_are_taken(tmp_path: Path) -> None:
    assert task(tmp_path).examples(model(), count=1)[0]["prompt"] == "abcd efabcd efabcd efabcd"


def test_with_end_of_text_a_text_starts_and_ends_with_it_and_never_shows_it(tmp_path: Path) -> None:
    it = task(tmp_path, end_of_text=True, prompt="", sample_tokens=40)
    network = model()
    example = it.examples(network, count=1)[0]
    assert "endoftext" not in example["text"]
    network.token_embedding.weight.data[7] = 50.0 * network.token_embedding.weight.data[7].sign()
    assert len(it.examples(network, count=1)[0]["text"]) <= 40


def test_rows_that_only_pad_the_embedding_never_reach_the_tokenizer(tmp_path: Path) -> None:
    it, network = task(tmp_path, prompt="a", sample_tokens=30), model(vocab_size=4000)
    assert len(it.examples(network, count=1)[0]["text"]) >= 1
