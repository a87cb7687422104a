"""Laws over whole sources and splits: nothing is lost, doubled or moved, and the Hub's format reads as its own library reads it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources.contract import WHOLE, LoadedText, SourceRequest, load_text
from specrun.sources.decoding import decoded_blocks
from specrun.sources.huggingface.options import Options as HuggingFace
from specrun.sources.splitting import FEW_DOCUMENTS, split_documents
from specrun.sources.text.options import Options as Text
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.ratio import Options as Ratio

documents_of = st.lists(st.text("abc \n\u00e9", min_size=1, max_size=12), min_size=1, max_size=40)
shares = st.tuples(st.floats(0.01, 0.45), st.floats(0.0, 0.45))
seeds = st.integers(0, 2**63 - 1)


def routed(options: Any, *documents: str, **splits: list[str]) -> list[tuple[str, str]]:
    return list(split_documents(options, LoadedText(splits or {WHOLE: documents})))


@given(documents_of, shares, seeds)
def test_a_hash_split_partitions_the_documents(documents: list[str], share: tuple[float, float], seed: int) -> None:
    options = Hash(kind="hash", validation=share[0], test=share[1], seed=seed)
    assert [document for _, document in routed(options, *documents)] == documents


@given(documents_of, seeds, st.randoms(use_true_random=False))
def test_a_hash_split_does_not_see_the_order_or_what_is_appended(documents: list[str], seed: int, shuffler: random.Random) -> None:
    options = Hash(kind="hash", validation=0.3, test=0.2, seed=seed)
    before = Counter(routed(options, *documents))
    shuffled = shuffler.sample(documents, len(documents))
    assert Counter(routed(options, *shuffled)) == before
    assert Counter(routed(options, *documents, "appended")) - before == Counter(routed(options, "appended"))


@settings(max_examples=30)
@given(st.integers(FEW_DOCUMENTS, 300), shares, seeds)
def test_a_shuffled_ratio_split_partitions_the_documents_and_follows_the_seed(count: int, share: tuple[float, float], seed: int) -> None:
    documents = [f"document {number}" for number in range(count)]
    options = Ratio(kind="ratio", validation=share[0], test=share[1], shuffle=True, seed=seed)
    once = routed(options, *documents)
    assert [document for _, document in once] == documents
    assert once == routed(options, *documents)


@given(documents_of, shares)
def test_a_ratio_split_of_few_documents_is_their_text_in_its_order(documents: list[str], share: tuple[float, float]) -> None:
    found = routed(Ratio(kind="ratio", validation=share[0], test=share[1]), *documents)
    assert "".join(text for _, text in found) == "".join(documents)
    order = [split for split, _ in found]
    assert order == sorted(order, key=("train", "validation", "test").index)


@given(documents_of, documents_of)
def test_a_given_split_is_the_sources_own(train: list[str], validation: list[str]) -> None:
    found = routed(Given(kind="given", train="a", validation="b", test=None), a=train, b=validation, c=["left out"])
    assert found == [("train", document) for document in train] + [("validation", document) for document in validation]


@given(st.lists(st.sampled_from(["a\n", "b", "\u00e9", "\n"]), max_size=30))
def test_a_wrong_byte_is_named_by_its_offset_and_its_line(tmp_path_factory: pytest.TempPathFactory, before: list[str]) -> None:
    path = tmp_path_factory.mktemp("wrong") / "x.txt"
    good = "".join(before).encode()
    path.write_bytes(good + b"\xff and more\n")
    with pytest.raises(DataError) as caught:
        list(decoded_blocks(path, "utf-8"))
    assert caught.value.code == "wrong-encoding"
    line = good.count(b"\n") + 1
    assert f"byte {len(good):,} is 0xff (line {line:,})" in caught.value.message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for name in ("b.txt", "ab.txt", "a.txt"):
        (made / name).write_text(name)
    return made


@given(st.lists(st.sampled_from(["*.txt", "a*", "?.txt", "a.txt", "b.txt", "**/*.txt"]), min_size=1, max_size=5))
def test_whatever_the_patterns_each_file_comes_once_and_those_of_a_pattern_sorted(folder: Path, patterns: list[str]) -> None:
    found = Text(kind="text", path=tuple(patterns)).files(folder)[WHOLE]
    assert len(set(found)) == len(found)
    first = Text(kind="text", path=(patterns[0],)).files(folder)[WHOLE]
    assert list(first) == sorted(first)
    assert found[: len(first)] == first


@pytest.mark.parametrize(
    ("path", "config", "column"),
    [("Salesforce/wikitext", "wikitext-2-v1", "text"), ("stanfordnlp/sst2", None, "sentence"), ("bentrevett/multi30k", None, "en")],
)
def test_a_mirror_reads_as_the_hubs_own_library_reads_it(
    path: str, config: str | None, column: str, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    root = shared_data / "hub"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "ours"))
    request = SourceRequest(tmp_path, lambda _: None, column, root)
    ours = load_text(HuggingFace(kind="huggingface", path=path, config=config), request)
    theirs = datasets.load_dataset(str(root / path), name=config, cache_dir=str(tmp_path / "theirs"))
    assert ours.splits.keys() == theirs.keys()
    for split, documents in ours.splits.items():
        assert list(documents) == list(theirs[split][column])
