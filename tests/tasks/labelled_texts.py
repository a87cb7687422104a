"""Labelled texts on disk as the `data` and `tokenizer` steps leave them, and the `text_classification` task opened on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from specrun.spec.sections.data import Columns
from specrun.tasks.contract import Opening, Prepared, PrepareRequest
from specrun.tasks.text_classification.build import TextClassification, build
from specrun.tasks.text_classification.options import Options
from specrun.tasks.text_classification.prepare import prepare
from specrun.tokenizers.char.options import Options as Char
from specrun.tokenizers.contract import save_tokenizer, train_tokenizer, vocabulary_size
from tests.tasks.tables import CPU, write_split

Labelled = Sequence[tuple[str | None, Any]]
TRAIN: Labelled = [("good film", 1), ("bad", 0), ("", 1), ("a good good day", 1), ("bad bad film and more of it", 0), ("day", 0)]
VALIDATION: Labelled = [("good day", 1), ("bad film", 0), ("it", 0)]


def spec_of(*, sequence_length: int = 16, batch_size: int = 4, group_by_length: bool = False) -> Any:
    data = SimpleNamespace(columns=Columns(), tokenizer=Char(kind="char", end_of_text=False), sequence_length=sequence_length,
                           group_by_length=group_by_length)  # fmt: skip
    return SimpleNamespace(data=data, schedule=SimpleNamespace(batch_size=batch_size))


def prepared(folder: Path, spec: Any, *, facts: Mapping[str, Any] | None = None, smoke: bool = False, **splits: Labelled) -> Prepared:
    """What `prepare` makes of the splits, which are written first, rows numbered from 11."""
    for name in ("tokenizer", "examples"):
        (folder / name).mkdir(exist_ok=True)
    for name, rows in splits.items():
        texts, labels = [list(column) for column in zip(*rows, strict=True)]
        write_split(folder / "data", name, {"text": texts, "label": labels}, first_row=11)
    tokenizer = train_tokenizer(spec.data.tokenizer, [str(text) for text, _ in splits["train"]], lambda _: None)
    save_tokenizer(tokenizer, folder / "tokenizer")
    known = {"data": dict(facts or {}), "tokenizer": {"vocab_size": vocabulary_size(tokenizer)}}
    folders = {name: folder / name for name in ("data", "tokenizer")}
    request = PrepareRequest(spec, folders, known, folder / "examples", emit=lambda _: None, smoke=smoke)
    return prepare(Options(kind="text_classification"), request)


def opened(
    folder: Path, spec: Any, found: Prepared, *, seed: int = 0, pad_to_few_shapes: bool = False, **options: Any
) -> TextClassification:  # fmt: skip
    opening = Opening(spec, {"examples": folder / "examples"}, {"examples": found.values}, seed, CPU, pad_to_few_shapes)
    return build(Options(kind="text_classification", **options), opening)


def small_task(
    folder: Path, *, pad_to_few_shapes: bool = False, options: Mapping[str, Any] | None = None, **of_spec: Any
) -> TextClassification:
    spec = spec_of(**of_spec)
    found = prepared(folder, spec, train=TRAIN, validation=VALIDATION)
    return opened(folder, spec, found, pad_to_few_shapes=pad_to_few_shapes, **(options or {}))
