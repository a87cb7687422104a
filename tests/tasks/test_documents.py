"""The causal_lm task on documents: the loss and the sums of a plain loop over them, whatever they are padded to and divided by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import DataError
from specrun.models.gpt.build import GPT
from specrun.models.gpt.build import build as build_gpt
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.tasks.causal_lm.build import CausalLM, build
from specrun.tasks.causal_lm.options import Options
from specrun.training.documents import Reading
from specrun.training.token_file import write_tokens
from tests.tasks.openings import opening

LENGTH = 10
END = 19


def texts(split: str) -> list[list[int]]:
    """Documents of 0 to 34 tokens."""
    rng = np.random.default_rng(len(split))
    return [rng.integers(0, END, size).tolist() for size in rng.integers(0, 35, 40 if split == "train" else 25)]


def task(root: Path, *, end_of_text: bool = True, reading: Reading | None = None, **options: Any) -> CausalLM:
    tokens, tokenizer = root / "tokens", root / "tokenizer"
    if not tokens.exists():
        tokens.mkdir(parents=True)
        tokenizer.mkdir()
        more: dict[str, Any] = {"end_of_text_id": END} if end_of_text else {"unpredicted": lambda _: (2, 0)}
        for split in ("train", "validation"):
            write_tokens(tokens, split, [(ids, 2 * len(ids), len(ids)) for ids in texts(split)], vocab_size=END + 1, **more)
        Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tokenizer / "tokenizer.json"))
    folders = {"tokens": tokens, "tokenizer": tokenizer}
    device = Device("cpu", torch.device("cpu"), torch.float32)
    reading = reading or Reading(batch_size=8, group_by_length=True)
    asked = Options(kind="causal_lm", **options)
    return build(asked, opening(asked, folders, device=device, sequence_length=LENGTH, reading=reading))


def model(architecture: str = "gpt2") -> GPT:
    torch.manual_seed(0)
    options = Gpt(kind="gpt", num_layers=2, width=16, num_heads=2, architecture=architecture)
    return build_gpt(options, vocab_size=END + 1, sequence_length=LENGTH)


def pieces_of(split: str, *, end_of_text: bool) -> Iterator[list[int]]:
    """By hand: the documents of a split, cut."""
    for ids in texts(split):
        whole = [END, *ids, END] if end_of_text else ids
        yield from (whole[start : start + LENGTH + 1] for start in range(0, len(whole) - 1, LENGTH))


def loop_sums(network: GPT, rows: list[list[int]], **more: Any) -> tuple[float, int]:
    """Loss summed and tokens, a document at a time."""
    nll = sum(F.cross_entropy(network(torch.tensor([ids[:-1]]))[0], torch.tensor(ids[1:]), reduction="sum", **more).item() for ids in rows)
    return nll, sum(len(ids) - 1 for ids in rows)


def gradient(it: CausalLM, parts: list[Any], weight: int) -> tuple[float, list[torch.Tensor]]:
    """The mean loss of a batch by its parts, and its gradient."""
    network, total = model(), 0.0
    for part in parts:
        loss = it.loss_sum(network, part) / weight
        loss.backward()
        total += loss.item()
    return total, [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_a_loop_over_the_documents(tmp_path: Path, architecture: str, smoothing: float) -> None:
    it, network = task(tmp_path, label_smoothing=smoothing), model(architecture)
    batch = it.train_batch(0, count=it.samples_per_epoch)
    wanted, tokens = loop_sums(network, list(pieces_of("train", end_of_text=True)), label_smoothing=smoothing)
    assert batch.weight == tokens == it.samples_per_epoch * it.sample_tokens
    assert it.loss_sum(network, batch).item() / tokens == pytest.approx(wanted / tokens, abs=1e-5)
    parts = sum(it.loss_sum(network, part).item() for part in batch.split(3))
    assert parts / tokens == pytest.approx(wanted / tokens, abs=1e-5)


@pytest.mark.parametrize("pad_to_few_shapes", [False, True])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_neither_the_budget_nor_the_workers_change_the_gradient(tmp_path: Path, size: int, pad_to_few_shapes: bool) -> None:
    it = task(tmp_path, reading=Reading(batch_size=24, pad_to_few_shapes=pad_to_few_shapes))
    batch = it.train_batch(0, count=24)
    loss, wanted = gradient(it, [batch], batch.weight)
    for parts in (
        list(batch.split(size)),
        [part for rank in range(3) for part in batch.share(rank, size=3).split(size)],
    ):
        again, found = gradient(it, parts, batch.weight)
        assert again == pytest.approx(loss, abs=1e-6)
        assert all(torch.allclose(one, other, atol=1e-6, rtol=0) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("end_of_text", [True, False])
@pytest.mark.parametrize("at_once", [1, 40, 4096])
def test_an_evaluation_has_the_sums_of_a_loop_over_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end_of_text: bool, at_once: int
) -> None:
    it, network = task(tmp_path, end_of_text=end_of_text), model()
    monkeypatch.setattr("specrun.tasks.causal_lm.build.EVALUATION_TOKENS", {"cpu": at_once})
    sums = it.evaluate(network, "validation")
    nll, tokens = loop_sums(network, list(pieces_of("validation", end_of_text=end_of_text)))
    lost = 0 if end_of_text else sum(bool(ids) for ids in texts("validation"))
    assert sums["tokens"] == tokens
    assert sums["nll"] == pytest.approx(nll, rel=1e-6)
    assert sums["bytes"] == 2 * (sum(map(len, texts("validation"))) - lost)
    assert sums["words"] == sum(map(len, texts("validation")))
    assert it._device.syncs == 1
    assert network.training


def test_a_limited_evaluation_takes_the_first_pieces(tmp_path: Path) -> None:
    it, network = task(tmp_path), model()
    rows = list(pieces_of("validation", end_of_text=True))
    nll, tokens = loop_sums(network, rows[:7])
    sums = it.evaluate(network, "validation", max_samples=7)
    assert (sums["tokens"], sums["nll"]) == (tokens, pytest.approx(nll, rel=1e-6))
    assert sums["bytes"] == pytest.approx(2 * sum(map(len, texts("validation"))) * tokens / loop_sums(network, rows)[1])


def test_workers_share_an_evaluation_between_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it, network = task(tmp_path), model()
    monkeypatch.setattr("specrun.tasks.causal_lm.build.EVALUATION_TOKENS", {"cpu": 40})
    monkeypatch.setattr(Workers, "total", lambda _, numbers: list(numbers))
    whole = it.evaluate(network, "validation")
    shares = [it.evaluate(network, "validation", workers=Workers(rank, 3)) for rank in range(3)]
    assert sum(share["nll"] for share in shares) == pytest.approx(whole["nll"], rel=1e-9)
    assert sum(share["correct"] for share in shares) == whole["correct"]


def test_documents_without_a_token_to_predict_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokenizer").mkdir()
    write_tokens(tmp_path / "tokens", "train", [([1], 1, 1)] * 5, vocab_size=3, unpredicted=lambda _: (1, 1))
    with pytest.raises(DataError, match="no document of the train split has two tokens") as caught:
        task(tmp_path)
    assert caught.value.code == "documents-too-short"


def test_tokens_of_an_older_version_are_told_of_where_their_text_cannot_be_counted(tmp_path: Path) -> None:
    it = task(tmp_path, end_of_text=False)
    sidecar = tmp_path / "tokens" / "validation.json"
    lines = [line for line in sidecar.read_text().splitlines() if "document_predicted" not in line]
    sidecar.write_text("\n".join(lines).replace('"vocab_size": 20,', '"vocab_size": 20'))
    with pytest.raises(DataError) as caught:
        it.evaluate(model(), "validation")
    assert caught.value.code == "outdated-tokens"
