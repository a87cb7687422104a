"""The seq2seq task: what is prepared of pairs of texts, batches, evaluation, scores by sacrebleu, translations to look at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from specrun.errors import DataError
from specrun.models.encoder_decoder.build import build as build_model
from specrun.models.encoder_decoder.options import Options as Model
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.runtime.factory import load_factory
from specrun.spec.document import Spec
from specrun.spec.parts import options_class
from specrun.spec.sections.data import Columns
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.seq2seq.build import Seq2Seq, build
from specrun.tasks.seq2seq.options import Options
from specrun.tasks.seq2seq.prepare import prepare, read_texts
from specrun.tasks.seq2seq.scores import METRICS, scores, signatures, text_sums
from specrun.tokenizers.contract import save_tokenizer, train_tokenizer
from specrun.training.documents import IGNORED
from specrun.training.optimizers.muon.options import Options as Muon
from specrun.training.pairs import PairBatch
from tests.tasks.openings import opening

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
LENGTH = 12
Pair = tuple[str | None, str | None]


def pairs(count: int, *, seed: int = 0) -> list[Pair]:
    """Words of few letters, and the same backwards."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcd"), size=rng.integers(2, 8))) for _ in range(count)]
    return [(word, word[::-1]) for word in words]


def prepared(
    root: Path, rows: Mapping[str, Sequence[Pair]] | None = None, *, length: int = LENGTH, tokenizer: Mapping[str, Any] | None = None,
    smoke: bool = False, **options: Any,
) -> tuple[Spec, Prepared, dict[str, Path]]:  # fmt: skip
    """The examples step on rows of its own."""
    folders = {name: root / name for name in ("data", "tokenizer", "examples")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    rows = rows if rows is not None else {"train": pairs(50), "validation": pairs(9, seed=1)}
    for split, of_split in rows.items():
        table = {"en": [row[0] for row in of_split], "de": [row[1] for row in of_split], "__row__": list(range(1, len(of_split) + 1))}
        pq.write_table(pa.table(table, schema=pa.schema([("en", pa.string()), ("de", pa.string()), ("__row__", pa.int64())])),
                       folders["data"] / f"{split}.parquet")  # fmt: skip
    kind = tokenizer or {"kind": "char"}
    part = options_class("tokenizer", kind["kind"])(**kind)
    texts = [text for row in rows["train"] for text in row if text]
    save_tokenizer(train_tokenizer(part, texts, lambda _: None, special=Options.special_tokens), folders["tokenizer"])
    asked = Options(kind="seq2seq", **options)
    spec = opening(asked, {}, device=DEVICE, sequence_length=length).spec
    columns = Columns(source="en", target="de")
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"columns": columns, "tokenizer": part})})
    request = PrepareRequest(spec, folders, {"data": {"splits": dict.fromkeys(rows)}}, folders["examples"], lambda _: None, smoke=smoke)
    return spec, prepare(asked, request), folders


def task(
    root: Path, rows: Mapping[str, Sequence[Pair]] | None = None, *, final: bool = False, few_shapes: bool = False, group: bool = False,
    batch_size: int = 8, seed: int = 3, **options: Any,
) -> Seq2Seq:  # fmt: skip
    spec, values, folders = prepared(root, rows, **options)
    data = spec.data.model_copy(update={"group_by_length": group})
    schedule = spec.schedule.model_copy(update={"batch_size": batch_size})
    spec = spec.model_copy(update={"data": data, "schedule": schedule})
    made = opening(spec.task, folders, device=DEVICE, sequence_length=LENGTH, seed=seed)
    facts = {"examples": values.values}
    return build(spec.task, replace(made, spec=spec, facts=facts, final=final, pad_to_few_shapes=few_shapes))  # type: ignore[arg-type]


def model(vocab_size: int = 5) -> nn.Module:
    torch.manual_seed(0)
    asked = Model(kind="encoder_decoder", num_encoder_layers=1, num_decoder_layers=1, width=16, num_heads=2, dropout=0.0)
    return build_model(asked, vocab_size=vocab_size, sequence_length=LENGTH)


class Scripted(nn.Module):
    """Writes what a function makes of the source's tokens, and an end."""

    max_positions = 64

    def __init__(self, write: Callable[[list[int]], list[int]], *, vocab_size: int, end: int) -> None:
        super().__init__()
        self.write, self.vocab_size, self.end = write, vocab_size, end

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        return torch.eye(self.vocab_size)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        return ids.float()[:, :, None]

    def decode(self, ids: Tensor, memory: Tensor, lengths: Tensor, cache: Any = None) -> Tensor:
        start = 0 if cache is None else cache.length
        if cache is not None:
            cache.length += ids.shape[1]
        rows = [
            [*self.write(row[: length - 1].int().tolist()), *[self.end] * 64] for row, length in zip(memory[:, :, 0], lengths, strict=True)
        ]
        said = torch.tensor([row[start : start + ids.shape[1]] for row in rows])
        return 50.0 * torch.nn.functional.one_hot(said, self.vocab_size).float()

    def new_cache(self) -> Any:
        class Counter:
            length = 0

            def reorder(self, rows: Tensor) -> None: ...

        return Counter()


def test_a_pair_is_a_source_with_its_end_and_a_target_between_two(tmp_path: Path) -> None:
    it = task(tmp_path, {"train": [("ab", "dca")], "validation": [("a", "b")]}, batch_size=1)
    batch = it.train_batch(0, count=2)
    assert batch.source.tolist() == [[0, 1, 4]] * 2
    assert batch.target.tolist() == [[4, 3, 2, 0, 4]] * 2
    assert (batch.weight, batch.positions) == (8, 2 * 3 + 2 * 4)
    assert batch.inputs.tolist() == [[4, 3, 2, 0]] * 2


def test_rows_without_a_source_or_a_target_are_left_out_and_named(tmp_path: Path) -> None:
    rows: list[Pair] = [("ab", "ba"), (None, "ab"), ("  ", "ab"), ("cd", ""), ("cd", "dc")]
    _, found, folders = prepared(tmp_path, {"train": rows, "validation": rows[:2]})
    train = found.values["splits"]["train"]
    assert (train["samples"], train["empty"], train["predictions"], train["positions"]) == (2, 3, 6, 12)
    assert dict(found.warnings) == {"empty-texts": "split validation: row 2 has no source or no target, and is left out"}
    assert found.warnings[0] == ("empty-texts", "split train: 3 rows (2, 3, 4) have no source or no target, and are left out")
    assert read_texts(folders["examples"], "validation") == (["ab"], ["ba"])
    assert found.values["sizes"] == {"vocab_size": 6, "sequence_length": LENGTH}


def test_texts_that_are_too_long_are_cut_and_keep_their_end(tmp_path: Path) -> None:
    rows: list[Pair] = [("ab" * 10, "dc"), ("ab", "dc")]
    _, found, _ = prepared(tmp_path, {"train": rows, "validation": rows[1:]}, length=5)
    ((code, told),) = found.warnings
    assert code == "texts-cut"
    assert "1 of 2 pairs (50.0%)" in told
    assert "data.sequence_length: 21 keeps all" in told
    it = task(tmp_path / "again", {"train": rows[:1], "validation": rows[1:]}, length=5, batch_size=1)
    assert it.train_batch(0, count=1).source.tolist() == [[0, 1, 0, 1, 4]]


def test_a_split_without_a_pair_and_a_character_without_a_token_are_errors_that_say_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the validation split has no row with both") as caught:
        prepared(tmp_path / "a", {"train": pairs(3), "validation": [("ab", "")]})
    assert caught.value.code == "empty-split"
    with pytest.raises(DataError, match=r"split validation, row 2, target, character 1: 'z'") as caught:
        prepared(tmp_path / "b", {"train": pairs(9), "validation": [("ab", "ba"), ("ab", "bz")]})
    assert caught.value.code == "unknown-character"


def test_a_smoke_run_prepares_a_few_hundred_rows(tmp_path: Path) -> None:
    _, found, _ = prepared(tmp_path, {"train": pairs(2000), "validation": pairs(100)}, smoke=True)
    assert [split["samples"] for split in found.values["splits"].values()] == [300, 40]


def test_the_loss_is_that_of_each_target_token_after_those_before_it(tmp_path: Path) -> None:
    it, network = task(tmp_path, label_smoothing=0.2), model()
    batch = it.train_batch(0, count=8)
    total = 0.0
    for source, target, length in zip(batch.source, batch.target, batch.source_lengths, strict=True):
        tokens = target[target != IGNORED]
        logits = network(source[None, :length], length[None], tokens[None, :-1])[0]
        total += torch.nn.functional.cross_entropy(logits, tokens[1:], label_smoothing=0.2, reduction="sum").item()
    assert it.loss_sum(network, batch).item() == pytest.approx(total, rel=1e-5)


@settings(max_examples=12)
@given(size=st.integers(1, 9), workers=st.integers(1, 3), few=st.booleans())
def test_parts_of_a_batch_are_the_batch(tmp_path_factory: pytest.TempPathFactory, size: int, workers: int, few: bool) -> None:
    it, network = task(tmp_path_factory.mktemp("parts"), few_shapes=few), model()
    batch = it.train_batch(5, count=6)
    parts: list[PairBatch] = [part for rank in range(workers) for part in batch.share(rank, size=workers).split(size)]
    assert sum(part.weight for part in parts) == batch.weight
    with torch.no_grad():
        assert float(sum(it.loss_sum(network, part) for part in parts)) == pytest.approx(float(it.loss_sum(network, batch)), rel=1e-5)


def test_batches_of_like_lengths_have_less_padding_and_the_same_samples(tmp_path: Path) -> None:
    rows = {"train": pairs(400), "validation": pairs(3)}
    plain, grouped = task(tmp_path / "a", rows), task(tmp_path / "b", rows, group=True)
    positions, seen = [], []
    for it in (plain, grouped):
        batches = [it.train_batch(number * 8, count=8) for number in range(50)]
        positions.append(sum(batch.positions for batch in batches))
        seen.append(sorted(str(row[row != IGNORED].tolist()) for batch in batches for row in batch.target))
    assert seen[0] == seen[1]
    assert positions[1] < 0.85 * positions[0]


def test_an_evaluation_predicts_each_target_token_once_and_in_training_writes_for_a_few(tmp_path: Path) -> None:
    rows = {"train": pairs(50), "validation": pairs(30, seed=1)}
    it, network = task(tmp_path / "a", rows, translated_samples=7, beam_size=2), model()
    sums = it.evaluate(network, "validation")
    assert sums["tokens"] == sum(len(str(target)) + 1 for _, target in rows["validation"])
    assert sums["translated"] == 7
    assert it.evaluate(network, "validation", max_samples=5)["translated"] == 5
    final = task(tmp_path / "b", rows, translated_samples=7, beam_size=2, final=True).evaluate(network, "validation")
    assert final["translated"] == 30
    assert final["nll"] == pytest.approx(sums["nll"])
    assert set(it.metrics(sums)) == set(Options.metrics)
    assert network.training


def test_workers_add_up_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "total", lambda _, numbers: list(numbers))
    it, network = task(tmp_path, final=True, beam_size=2), model()
    whole = it.evaluate(network, "validation")
    shares = [it.evaluate(network, "validation", workers=Workers(rank, 2), divided=500) for rank in range(2)]
    assert sum(share["nll"] for share in shares) == pytest.approx(whole["nll"])
    for name in METRICS:
        assert np.array_equal(np.sum([share[name] for share in shares], axis=0), whole[name])
    assert sum(share["translated"] for share in shares) == whole["translated"] == 9


@pytest.mark.parametrize("beams", [1, 3])
def test_a_model_that_writes_the_targets_has_perfect_scores(tmp_path: Path, beams: int) -> None:
    it = task(tmp_path, beam_size=beams, final=True)
    perfect = Scripted(lambda source: source[::-1], vocab_size=5, end=4)
    found = it.metrics(it.evaluate(perfect, "validation"))
    assert (found["accuracy"], found["chrf"]) == (1.0, 100.0)
    assert found["loss"] == pytest.approx(0.0, abs=1e-6)
    examples = it.examples(perfect, count=3)
    assert len(examples) == 3
    assert all(example["translation"] == example["reference"] == example["source"][::-1] for example in examples)
    copied = it.metrics(it.evaluate(Scripted(lambda source: source, vocab_size=5, end=4), "validation"))
    (baseline,) = it.baselines("validation")
    assert {name: copied[name] for name in METRICS} == pytest.approx(dict(baseline.metrics))


TEXTS = st.lists(st.tuples(*[st.text("ab cé.,", max_size=12)] * 2), min_size=1, max_size=6)


@settings(max_examples=30)
@given(TEXTS, TEXTS, st.sampled_from(["13a", "char", "none"]))
def test_scores_of_added_sums_are_those_of_the_corpus_by_sacrebleu(
    first: list[tuple[str, str]], second: list[tuple[str, str]], tokenizer: str
) -> None:
    parts = [text_sums([pair[0] for pair in part], [pair[1] for pair in part], tokenizer=tokenizer) for part in (first, second, [])]
    sums = {name: [sum(column) for column in zip(*(part[name] for part in parts), strict=True)] for name in METRICS}
    written, references = ([pair[side] for pair in (*first, *second)] for side in (0, 1))
    found = scores(sums, tokenizer=tokenizer)
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [references], tokenize=tokenizer).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(written, [references]).score)


def test_signatures_say_how_scores_were_computed(tmp_path: Path) -> None:
    assert signatures(tokenizer="char")["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:char|smooth:exp|version:")
    assert signatures(tokenizer="13a")["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    it = task(tmp_path, beam_size=1)
    (figure,) = it.figures(model(), "validation", it.evaluate(model(), "validation"))
    assert [row[2] for row in figure["rows"]] == list(it.signatures().values())
    assert "9 texts, each token the likeliest" in figure["caption"]


def test_metrics_beyond_all_numbers_are_infinite_and_those_of_nothing_are_left_out(tmp_path: Path) -> None:
    it = task(tmp_path)
    nothing = text_sums([], [], tokenizer="13a")
    assert it.metrics({"nll": 1e9, "tokens": 1, "correct": 0, "translated": 0, **nothing})["perplexity"] == math.inf
    assert it.metrics({"nll": 0.0, "tokens": 0, "correct": 0, "translated": 0, **nothing}) == {}


def test_settings_without_effect_are_told(tmp_path: Path) -> None:
    spec, _, _ = prepared(tmp_path, tokenizer={"kind": "bpe", "vocab_size": 270, "end_of_text": False}, beam_size=1, length_penalty=2.0)
    problems = list(spec.task.problems(spec, ("task",)))
    assert [(problem.path, problem.code, problem.severity) for problem in problems] == [
        (("data", "tokenizer", "end_of_text"), "option-without-effect", "warning"),
        (("task", "length_penalty"), "option-without-effect", "warning"),
    ]


@pytest.mark.parametrize(("lowercase", "codes"), [({}, ["tokenizer-lowers-targets"]), ({"lowercase": False}, [])])
def test_a_tokenizer_that_takes_the_capitals_of_targets_is_told(
    tmp_path: Path, lowercase: Mapping[str, bool], codes: Sequence[str]
) -> None:
    spec, _, _ = prepared(tmp_path, tokenizer={"kind": "wordpiece", "vocab_size": 100, **lowercase})
    assert [problem.code for problem in spec.task.problems(spec, ("task",))] == list(codes)


@pytest.mark.slow
def test_a_model_learns_to_write_words_backwards(tmp_path: Path) -> None:
    it = task(tmp_path, {"train": pairs(600), "validation": pairs(40, seed=1)}, final=True, beam_size=2, label_smoothing=0.0)
    torch.manual_seed(0)
    asked = Model(kind="encoder_decoder", num_encoder_layers=1, num_decoder_layers=1, width=32, num_heads=2, dropout=0.0)
    network = build_model(asked, vocab_size=5, sequence_length=LENGTH)
    muon = Muon(kind="muon")
    optimizer = load_factory(muon.factory)(muon, model=network, compute_dtype=torch.float32)
    for step in range(200):
        batch = it.train_batch(step * 32, count=32)
        (it.loss_sum(network, batch) / batch.weight).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    found = it.metrics(it.evaluate(network, "validation"))
    assert found["accuracy"] > 0.9
    assert found["chrf"] > 80
