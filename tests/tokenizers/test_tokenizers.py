"""Laws of every tokenizer: text survives, the Hub's file gives the same ids, and nothing in a text is taken for a special token."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

from specrun.errors import DataError
from specrun.events import Event, Progress
from specrun.sources.document_file import pieces
from specrun.spec.parts import options_class
from specrun.spec.section import Part
from specrun.tokenizers.byte.build import byte_characters
from specrun.tokenizers.contract import (
    END_OF_TEXT,
    UNKNOWN,
    UnknownCharacter,
    encode_prompt,
    load_tokenizer,
    make_encoder,
    save_tokenizer,
    train_tokenizer,
)

CORPUS = ["the cat sat on the mat, it's a hat\n\n  the end", "über die Brücke — 日本語 🎉\r\n", "def f(x):\n\treturn x  # 12345\n"] * 4
valid = st.characters(exclude_categories=["Cs"])
anything = st.text(valid, max_size=80) | st.text("ab '\n\t.,1é日", max_size=80)
ALPHABET = "".join(sorted(set("".join(CORPUS))))


def options(kind: str, **values: Any) -> Part:
    return options_class("tokenizer", kind)(kind=kind, **values)


def trained(kind: str, corpus: Sequence[str] = CORPUS, **values: Any) -> tuple[Tokenizer, Part]:
    part = options(kind, **values)
    return train_tokenizer(part, corpus, lambda _: None), part


BPE, BPE_OPTIONS = trained("bpe", vocab_size=300)
BYTE, BYTE_OPTIONS = trained("byte")
CHAR, CHAR_OPTIONS = trained("char")
EACH = [(BPE, BPE_OPTIONS), (BYTE, BYTE_OPTIONS), (CHAR, CHAR_OPTIONS)]


def ids_of(tokenizer: Tokenizer, part: Part, text: str) -> list[int]:
    ids: list[int] = make_encoder(tokenizer, part).encode([text])[0].tolist()
    return ids


@pytest.mark.parametrize(("tokenizer", "part"), [(BPE, BPE_OPTIONS), (BYTE, BYTE_OPTIONS)])
@given(anything)
def test_decoding_what_was_encoded_restores_any_text(tokenizer: Tokenizer, part: Part, text: str) -> None:
    assert tokenizer.decode(ids_of(tokenizer, part, text)) == text


@given(st.text(ALPHABET, max_size=80))
def test_decoding_what_was_encoded_restores_any_text_over_the_alphabet_of_characters(text: str) -> None:
    ids = ids_of(CHAR, CHAR_OPTIONS, text)
    assert CHAR.decode(ids) == text
    assert ids == [ALPHABET.index(character) for character in text]


@pytest.mark.parametrize(("tokenizer", "part"), EACH)
@given(st.lists(st.text(ALPHABET, max_size=60), max_size=4))
def test_an_encoder_gives_the_ids_of_the_saved_tokenizer(tokenizer: Tokenizer, part: Part, texts: list[str]) -> None:
    saved = Tokenizer.from_str(tokenizer.to_str())
    assert [ids.tolist() for ids in make_encoder(tokenizer, part).encode(texts)] == [saved.encode(text).ids for text in texts]


@given(st.text(valid, max_size=200) | st.text("ab '\n\t.,1é日\u2028s", max_size=200), st.integers(1, 40))
def test_pieces_of_a_text_encode_to_what_the_whole_does(text: str, size: int) -> None:
    whole = ids_of(BPE, BPE_OPTIONS, text)
    assert [token for piece in pieces(text, size=size) for token in ids_of(BPE, BPE_OPTIONS, piece)] == whole


@pytest.mark.parametrize(("kind", "corpus"), [("bpe", CORPUS), ("byte", CORPUS), ("char", [*CORPUS, END_OF_TEXT])])
def test_text_that_reads_like_the_special_token_is_text(kind: str, corpus: list[str]) -> None:
    tokenizer, part = trained(kind, corpus, end_of_text=True)
    end = tokenizer.token_to_id(END_OF_TEXT)
    ids = ids_of(tokenizer, part, f"a{END_OF_TEXT}b")
    assert end not in ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == f"a{END_OF_TEXT}b"


@pytest.mark.parametrize("kind", ["bpe", "byte", "char"])
def test_end_of_text_is_one_row_more_or_none(kind: str) -> None:
    size = {"vocab_size": 300} if kind == "bpe" else {}
    with_it, _ = trained(kind, end_of_text=True, **size)
    without, _ = trained(kind, end_of_text=False, **size)
    assert without.token_to_id(END_OF_TEXT) is None
    assert with_it.token_to_id(END_OF_TEXT) is not None
    assert with_it.get_vocab_size() - without.get_vocab_size() == (0 if kind == "bpe" else 1)


@pytest.mark.parametrize("end_of_text", [False, True])
def test_the_size_that_byte_options_tell_is_the_tokenizers_whatever_the_text(end_of_text: bool) -> None:
    tokenizer, part = trained("byte", ["a"], end_of_text=end_of_text)
    told: Any = part
    assert told.exact_vocab_size == tokenizer.get_vocab_size(with_added_tokens=True)


def test_a_byte_is_its_own_row_and_end_of_text_row_256() -> None:
    assert ids_of(BYTE, BYTE_OPTIONS, "".join(map(chr, range(128)))) == list(range(128))
    assert BYTE.token_to_id(END_OF_TEXT) == 256
    assert sorted(byte_characters()) == sorted(pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize(("tokenizer", "part"), EACH)
@given(st.text(ALPHABET, min_size=1, max_size=20))
def test_the_first_token_stands_for_the_bytes_it_says(tokenizer: Tokenizer, part: Part, text: str) -> None:
    first = ids_of(tokenizer, part, text)[0]
    size = make_encoder(tokenizer, part).first_token_bytes(first, text)
    restored = tokenizer.decode([first]).encode()
    assert text.encode()[:size] == restored or "�" in restored.decode()
    assert 1 <= size <= len(text.encode())


def test_characters_are_sorted_by_code_point() -> None:
    tokenizer, _ = trained("char", ["zé日a", "A🎉"])
    assert [tokenizer.id_to_token(row) for row in range(6)] == ["A", "a", "z", "é", "日", "🎉"]


def test_a_character_without_a_token_is_named_with_its_place() -> None:
    tokenizer, part = trained("char", ["abc"])
    with pytest.raises(UnknownCharacter, match=r"'é' \(U\+00E9\)") as caught:
        make_encoder(tokenizer, part).encode(["abc", "ab\nécé"[:2] + "écé"])
    assert (caught.value.text, caught.value.offset) == (1, 2)


def test_an_unknown_character_becomes_its_token_where_that_is_asked_for() -> None:
    tokenizer, part = trained("char", ["abc"], unknown="token", end_of_text=True)
    assert tokenizer.token_to_id(UNKNOWN) == 3
    assert tokenizer.token_to_id(END_OF_TEXT) == 4
    assert ids_of(tokenizer, part, "aéb") == [0, 3, 1] == tokenizer.encode("aéb").ids


def test_a_prompt_with_an_unknown_character_is_an_error_and_never_shortened() -> None:
    tokenizer, _ = trained("char", ["abc"])
    assert encode_prompt(tokenizer, "cab") == [2, 0, 1]
    with pytest.raises(DataError, match=r"no token for 'é' \(U\+00E9\)") as caught:
        encode_prompt(tokenizer, "aéb")
    assert caught.value.code == "unknown-character"


def test_the_vocabulary_of_bpe_is_as_large_as_asked_or_smaller_where_pairs_run_out() -> None:
    assert trained("bpe", vocab_size=300)[0].get_vocab_size() == 300
    assert trained("bpe", ["ab"], vocab_size=300)[0].get_vocab_size() == 257
    assert trained("bpe", ["ab ab ab"], vocab_size=300, min_frequency=4)[0].get_vocab_size() == 257


def test_training_says_how_far_it_is() -> None:
    events: list[Event] = []
    train_tokenizer(options("bpe", vocab_size=260), (f"text {n}" for n in range(5000)), events.append)
    assert [event.done for event in events if isinstance(event, Progress)] == [2000, 4000]


def test_the_same_documents_give_the_same_merges_in_every_process() -> None:
    code = (
        "import sys, hashlib; from specrun.tokenizers.bpe.options import Options; from specrun.tokenizers.contract import train_tokenizer\n"
        "texts = [' '.join(f'w{(n * n) % 97}x{n % 13}' for n in range(k, k + 50)) for k in range(200)]\n"
        "tokenizer = train_tokenizer(Options(kind='bpe', vocab_size=600), texts, lambda _: None)\n"
        "print(hashlib.sha256(tokenizer.to_str().encode()).hexdigest())"
    )
    run = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(3)]
    assert len({process.stdout for process in run}) == 1
    assert all(process.stderr == "" for process in run)


@pytest.mark.parametrize("kind", ["bpe", "byte", "char"])
def test_saving_is_the_hubs_form_and_the_same_bytes_each_time(tmp_path: Path, kind: str) -> None:
    tokenizer, part = trained(kind, end_of_text=True)
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        digests.add(save_tokenizer(tokenizer, tmp_path / name))
    assert len(digests) == 1
    assert load_tokenizer(tmp_path / "one").encode("the cat").ids == ids_of(tokenizer, part, "the cat")
    config = json.loads((tmp_path / "one" / "tokenizer_config.json").read_text())
    assert config["eos_token"] == END_OF_TEXT


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": "1.0"}'])
def test_a_tokenizer_that_is_missing_or_damaged_is_an_error_with_a_remedy(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == ("missing-tokenizer" if content is None else "damaged-tokenizer")
    assert "apply" in str(caught.value.hint)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bpe", "byte", "char"])
def test_transformers_loads_the_folder_and_gives_the_same_ids(tmp_path: Path, kind: str) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer, part = trained(kind, end_of_text=True)
    save_tokenizer(tokenizer, tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for text in CORPUS:
        assert theirs(text)["input_ids"] == ids_of(tokenizer, part, text)
        assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs.eos_token_id == tokenizer.token_to_id(END_OF_TEXT)
