"""Labelled texts prepared: what is wrong is told with its row, what is cut is counted, and baselines are their closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from specrun.errors import DataError
from specrun.tasks.text_classification.baselines import fit
from tests.tasks.labelled_texts import TRAIN, VALIDATION, Labelled, prepared, spec_of


def test_splits_classes_and_sizes_are_told(tmp_path: Path) -> None:
    values = prepared(tmp_path, spec_of(), train=TRAIN, validation=VALIDATION).values
    letters = sum(min(16, len(text or "")) for text, _ in TRAIN)
    assert values["splits"]["train"] == {"samples": 6, "predictions": 6, "positions": letters}
    assert values["splits"]["validation"]["samples"] == 3
    assert values["classes"] == ["0", "1"]
    assert values["class_counts"] == {"train": [3, 3], "validation": [2, 1]}
    distinct = len(set("".join(text or "" for text, _ in TRAIN)))
    assert values["sizes"]["num_classes"] == 2
    assert distinct <= values["sizes"]["vocab_size"] <= distinct + 1


def test_texts_that_are_cut_or_empty_are_counted_and_told(tmp_path: Path) -> None:
    found = prepared(tmp_path, spec_of(sequence_length=8), train=TRAIN, validation=VALIDATION)
    told = dict(found.warnings)
    assert found.values["truncated"] == {"train": 3, "validation": 0}
    assert "3 of 6 texts of train are longer than data.sequence_length 8" in told["texts-truncated"]
    assert "27 tokens" in told["texts-truncated"]
    assert "1 text of train" in told["empty-texts"]


def test_class_names_of_the_source_are_shown(tmp_path: Path) -> None:
    facts = {"class_names": {"label": ["negative", "positive", "mixed"]}}
    found = prepared(tmp_path, spec_of(), facts=facts, train=TRAIN, validation=VALIDATION)
    assert found.values["classes"] == ["negative", "positive", "mixed"]
    assert "no text of mixed" in dict(found.warnings)["class-without-samples"]


def test_words_are_classes_too_in_their_order(tmp_path: Path) -> None:
    rows: Labelled = [("good", "up"), ("bad", "down"), ("film", "level")]
    assert prepared(tmp_path, spec_of(), train=rows, validation=rows).values["classes"] == ["down", "level", "up"]


@pytest.mark.parametrize(
    ("train", "validation", "code", "told"),
    [
        (TRAIN, [("good", 1), (None, 0)], "missing-text", "text in row 12 of validation"),
        (TRAIN, [("good", 1), ("bad", None)], "missing-label", "label in row 12 of validation"),
        (TRAIN, [("good", 1), ("bad", -1)], "unseen-label", "label in row 12 of validation is -1"),
        (TRAIN, [("good", 1), ("bäd", 0)], "unknown-character", "text in row 12 of validation, character 1"),
        ([("good", 1), ("bad", 1)], [("bad", 1)], "one-class", "one class"),
        ([("good", 1.5), ("bad", 0.5)], VALIDATION, "label-not-a-class", "label in row 11 of train is 1.5"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(tmp_path: Path, train: Labelled, validation: Labelled, code: str, told: str) -> None:
    with pytest.raises(DataError, match=f"(?s){told}") as raised:
        prepared(tmp_path, spec_of(), train=train, validation=validation)
    assert raised.value.code == code
    assert raised.value.hint


def test_a_column_that_holds_no_text_is_refused(tmp_path: Path) -> None:
    rows: Any = [(3, 0), (4, 1)]
    with pytest.raises(DataError, match=r"data\.columns\.text names text, which holds int64"):
        prepared(tmp_path, spec_of(), train=rows, validation=rows)


def test_a_smoke_run_takes_the_first_rows(tmp_path: Path) -> None:
    rows: Labelled = [("good", number % 2) for number in range(600)]
    assert prepared(tmp_path, spec_of(), smoke=True, train=rows, validation=rows).values["splits"]["train"]["samples"] == 512


def test_naive_bayes_is_scikit_learns(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    random = np.random.default_rng(0)
    words = [f"w{number}" for number in range(300)]
    texts = [" ".join(random.choice(words, size=random.integers(1, 30))) for _ in range(200)]
    labels = random.integers(0, 3, 200)
    ours = fit(zip(texts[:150], labels[:150], strict=True), classes=3)
    vectorizer = CountVectorizer(token_pattern=r"\S+", binary=True).fit(texts[:150])
    theirs = MultinomialNB(alpha=1).fit(vectorizer.transform(texts[:150]), labels[:150])
    found = np.stack([ours.log_probabilities(text) for text in texts[150:]])
    np.testing.assert_allclose(found, theirs.predict_log_proba(vectorizer.transform(texts[150:])), rtol=1e-9)
    whole = np.stack([ours.log_probabilities(text) for text in texts])
    rows: list[tuple[str, int]] = [(text, int(label)) for text, label in zip(texts, labels, strict=True)]
    baselines = prepared(tmp_path, spec_of(sequence_length=4), train=rows[:150], validation=rows[150:]).values["baselines"]
    assert set(baselines) == {"validation"}
    majority, bayes = baselines["validation"]
    assert bayes["metrics"]["accuracy"] == (whole[150:].argmax(1) == labels[150:]).mean()
    assert bayes["metrics"]["loss"] == pytest.approx(-found[np.arange(50), labels[150:]].mean())
    assert majority["metrics"]["accuracy"] == (labels[150:] == np.bincount(labels[:150]).argmax()).mean()


@pytest.mark.slow
def test_naive_bayes_is_right_on_its_known_share_of_sst2(shared_data: Path) -> None:
    folder = shared_data / "hub" / "stanfordnlp" / "sst2" / "data"
    rows = {split: pq.read_table(folder / f"{split}-00000-of-00001.parquet").to_pydict() for split in ("train", "test")}
    bayes = fit(zip(rows["train"]["sentence"], rows["train"]["label"], strict=True), classes=2)
    right = [bayes.log_probabilities(text).argmax() == label for text, label in zip(*rows["test"].values(), strict=True)]
    assert np.mean(right) == pytest.approx(0.822, abs=0.0006)
