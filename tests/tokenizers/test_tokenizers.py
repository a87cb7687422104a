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
    MASK,
    UNKNOWN,
    UnknownCharacter,
    encode_prompt,
    load_tokenizer,
    make_encoder,
    save_tokenizer,
    special_id,
    special_token,
    train_tokenizer,
    unknown_share,
    vocabulary_size,
)

CORPUS = ["the cat sat on the mat, it's a hat\n\n  the end", "über die Brücke — 日本語 🎉\r\n", "def f(x):\n\treturn x  # 12345\n"] * 4
WORDS = " ".join(a + b for a in ("sit", "mat", "cat", "hat", "brück", "return") for b in ("ting", "s", "ed", "er", "en", "able", "less"))
valid = st.characters(exclude_categories=["Cs"])
anything = st.text(valid, max_size=80) | st.text("ab '\n\t.,1é日", max_size=80)
ALPHABET = "".join(sorted(set("".join(CORPUS))))


def options(kind: str, **values: Any) -> Part:
    return options_class("tokenizer", kind)(kind=kind, **values)


def trained(kind: str, corpus: Sequence[str] = CORPUS, **values: Any) -> tuple[Tokenizer, Part]:
    part = options(kind, **values)
    return train_tokenizer(part, [*corpus, WORDS] if kind == "unigram" else corpus, lambda _: None), part


BPE, BPE_OPTIONS = trained("bpe", vocab_size=300)
BYTE, BYTE_OPTIONS = trained("byte")
CHAR, CHAR_OPTIONS = trained("char")
UNIGRAM, UNIGRAM_OPTIONS = trained("unigram", vocab_size=270)
WORDPIECE, WORDPIECE_OPTIONS = trained("wordpiece", vocab_size=120)
COVERING = [(BPE, BPE_OPTIONS), (BYTE, BYTE_OPTIONS), (CHAR, CHAR_OPTIONS), (UNIGRAM, UNIGRAM_OPTIONS)]
EACH = [*COVERING, (WORDPIECE, WORDPIECE_OPTIONS)]
SIZES: dict[str, dict[str, Any]] = {"bpe": {"vocab_size": 300}, "unigram": {"vocab_size": 270}, "wordpiece": {"vocab_size": 90}}
KINDS = ["bpe", "byte", "char", "unigram", "wordpiece"]


def ids_of(tokenizer: Tokenizer, part: Part, text: str) -> list[int]:
    ids: list[int] = make_encoder(tokenizer, part).encode([text])[0].tolist()
    return ids


@pytest.mark.parametrize(("tokenizer", "part"), [(BPE, BPE_OPTIONS), (BYTE, BYTE_OPTIONS), (UNIGRAM, UNIGRAM_OPTIONS)])
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


@pytest.mark.parametrize(("tokenizer", "part"), [(BPE, BPE_OPTIONS), (UNIGRAM, UNIGRAM_OPTIONS), (WORDPIECE, WORDPIECE_OPTIONS)])
@given(st.text(valid, max_size=200) | st.text("ab '\n\t.,1é日\u2028s", max_size=200), st.integers(1, 40))
def test_pieces_of_a_text_encode_to_what_the_whole_does(tokenizer: Tokenizer, part: Part, text: str, size: int) -> None:
    whole = ids_of(tokenizer, part, text)
    assert [token for piece in pieces(text, size=size) for token in ids_of(tokenizer, part, piece)] == whole


@pytest.mark.parametrize(("kind", "corpus"), [("bpe", CORPUS), ("byte", CORPUS), ("char", [*CORPUS, END_OF_TEXT]), ("unigram", CORPUS)])
def test_text_that_reads_like_the_special_token_is_text(kind: str, corpus: list[str]) -> None:
    tokenizer, part = trained(kind, corpus, end_of_text=True)
    end = tokenizer.token_to_id(END_OF_TEXT)
    ids = ids_of(tokenizer, part, f"a{END_OF_TEXT}b")
    assert end not in ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == f"a{END_OF_TEXT}b"


@pytest.mark.parametrize("kind", KINDS)
def test_end_of_text_is_one_row_more_or_none(kind: str) -> None:
    size = SIZES.get(kind, {})
    with_it, _ = trained(kind, end_of_text=True, **size)
    without, _ = trained(kind, end_of_text=False, **size)
    assert without.token_to_id(END_OF_TEXT) is None
    assert with_it.token_to_id(END_OF_TEXT) is not None
    assert with_it.get_vocab_size() - without.get_vocab_size() == (1 if not size else 0)


@pytest.mark.parametrize("end_of_text", [False, True])
def test_the_size_that_byte_options_tell_is_the_tokenizers_whatever_the_text(end_of_text: bool) -> None:
    tokenizer, part = trained("byte", ["a"], end_of_text=end_of_text)
    told: Any = part
    assert told.exact_vocab_size == tokenizer.get_vocab_size(with_added_tokens=True)


def test_a_byte_is_its_own_row_and_end_of_text_row_256() -> None:
    assert ids_of(BYTE, BYTE_OPTIONS, "".join(map(chr, range(128)))) == list(range(128))
    assert BYTE.token_to_id(END_OF_TEXT) == 256
    assert sorted(byte_characters()) == sorted(pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize(("tokenizer", "part"), COVERING)
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


@pytest.mark.slow
def test_the_same_documents_give_the_same_tokenizer_in_every_process() -> None:
    code = (
        "import hashlib; from specrun.spec.parts import options_class; from specrun.tokenizers.contract import train_tokenizer\n"
        "texts = [' '.join(f'w{(n * n) % 97}x{n % 13}é' for n in range(k, k + 50)) for k in range(200)]\n"
        "for kind in ('bpe', 'unigram', 'wordpiece'):\n"
        "    options = options_class('tokenizer', kind)(kind=kind, vocab_size=600)\n"
        "    print(hashlib.sha256(train_tokenizer(options, texts, lambda _: None).to_str().encode()).hexdigest())"
    )
    run = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(3)]
    assert len({process.stdout for process in run}) == 1
    assert all(process.stderr == "" for process in run)


@pytest.mark.parametrize("kind", KINDS)
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
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_the_folder_and_gives_the_same_ids(tmp_path: Path, kind: str) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer, part = trained(kind, end_of_text=True)
    save_tokenizer(tokenizer, tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for text in CORPUS:
        assert theirs(text)["input_ids"] == ids_of(tokenizer, part, text)
        assert theirs.decode(theirs(text)["input_ids"]) == tokenizer.decode(ids_of(tokenizer, part, text))
    assert theirs.eos_token_id == tokenizer.token_to_id(END_OF_TEXT)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_task_needs_is_special_and_counted_by_the_size_that_was_asked_for(tmp_path: Path, kind: str) -> None:
    size = SIZES.get(kind, {})
    part = options(kind, end_of_text=True, **size)
    tokenizer = train_tokenizer(part, [*CORPUS, WORDS, "[MASK]"], lambda _: None, special=("mask", "end"))
    mask = special_id(tokenizer, "mask")
    assert mask == vocabulary_size(tokenizer) - 1 == tokenizer.get_vocab_size() - 1
    assert vocabulary_size(tokenizer) == size.get("vocab_size", vocabulary_size(tokenizer))
    assert special_id(tokenizer, "end") == tokenizer.token_to_id(END_OF_TEXT) != mask
    assert mask not in ids_of(tokenizer, part, "a[MASK]b")
    save_tokenizer(tokenizer, tmp_path)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["mask_token"] == MASK
    assert special_id(load_tokenizer(tmp_path), "mask") == mask


def test_a_text_that_reads_like_a_special_token_is_not_one() -> None:
    tokenizer, _ = trained("char", ["<mask>"])
    assert special_token(tokenizer, "mask") is None
    with pytest.raises(DataError, match="no special token"):
        special_id(tokenizer, "mask")


def test_case_and_accents_are_kept_or_not_as_asked() -> None:
    corpus = ["Über die Brücke und über den Fluss"] * 3

    def decoded(**values: Any) -> str:
        tokenizer, part = trained("wordpiece", corpus, vocab_size=200, **values)
        text: str = tokenizer.decode(ids_of(tokenizer, part, "Über Brücke"))
        return text

    assert decoded() == "über brücke"
    assert decoded(strip_accents=True) == "uber brucke"
    assert decoded(lowercase=False) == "Über Brücke"
    tokenizer, part = trained("unigram", corpus, vocab_size=300, lowercase=True, normalization="nfkc")
    assert tokenizer.decode(ids_of(tokenizer, part, "Ⅷ ÜBER")) == "viii über"


def test_a_word_with_an_unknown_character_is_unknown_and_said_where_it_is_often() -> None:
    tokenizer, part = trained("wordpiece", ["the cat sat"] * 3, vocab_size=60)
    encoder = make_encoder(tokenizer, part)
    assert encoder.encode(["the zat"])[0].tolist().count(encoder.unknown_id) == 1
    assert unknown_share("train", 1, 100) is None
    assert "2.0% of the train split" in str(unknown_share("train", 2, 100))


def test_only_tokenizers_that_keep_the_text_count_its_bytes() -> None:
    assert all(make_encoder(tokenizer, part).covers_text for tokenizer, part in COVERING)
    assert not make_encoder(WORDPIECE, WORDPIECE_OPTIONS).covers_text
    assert not make_encoder(UNIGRAM, options("unigram", lowercase=True)).covers_text
    assert not make_encoder(UNIGRAM, options("unigram", normalization="nfc")).covers_text
