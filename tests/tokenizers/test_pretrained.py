"""The pretrained tokenizer: the ids of the file, from wherever it comes; what is missing is said before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from specrun.errors import DataError
from specrun.tokenizers.contract import END_OF_TEXT, make_encoder, special_id, special_token, train_tokenizer, vocabulary_size
from specrun.tokenizers.pretrained.options import Options

if TYPE_CHECKING:
    from specrun.spec.document import Spec

COMMIT = "0" * 40


def bert(path: Path) -> Tokenizer:
    """A tokenizer as BERT's are: specials first, white space lost, texts shortened and padded."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s"]
    tokenizer = Tokenizer(models.WordPiece({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def gpt2(path: Path) -> None:
    """Bytes alone, written as GPT-2 writes them."""
    tokenizer = Tokenizer(models.BPE({c: row for row, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))


def options(path: str | Path, **values: Any) -> Options:
    return Options(kind="pretrained", path=str(path), **values)


def opened(part: Options, base: Path, **more: Any) -> Tokenizer:
    return train_tokenizer(part, [], lambda _: None, base_folder=base, **more)


def test_a_file_its_folder_and_a_mirror_give_the_same_tokenizer(tmp_path: Path) -> None:
    bert(tmp_path / "owner" / "name" / "tokenizer.json")
    ways = [
        opened(options("owner/name/tokenizer.json"), tmp_path),
        opened(options("owner/name"), tmp_path),
        opened(options("owner/name", revision=COMMIT), tmp_path / "elsewhere", data_root=tmp_path),
    ]
    assert len({way.to_str() for way in ways}) == 1
    part = options("owner/name")
    assert part.local_inputs(base=tmp_path, data_root=None) == (tmp_path / "owner/name/tokenizer.json",)
    encoder = make_encoder(ways[0], part)
    # Neither shortened nor padded, and nothing put around it.
    assert [ids.tolist() for ids in encoder.encode(["the cats the [MASK]", "cat dog"])] == [[5, 6, 7, 5, 1, 1, 1], [6, 1]]
    assert (encoder.unknown_id, encoder.covers_text) == (1, False)


def test_special_tokens_that_are_there_are_used_and_others_are_added(tmp_path: Path) -> None:
    bert(tmp_path / "tokenizer.json")
    tokenizer = opened(options("tokenizer.json"), tmp_path, special=("mask", "end"))
    assert (special_id(tokenizer, "mask"), special_id(tokenizer, "end"), vocabulary_size(tokenizer)) == (4, 3, 8)
    gpt2(tmp_path / "bytes.json")
    tokenizer = opened(options("bytes.json"), tmp_path, special=("mask",))
    assert special_token(tokenizer, "end") == (END_OF_TEXT, 256)
    assert (special_id(tokenizer, "mask"), vocabulary_size(tokenizer)) == (257, 258)
    assert vocabulary_size(opened(options("bytes.json", end_of_text=False), tmp_path)) == 256


def test_bytes_are_counted_where_the_tokenizers_parts_keep_them_all(tmp_path: Path) -> None:
    gpt2(tmp_path / "tokenizer.json")
    part = options("tokenizer.json")
    assert make_encoder(opened(part, tmp_path), part).covers_text
    for change in ({"normalizer": {"type": "NFC"}}, {"decoder": None}, {"pre_tokenizer": {"type": "Whitespace"}}):
        parts = json.loads((tmp_path / "tokenizer.json").read_text()) | change
        assert not make_encoder(Tokenizer.from_str(json.dumps(parts)), part).covers_text


def test_ids_with_gaps_have_rows_for_all(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 9}, unk_token="a"))
    assert vocabulary_size(tokenizer) == 10


@pytest.mark.parametrize(
    ("path", "values", "code"),
    [("nowhere/.x", {}, "missing-tokenizer"), ("empty", {}, "missing-tokenizer"), ("owner/name", {}, "unpinned-revision"),
     ("there", {}, None), ("owner/name", {"revision": COMMIT}, None)],
)  # fmt: skip
def test_a_tokenizer_that_is_not_at_hand_is_said_before_anything_runs(
    tmp_path: Path, path: str, values: dict[str, Any], code: str | None
) -> None:
    (tmp_path / "empty").mkdir()
    bert(tmp_path / "there" / "tokenizer.json")
    problems = list(options(path, **values).file_problems(("data", "tokenizer"), tmp_path, None, "error"))
    assert [problem.code for problem in problems] == ([] if code is None else [code])
    assert all(problem.hint for problem in problems)


def test_a_revision_is_a_commit_and_of_the_hub() -> None:
    codes = {
        (path, revision): [one.code for one in options(path, revision=revision).problems(cast("Spec", None), ("data", "tokenizer"))]
        for path in ("owner/name", "./here/tokenizer.json") for revision in (None, "main", COMMIT)
    }  # fmt: skip
    assert [key for key, found in codes.items() if not found] == [
        ("owner/name", None), ("owner/name", COMMIT), ("./here/tokenizer.json", None)
    ]  # fmt: skip
    assert codes["owner/name", "main"] == ["unpinned-revision"]
    assert codes["./here/tokenizer.json", COMMIT] == ["revision-of-a-folder"]


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_damaged_file_is_an_error_with_a_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError) as caught:
        opened(options("tokenizer.json"), tmp_path)
    assert caught.value.code == "damaged-tokenizer"


def test_a_hub_that_is_out_of_reach_is_an_error_with_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as caught:
        opened(options("owner/name-that-is-in-no-cache", revision=COMMIT), tmp_path)
    assert caught.value.code == "hub-unreachable"
    assert "--data-root" in str(caught.value.hint)
