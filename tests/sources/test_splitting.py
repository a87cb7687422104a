"""Splitting: every document goes somewhere once, borders lie where they are said to, and hashes keep documents in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.sources.contract import WHOLE, Documents, LoadedText
from specrun.sources.splitting import FEW_DOCUMENTS, by_hash, given, ratio, split_documents
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.ratio import Options as Ratio

texts = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=30)
shares = st.tuples(st.floats(0.05, 0.4), st.floats(0, 0.4))


def stretch(documents: Sequence[str]) -> LoadedText:
    return LoadedText({WHOLE: list(documents)})


def collected(routed: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for split, document in routed:  # type: ignore[attr-defined]
        found.setdefault(split, []).append(document)
    return found


def test_the_last_tenth_of_one_text_is_cut_at_int_of_nine_tenths_of_its_characters(shared_data: Path) -> None:
    text = (shared_data / "text" / "tinyshakespeare.txt").read_text()
    found = collected(ratio(Ratio(kind="ratio", validation=0.1), stretch([text])))
    border = int(0.9 * len(text))
    assert found == {"train": [text[:border]], "validation": [text[border:]]}


@for_all(st.text(min_size=1, max_size=300), shares)
def test_few_documents_are_cut_at_the_characters_that_the_shares_name(text: str, share: tuple[float, float]) -> None:
    validation, test = share
    options = Ratio(kind="ratio", validation=validation, test=test)
    found = {split: "".join(parts) for split, parts in collected(ratio(options, stretch([text[:7], text[7:]]))).items()}
    first, second = int(round(1 - validation - test, 12) * len(text)), int(round(1 - test, 12) * len(text))
    assert found.get("train", "") == text[:first]
    assert found.get("validation", "") == text[first:second]
    assert found.get("test", "") == text[second:]


@pytest.mark.parametrize(("validation", "test", "train"), [(0.2, 0.1, 700), (0.1, 0.1, 800), (0.1, 0.2, 700), (0.3, 0.3, 400)])
def test_rounding_of_the_shares_moves_no_border(validation: float, test: float, train: int) -> None:
    options = Ratio(kind="ratio", validation=validation, test=test)
    found = collected(ratio(options, stretch([f"{n}" for n in range(1000)])))
    assert [len(found[split]) for split in ("train", "validation", "test")] == [train, round(validation * 1000), round(test * 1000)]


@for_all(st.integers(FEW_DOCUMENTS, 400), shares, st.booleans())
def test_many_documents_stay_whole_and_none_is_lost_or_doubled(count: int, share: tuple[float, float], shuffle: bool) -> None:
    documents = [f"document {n}" for n in range(count)]
    options = Ratio(kind="ratio", validation=share[0], test=share[1], shuffle=shuffle)
    routed = list(ratio(options, stretch(documents)))
    assert [document for _, document in routed] == documents
    if not shuffle:
        order = [("train", "validation", "test").index(split) for split, _ in routed]
        assert order == sorted(order)


def test_shuffling_spreads_the_held_out_documents_and_follows_the_seed() -> None:
    documents = [f"document {n}" for n in range(1000)]

    def held_out(seed: int) -> list[str]:
        return collected(ratio(Ratio(kind="ratio", shuffle=True, seed=seed), stretch(documents)))["validation"]

    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)
    places = [int(document.split()[1]) for document in held_out(1)]
    assert len(places) == 100
    assert 400 < sum(places) / len(places) < 600


@for_all(texts, st.integers(0, 2**63 - 1))
def test_equal_documents_land_together_by_hash(documents: list[str], seed: int) -> None:
    options = Hash(kind="hash", validation=0.3, test=0.3, seed=seed)
    places: dict[str, set[str]] = {}
    for split, document in by_hash(options, stretch(documents + documents)):
        places.setdefault(document, set()).add(split)
    assert all(len(splits) == 1 for splits in places.values())


@for_all(texts, texts)
def test_adding_documents_moves_none_by_hash(documents: list[str], more: list[str]) -> None:
    options = Hash(kind="hash", validation=0.3, test=0.2)
    before = {document: split for split, document in by_hash(options, stretch(documents))}
    after = {document: split for split, document in by_hash(options, stretch([*more, *documents]))}
    assert all(after[document] == split for document, split in before.items())


def test_a_larger_validation_share_takes_from_train_alone_by_hash() -> None:
    documents = [f"document {n}" for n in range(500)]
    small = collected(by_hash(Hash(kind="hash", validation=0.1, test=0.1), stretch(documents)))
    large = collected(by_hash(Hash(kind="hash", validation=0.3, test=0.1), stretch(documents)))
    assert set(small["validation"]) < set(large["validation"])
    assert small["test"] == large["test"]


def test_shares_by_hash_are_near_what_is_asked() -> None:
    documents = [f"document {n}" for n in range(20_000)]
    found = collected(by_hash(Hash(kind="hash", validation=0.2, test=0.1), stretch(documents)))
    assert len(found["validation"]) == pytest.approx(4000, rel=0.05)
    assert len(found["test"]) == pytest.approx(2000, rel=0.05)


def test_given_takes_the_named_splits_in_order_and_leaves_the_others() -> None:
    loaded = LoadedText({"dev": ["v"], "train": ["a", "b"], "extra": ["x"]})
    routed = given(Given(kind="given", validation="dev"), loaded)
    assert list(routed) == [("train", "a"), ("train", "b"), ("validation", "v")]


def test_a_full_split_ends_the_reading_of_a_given_split() -> None:
    read: list[str] = []

    def endless() -> object:
        for n in range(10**9):
            read.append(str(n))
            yield str(n)

    loaded = LoadedText({"train": endless(), "validation": ["v"]})  # type: ignore[dict-item]
    routed = list(split_documents(Given(kind="given"), loaded, lambda split: split == "train" and len(read) > 3))
    assert routed == [("train", "0"), ("train", "1"), ("train", "2"), ("validation", "v")]


@pytest.mark.parametrize("kind", ["ratio", "hash"])
def test_a_full_split_takes_no_more_documents(kind: str) -> None:
    options = Ratio(kind="ratio") if kind == "ratio" else Hash(kind="hash")
    routed = list(split_documents(options, stretch([f"{n}" for n in range(300)]), lambda split: split == "train"))
    assert {split for split, _ in routed} == {"validation"}


def test_a_split_that_the_source_lacks_is_named_with_the_nearest_it_has() -> None:
    loaded = LoadedText({"train": ["a"], "validaton": ["b"]})
    with pytest.raises(DataError, match="no split 'validation'; it has train and validaton") as caught:
        list(given(Given(kind="given"), loaded))
    assert caught.value.code == "missing-split"
    assert caught.value.hint == 'did you mean "validaton"? set data.split.validation: validaton'


def test_a_source_with_one_named_split_is_offered_to_be_cut() -> None:
    with pytest.raises(DataError) as caught:
        list(given(Given(kind="given"), LoadedText({"train": ["a"]})))
    assert "ratio" in str(caught.value.hint)
    assert list(ratio(Ratio(kind="ratio", validation=0.5), LoadedText({"train": ["ab"]}))) == [("train", "a"), ("validation", "b")]


def test_given_splits_of_a_single_stretch_are_an_error_with_a_remedy() -> None:
    with pytest.raises(DataError, match="no splits of its own") as caught:
        list(given(Given(kind="given"), stretch(["a"])))
    assert (caught.value.code, caught.value.hint) == ("split-not-given", "use data.split: {kind: ratio, validation: 0.1}")


@pytest.mark.parametrize("options", [Ratio(kind="ratio"), Hash(kind="hash")])
def test_splits_that_exist_are_never_joined_to_be_cut_again(options: Ratio | Hash) -> None:
    with pytest.raises(DataError, match="already has the splits test and train") as caught:
        list(split_documents(options, LoadedText({"train": ["a"], "test": ["b"]})))
    assert caught.value.code == "splits-already-given"
    assert caught.value.hint == "use data.split: {kind: given, train: train, validation: test}"


@for_all(texts, texts, st.booleans())
def test_documents_that_change_between_the_two_readings_of_a_ratio_are_an_error(first: list[str], second: list[str], shuffle: bool) -> None:
    readings = [first, second]
    loaded = LoadedText({WHOLE: Documents(lambda: iter(readings.pop(0)))})
    cut = ratio(Ratio(kind="ratio", shuffle=shuffle), loaded)
    if [len(text) for text in first] == [len(text) for text in second]:
        assert sorted("".join(text for _, text in cut)) == sorted("".join(second))
        return
    with pytest.raises(DataError) as caught:
        list(cut)
    assert caught.value.code == "data-changed-while-read"
    assert caught.value.hint is not None
