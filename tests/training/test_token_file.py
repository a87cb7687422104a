"""The token file: what is written is what is mapped, and damage is noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.training.token_file import Encoded, open_tokens, read_info, splits, token_dtype, write_tokens

documents = st.lists(st.lists(st.integers(0, 99), max_size=40), max_size=12)


def _encoded(ids_of_documents: list[list[int]]) -> list[tuple[list[int], int, int]]:
    return [(ids, 3 * len(ids), len(ids) // 2) for ids in ids_of_documents]


@given(documents)
def test_with_end_of_text_the_stream_starts_with_it_and_each_document_is_followed_by_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    info = write_tokens(folder, "train", _encoded(texts), vocab_size=101, end_of_text_id=100)
    opened = open_tokens(folder, "train")
    expected = [100] + [token for ids in texts for token in [*ids, 100]]
    assert opened.ids.tolist() == expected
    assert info.count == len(expected)
    assert info.leading_end_of_text
    assert (info.predicted_bytes, info.predicted_words) == (info.bytes, info.words)
    for index, ids in enumerate(texts):
        start, stop = opened.offsets[index], opened.offsets[index + 1]
        assert opened.ids[start:stop].tolist() == [*ids, 100]


@given(documents)
def test_without_end_of_text_the_first_token_alone_is_left_out_of_what_is_predicted(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    info = write_tokens(folder, "train", _encoded(texts), vocab_size=100, unpredicted=lambda token: (token, 1))
    stream = [token for ids in texts for token in ids]
    assert open_tokens(folder, "train").ids.tolist() == stream
    lost = (stream[0], 1) if stream else (0, 0)
    assert (info.bytes - info.predicted_bytes, info.words - info.predicted_words) == lost
    assert info.end_of_text_id is None


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=40), max_size=5), st.integers(1, 40))
def test_documents_in_pieces_are_stored_as_documents_whole(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    whole = write_tokens(folder, "whole", [(ids, len(ids), len(ids)) for ids in texts], vocab_size=11, end_of_text_id=10)
    pieces = [
        Encoded(np.asarray(ids[start : start + size]), len(ids[start : start + size]), len(ids[start : start + size]), start > 0)
        for ids in texts
        for start in range(0, len(ids), size)
    ]
    assert write_tokens(folder, "pieces", pieces, vocab_size=11, end_of_text_id=10) == whole
    assert open_tokens(folder, "pieces").offsets.tolist() == open_tokens(folder, "whole").offsets.tolist()


@pytest.mark.parametrize(("vocab_size", "name", "width"), [(65_536, "uint16", 2), (65_537, "uint32", 4)])
def test_the_stored_type_is_the_narrowest_that_holds_every_id(tmp_path: Path, vocab_size: int, name: str, width: int) -> None:
    highest = vocab_size - 1
    info = write_tokens(tmp_path, "train", [([0, highest], 2, 1)], vocab_size=vocab_size, end_of_text_id=0)
    assert info.dtype == name
    assert token_dtype(vocab_size).itemsize == width
    assert (tmp_path / "train.bin").stat().st_size == width * info.count
    assert open_tokens(tmp_path, "train").ids[2] == highest


def test_the_sidecar_names_the_digest_of_the_bytes_written(tmp_path: Path) -> None:
    many = [(list(range(100)) * 50, 1, 1)] * 100
    info = write_tokens(tmp_path, "train", many, vocab_size=101, end_of_text_id=100)
    assert info.sha256 == hashlib.sha256((tmp_path / "train.bin").read_bytes()).hexdigest()
    assert info.count == 1 + 100 * 5001
    assert read_info(tmp_path, "train") == info


@pytest.mark.parametrize("token", [-1, 10])
def test_an_id_outside_the_vocabulary_is_refused(tmp_path: Path, token: int) -> None:
    with pytest.raises(ValueError, match="do not fit a vocabulary of 10"):
        write_tokens(tmp_path, "train", [([0, token], 2, 1)], vocab_size=10, end_of_text_id=0)
    assert splits(tmp_path) == ()


def test_a_split_whose_writing_failed_does_not_exist_even_where_an_older_one_did(tmp_path: Path) -> None:
    write_tokens(tmp_path, "train", [([1], 1, 1)], vocab_size=3, end_of_text_id=2)

    def failing() -> object:
        yield [1], 1, 1
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_tokens(tmp_path, "train", failing(), vocab_size=3, end_of_text_id=2)  # type: ignore[arg-type]
    assert splits(tmp_path) == ()


def test_splits_come_in_the_order_they_are_used(tmp_path: Path) -> None:
    for name in ("extra", "test", "validation", "train"):
        write_tokens(tmp_path, name, [([1], 1, 1)], vocab_size=3, end_of_text_id=2)
    (tmp_path / "other.json").write_text("{}")
    assert splits(tmp_path) == ("train", "validation", "test", "extra")


def test_the_map_cannot_be_written_through(tmp_path: Path) -> None:
    write_tokens(tmp_path, "train", [([1], 1, 1)], vocab_size=3, end_of_text_id=2)
    with pytest.raises(ValueError, match="read-only"):
        open_tokens(tmp_path, "train").ids[0] = 1


def test_an_empty_split_opens_as_an_empty_array(tmp_path: Path) -> None:
    write_tokens(tmp_path, "train", [], vocab_size=3, unpredicted=lambda _: (1, 1))
    opened = open_tokens(tmp_path, "train")
    assert opened.ids.size == 0
    assert opened.offsets.tolist() == [0]


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_tokens(tmp_path, "train", [([1], 1, 1)], vocab_size=3, end_of_text_id=2)
    with pytest.raises(DataError, match=r"no tokens of split 'test'; splits there: train") as caught:
        open_tokens(tmp_path, "test")
    assert caught.value.code == "missing-tokens"


@pytest.mark.parametrize("name", ["train.bin", "train.offsets.bin"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_file_of_the_wrong_length_is_an_error_with_a_remedy(tmp_path: Path, name: str, damage: str) -> None:
    write_tokens(tmp_path, "train", [([1, 0, 1], 1, 1)], vocab_size=3, end_of_text_id=2)
    path = tmp_path / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="its sidecar asks for") as caught:
        open_tokens(tmp_path, "train")
    assert caught.value.code == "damaged-tokens"
    assert caught.value.hint is not None


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_a_damaged_sidecar_is_an_error_not_a_traceback(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(DataError, match="not a token sidecar"):
        read_info(tmp_path, "train")


def test_the_sidecar_is_plain_json(tmp_path: Path) -> None:
    write_tokens(tmp_path, "train", [([1], 5, 2)], vocab_size=3, end_of_text_id=2)
    document = json.loads((tmp_path / "train.json").read_text())
    assert document["bytes"] == 5
    assert document["words"] == 2
    assert document["vocab_size"] == 3
