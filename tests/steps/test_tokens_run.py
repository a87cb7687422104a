"""The tokens and tokenizer steps: every byte and word of the documents is counted once, and what cannot be encoded is named."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from data_chain import Chain, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.events import Progress
from specrun.sources import document_file
from specrun.sources.document_file import read_documents
from specrun.steps.tokens import run
from specrun.tokenizers.contract import load_tokenizer
from specrun.training.token_file import open_tokens, splits

GIVEN = {"kind": "given"}
TOKENIZERS = [
    {"kind": kind, "end_of_text": end} | ({"vocab_size": 280} if kind == "bpe" else {})
    for kind, end in itertools.product(("char", "byte", "bpe"), (True, False))
]


def text_source(folder: Path, **of_splits: str) -> dict[str, Any]:
    for name, text in of_splits.items():
        (folder / f"{name}.txt").write_bytes(text.encode())
    return {"kind": "text", "path": {name: f"{name}.txt" for name in of_splits}, "documents": "lines"}


def tokenizer_id(tokenizer: dict[str, Any]) -> str:
    return f"{tokenizer['kind']}-{'end' if tokenizer['end_of_text'] else 'no end'}"


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=tokenizer_id)
@given(st.lists(st.text("ab c\té日", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=6))
@settings(max_examples=15)
def test_tokens_hold_the_documents_and_count_what_is_predicted(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: dict[str, Any], documents: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    documents = [*documents, "b c"]  # a stream of one token predicts nothing
    text = "\n".join(documents)
    chain = Chain(spec_of(text_source(folder, train=text, validation=text), split=GIVEN, tokenizer=tokenizer), folder)
    values = chain.all().values
    opened = open_tokens(folder / "tokens", "train")
    vocabulary = load_tokenizer(folder / "tokenizer")
    stored = list(read_documents(folder / "data" / "train.parquet"))
    assert "".join(stored) == text
    for number, document in enumerate(stored):
        ids = opened.ids[opened.offsets[number] : opened.offsets[number + 1]].tolist()
        assert vocabulary.decode(ids) == document
    info = opened.info
    assert (info.bytes, info.words, info.documents) == (len(text.encode()), len(text.split()), len(documents))
    first = b"" if tokenizer["end_of_text"] else _first_token(vocabulary, tokenizer["kind"], opened.ids[0], text)
    assert text.encode().startswith(first)
    assert info.predicted_bytes == info.bytes - len(first)
    assert info.predicted_words == len(text.encode()[len(first) :].decode("utf-8", "ignore").split())
    rests = []
    for number, document in enumerate(stored):
        begin = opened.ids[opened.offsets[number]]
        given_bytes = b"" if tokenizer["end_of_text"] else _first_token(vocabulary, tokenizer["kind"], begin, document)
        rests.append(document.encode()[len(given_bytes) :])
    assert info.document_predicted_bytes == sum(map(len, rests))
    assert info.document_predicted_words == sum(len(rest.decode("utf-8", "ignore").split()) for rest in rests)
    assert values["splits"]["train"]["sha256"] == hashlib.sha256(opened.ids.tobytes()).hexdigest()
    assert splits(folder / "tokens") == ("train", "validation")


def _first_token(vocabulary: Any, kind: str, first: int, text: str) -> bytes:
    return text[0].encode() if kind == "char" else text.encode()[: len(vocabulary.id_to_token(int(first)))]


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_a_long_document_in_small_pieces_gives_the_tokens_of_the_whole(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "the cat's hat, it's 1,234 years old\n\n  and so on. " * 40
    found = []
    for size in (1 << 20, 64):
        monkeypatch.setattr(document_file, "PIECE_CHARACTERS", size)
        monkeypatch.setattr(document_file.pieces, "__kwdefaults__", {"size": size})
        monkeypatch.setattr(document_file, "_FLUSH_CHARACTERS", 5 * size)
        monkeypatch.setattr(run, "_BATCH_CHARACTERS", 3 * size)
        folder = tmp_path / str(size)
        folder.mkdir()
        source = text_source(folder, train=text, validation=text) | {"documents": "files"}
        values = Chain(spec_of(source, split=GIVEN, tokenizer={"kind": kind}), folder).all().values
        found.append(values)
    assert found[0] == found[1]
    assert found[0]["splits"]["train"]["documents"] == 1


def test_the_tokenizer_sees_the_train_split_alone(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="abc\n", validation="abcxyz\n")
    chain = Chain(spec_of(source, split=GIVEN, tokenizer={"kind": "char", "unknown": "token"}), tmp_path)
    assert chain.all().values["vocab_size"] == len("\nabc") + 1
    assert open_tokens(tmp_path / "tokens", "validation").ids.tolist() == [1, 2, 3, 4, 4, 4, 0]


@pytest.mark.parametrize("piece", [1 << 18, 4])
def test_a_character_that_train_lacks_is_named_with_split_document_and_place(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_file, "PIECE_CHARACTERS", piece)
    monkeypatch.setattr(document_file.pieces, "__kwdefaults__", {"size": piece})
    source = text_source(tmp_path, train="a b c d\n", validation="a b\na b c d a é\n")
    chain = Chain(spec_of(source, split=GIVEN, tokenizer={"kind": "char"}), tmp_path)
    with pytest.raises(DataError, match=r"split validation, document 2, character 10: 'é' \(U\+00E9\)") as caught:
        chain.all()
    assert caught.value.code == "unknown-character"
    assert "unknown: token" in str(caught.value.hint)


def test_in_a_smoke_run_a_cut_train_split_lacks_no_character(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="abc\n", validation="xyz\n")
    chain = Chain(spec_of(source, split=GIVEN, tokenizer={"kind": "char"}), tmp_path, smoke=True)
    assert chain.all().values["vocab_size"] == 7


def test_a_vocabulary_that_the_text_cannot_fill_is_warned_about(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="abc abc\n", validation="abc\n")
    chain = Chain(spec_of(source, split=GIVEN, tokenizer={"kind": "bpe", "vocab_size": 5000}), tmp_path)
    output = chain.run("data", "tokenizer")
    assert chain.alerts == ["smaller-vocabulary"]
    assert output.values["vocab_size"] < 300
    assert f"set data.tokenizer.vocab_size: {output.values['vocab_size']}" in output.warnings[0]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=tokenizer_id)
def test_the_tokenizer_step_says_what_it_made(tmp_path: Path, tokenizer: dict[str, Any]) -> None:
    source = text_source(tmp_path, train="abc " * 50, validation="abc\n")
    chain = Chain(spec_of(source, split=GIVEN, tokenizer=tokenizer), tmp_path)
    values = chain.run("data", "tokenizer").values
    made = load_tokenizer(tmp_path / "tokenizer")
    assert values["kind"] == tokenizer["kind"]
    assert values["vocab_size"] == made.get_vocab_size()
    assert values["end_of_text_id"] == made.token_to_id("<|endoftext|>")
    assert (values["end_of_text_id"] is not None) == tokenizer["end_of_text"]
    assert values["sha256"] == hashlib.sha256((tmp_path / "tokenizer" / "tokenizer.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(("train", "validation", "short"), [("ab", "b", "validation"), ("a", "aa", "train")])
def test_a_split_of_one_token_is_an_error_that_names_it_and_how_to_fill_it(tmp_path: Path, train: str, validation: str, short: str) -> None:
    source = text_source(tmp_path, train=train, validation=validation)
    with pytest.raises(DataError, match=f"the {short} split has 1 token; predicting the next one needs 2") as caught:
        Chain(spec_of(source, split=GIVEN, tokenizer={"kind": "char"}), tmp_path).all()
    assert caught.value.code == "split-too-short"
    assert f"data.split.{short}" in str(caught.value.hint)


def test_one_token_beside_the_end_of_text_is_enough(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="ab", validation="b")
    tokenizer = {"kind": "char", "end_of_text": True}
    assert Chain(spec_of(source, split=GIVEN, tokenizer=tokenizer), tmp_path).all().values["splits"]["validation"]["count"] == 3


def test_progress_ends_at_the_number_of_documents(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="a\n" * 500, validation="a\n" * 20)
    chain = Chain(spec_of(source, split=GIVEN), tmp_path)
    chain.all()
    progress = [event for event in chain.events if isinstance(event, Progress) and event.producer == "tokens"]
    assert [(event.unit, event.done, event.total) for event in progress] == [
        ("train document", 500, 500), ("validation document", 20, 20),
    ]  # fmt: skip


def test_tinyshakespeare_has_65_characters_and_its_last_tenth_validates(tmp_path: Path, shared_data: Path) -> None:
    text = (shared_data / "text" / "tinyshakespeare.txt").read_text()
    source = {"kind": "text", "path": str(shared_data / "text" / "tinyshakespeare.txt")}
    values = Chain(spec_of(source, tokenizer={"kind": "char"}), tmp_path).all().values
    assert values["vocab_size"] == 65
    border = int(0.9 * len(text))
    assert values["splits"]["train"]["count"] == border
    rows = {character: row for row, character in enumerate(sorted(set(text)))}
    assert open_tokens(tmp_path / "tokens", "validation").ids.tolist() == [rows[character] for character in text[border:]]
