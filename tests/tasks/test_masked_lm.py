"""The masked_lm task: which tokens are hidden, evaluation with fixed masks, the baseline, texts to look at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

from specrun.models.encoder.build import build as build_encoder
from specrun.models.encoder.options import Options as Encoder
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.runtime.factory import load_factory
from specrun.tasks.masked_lm.build import MaskedLM, build
from specrun.tasks.masked_lm.options import Options
from specrun.tokenizers.contract import MASK
from specrun.training.masking import Masking, _scatter, keys
from specrun.training.optimizers.muon.options import Options as Muon
from specrun.training.sampler import mix
from specrun.training.token_file import write_tokens
from tests.tasks.openings import opening

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
LENGTH, WORDS = 16, "abcdefgh"
END, MASK_ID, VOCABULARY = 8, 9, 10


def task(root: Path, *, validation: int = 85, seed: int = 0, **options: Any) -> MaskedLM:
    """The task on documents of letters in turn, each ended by token 8."""
    tokens, tokenizer = root / "tokens", root / "tokenizer"
    if not tokens.exists():
        tokens.mkdir(parents=True)
        tokenizer.mkdir()
        for split, count in (("train", 700), ("validation", validation)):
            documents = [(np.arange(start, min(start + 20, count)) % 8, 20, 1) for start in range(0, count, 20)]
            write_tokens(tokens, split, documents, vocab_size=VOCABULARY, end_of_text_id=END)
        codec = Tokenizer(models.WordLevel({c: i for i, c in enumerate(WORDS)}, unk_token="a"))
        codec.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        codec.decoder = decoders.Fuse()
        codec.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ("<|endoftext|>", MASK)])
        codec.save(str(tokenizer / "tokenizer.json"))
    asked = Options(kind="masked_lm", **options)
    return build(asked, opening(asked, {"tokens": tokens, "tokenizer": tokenizer}, device=DEVICE, sequence_length=LENGTH, seed=seed))


def model() -> nn.Module:
    torch.manual_seed(0)
    asked = Encoder(kind="encoder", num_layers=1, width=16, num_heads=2, dropout=0.0)
    return build_encoder(asked, vocab_size=VOCABULARY, sequence_length=LENGTH)


class Oracle(nn.Module):
    """Knows the letters, whatever is hidden: it is given what it should say."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.said = said

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        return torch.eye(VOCABULARY)

    def hidden(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        return 100.0 * torch.nn.functional.one_hot(self.said(ids), VOCABULARY).float()


def masking(mask_share: float = 0.8, random_share: float = 0.1, *, vocab_size: int = 50_000) -> Masking:
    return Masking(7, None, vocab_size, mask_share, random_share)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_bits_are_scattered_on_the_device_as_on_the_host(values: list[int]) -> None:
    host = np.array(values, dtype=np.uint64)
    assert np.array_equal(_scatter(torch.from_numpy(host.view(np.int64))).numpy().view(np.uint64), mix(host))


def test_of_what_is_predicted_eight_tenths_are_masked_one_tenth_random_and_one_tenth_left() -> None:
    ids = torch.arange(2000 * 128).reshape(2000, 128) % 49_000 + 1000
    numbers = torch.from_numpy(keys(np.arange(2000), seed=1, stream="masks"))
    masked = masking().hide(ids, numbers, predicted=19)
    assert torch.equal(ids.flatten()[masked.places], masked.labels)
    assert len(set(masked.places.tolist())) == 2000 * 19
    shown = masked.inputs.flatten()[masked.places]
    shares = [float((shown == 7).float().mean()), float((shown == masked.labels).float().mean())]
    assert shares == pytest.approx([0.8, 0.1], abs=0.01)
    elsewhere = torch.ones(ids.numel(), dtype=torch.bool)
    elsewhere[masked.places] = False
    assert torch.equal(masked.inputs.flatten()[elsewhere], ids.flatten()[elsewhere])
    # Each place is as likely as any other, and random tokens are of the whole vocabulary.
    counts = torch.bincount(masked.places % 128, minlength=128).float()
    assert float((counts / counts.mean() - 1).abs().max()) < 0.25
    random = shown[(shown != 7) & (shown != masked.labels)].float()
    assert float(random.mean()) == pytest.approx(25_000, rel=0.03)


@given(samples=st.integers(1, 9), size=st.integers(1, 10), workers=st.integers(1, 3))
@settings(max_examples=20)
def test_what_is_hidden_depends_neither_on_what_is_computed_together_nor_on_how_many_share_it(
    samples: int, size: int, workers: int
) -> None:
    from specrun.training.masked_windows import MaskedBatch

    ids = torch.arange(samples * workers * 20).reshape(-1, 20)
    batch = MaskedBatch(ids, torch.from_numpy(keys(np.arange(len(ids)), seed=0, stream="masks")), 3)
    parts = [part for rank in range(workers) for part in batch.share(rank, size=workers).split(size)]
    assert torch.equal(torch.cat([part.hidden_by(masking()).inputs for part in parts]), batch.hidden_by(masking()).inputs)
    assert sum(part.weight for part in parts) == batch.weight == len(ids) * 3
    assert sum(part.positions for part in parts) == ids.numel()


def test_the_same_window_has_other_tokens_hidden_each_time_and_the_same_after_a_resume(tmp_path: Path) -> None:
    it = task(tmp_path)
    epoch = it.samples_per_epoch
    first, again = it.train_batch(0, count=epoch), it.train_batch(epoch, count=epoch)
    hidden = [batch.hidden_by(masking()).places for batch in (first, again)]
    assert not torch.equal(*hidden)
    resumed = task(tmp_path).train_batch(epoch, count=epoch)
    assert torch.equal(resumed.ids, again.ids)
    assert torch.equal(resumed.hidden_by(masking()).places, hidden[1])
    assert not torch.equal(task(tmp_path, seed=1).train_batch(0, count=epoch).keys, first.keys)


def test_the_loss_is_that_of_the_hidden_tokens(tmp_path: Path) -> None:
    it, network = task(tmp_path, mask_fraction=0.3), model()
    batch = it.train_batch(3, count=5)
    assert batch.weight == 5 * 5  # 0.3 x 16, rounded
    masked = batch.hidden_by(it._masking)
    logits: Tensor = network(masked.inputs).flatten(0, 1)[masked.places]
    wanted = torch.nn.functional.cross_entropy(logits, masked.labels, reduction="sum")
    torch.testing.assert_close(it.loss_sum(network, batch), wanted)


def test_the_end_of_a_text_is_hidden_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    batch = task(tmp_path).train_batch(0, count=40)
    assert END in batch.ids
    assert END not in batch.hidden_by(task(tmp_path)._masking).labels
    ends = torch.full((2, 4), END)
    assert (Masking(MASK_ID, END, VOCABULARY, 1.0, 0.0).hide(ends, torch.tensor([1, 2]), predicted=2).labels == END).all()


@pytest.mark.parametrize("validation", [3, 16, 17, 85, 160])
def test_an_evaluation_hides_the_same_tokens_in_every_run(tmp_path: Path, validation: int) -> None:
    it, network = task(tmp_path, validation=validation), model()
    sums = it.evaluate(network, "validation")
    assert sums == task(tmp_path, seed=5).evaluate(network, "validation") == it.evaluate(network, "validation", divided=10_000)
    tokens = 1 + validation + -(-validation // 20)
    assert sums["tokens"] == tokens // 16 * 2 + (max(1, round(0.15 * (tokens % 16))) if tokens % 16 else 0)
    assert network.training


def test_workers_add_up_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "total", lambda self, numbers: list(numbers))
    it, network = task(tmp_path), model()
    shares = [it.evaluate(network, "validation", workers=Workers(rank, 2), divided=100_000) for rank in range(2)]
    whole = it.evaluate(network, "validation")
    assert sum(share["nll"] for share in shares) == pytest.approx(whole["nll"])
    assert sum(share["correct"] for share in shares) == whole["correct"]


def test_in_an_evaluation_a_mask_stands_for_all_that_is_predicted(tmp_path: Path) -> None:
    it = task(tmp_path)
    assert it.metrics(it.evaluate(Oracle(lambda ids: ids), "validation"))["accuracy"] == 0.0


def test_metrics_are_means_and_pseudo_perplexity_is_the_exponential_of_the_loss(tmp_path: Path) -> None:
    it = task(tmp_path)
    assert it.metrics({"nll": 40.0, "tokens": 20, "correct": 5.0}) == {"loss": 2.0, "accuracy": 0.25, "pseudo_perplexity": math.exp(2)}
    assert it.metrics({"nll": 1e9, "tokens": 1, "correct": 0.0})["pseudo_perplexity"] == math.inf
    assert it.metrics({"nll": 0.0, "tokens": 0, "correct": 0.0}) == {}
    assert set(Options.metrics) == set(it.metrics({"nll": 1.0, "tokens": 1, "correct": 0.0}))


def test_the_baseline_is_the_entropy_of_the_tokens_that_are_predicted(tmp_path: Path) -> None:
    it = task(tmp_path, validation=300)
    (baseline,) = it.baselines("validation")
    # Letters in turn: each is as frequent as the others, and ends are not predicted.
    assert baseline.metrics["loss"] == pytest.approx(math.log(8), abs=0.02)
    assert baseline.metrics["pseudo_perplexity"] == pytest.approx(math.exp(baseline.metrics["loss"]))


def test_examples_show_what_was_hidden_and_what_the_model_takes_it_for(tmp_path: Path) -> None:
    it = task(tmp_path)
    found = it.examples(Oracle(lambda ids: torch.full_like(ids, 2)), count=2)
    assert len(found) == 2
    for example in found:
        assert example["input"].count(MASK) == len(example["expected"].split(" · ")) == 2
        assert example["predicted"] == "c · c"
        words = iter(example["expected"].split(" · "))
        restored = "".join(part + next(words, "") for part in example["input"].split(MASK))
        assert restored.replace("<|endoftext|>", "") in WORDS * 20
    assert it.examples(model(), count=0) == []


@pytest.mark.slow
def test_a_model_learns_to_fill_in_what_follows_a_rule(tmp_path: Path) -> None:
    it, network = task(tmp_path, validation=600), model()
    muon = Muon(kind="muon")
    optimizer = load_factory(muon.factory)(muon, model=network, compute_dtype=torch.float32)
    for step in range(200):
        batch = it.train_batch(step * 32, count=32)
        (it.loss_sum(network, batch) / batch.weight).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    assert it.metrics(it.evaluate(network, "validation"))["accuracy"] > 0.9  # 1 in 8 by chance


def test_shares_that_are_more_than_the_whole_are_an_error() -> None:
    problems = list(Options(kind="masked_lm", mask_share=0.95, random_share=0.1).problems(None, ("task",)))  # type: ignore[arg-type]
    assert [problem.code for problem in problems] == ["shares-exceed-one"]
    assert "0.05" in str(problems[0].hint)
