"""Stores texts: every document goes to its split's file, long ones in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from specrun.errors import DataError
from specrun.events import Emit, Progress
from specrun.sources.contract import Documents, LoadedText
from specrun.sources.document_file import DocumentWriter, Written, read_documents
from specrun.sources.row_hash import fractions
from specrun.sources.splitting import split_documents
from specrun.spec.document import Spec
from specrun.spec.sections.data import Data
from specrun.steps.contract import StepContext
from specrun.steps.data.choice import Chosen
from specrun.steps.data.leakage import Leak, LeakageCheck, digest_of
from specrun.steps.data.stored import Stored, check_not_empty, check_rows, leak_warning

_PROGRESS_DOCUMENTS = 2000
_EXCERPT_CHARACTERS = 80
SMOKE_CHARACTERS = {"train": 1 << 18, "validation": 1 << 15, "test": 1 << 15}
"""A smoke run takes at most about this much text of a split."""
SAMPLE_SEED = 0x5A17
"""Keeps the hash that samples apart from the one that shuffles."""


def store_documents(context: StepContext, spec: Spec, chosen: Chosen[LoadedText]) -> Stored:
    """Split, check and write.

    values: splits {name: documents, characters, bytes, words, sha256}, leakage {"train/validation": documents}, empty_documents and,
    where asked for, left_out {duplicates, unsampled}.
    """
    data = spec.data
    loaded, left_out = _thinned(chosen.loaded, data)
    check = LeakageCheck()
    written, empty = _store(context, Chosen(loaded, chosen.source, chosen.split), data.limit, check)
    check_rows(sum(facts.documents for facts in written.values()), data.checks, noun="documents")
    leaks = check.leaks(tuple(written)) if data.checks.leakage != "off" else []
    warnings = tuple(_duplicates(leak, written, context.folder, data) for leak in leaks if leak.documents)
    values: dict[str, Any] = {
        "splits": {split: asdict(facts) for split, facts in written.items()},
        "leakage": {leak.name: leak.documents for leak in leaks},
        "empty_documents": empty,
    }
    if left_out:
        values["left_out"] = left_out
    return Stored(values, {f"{split}.parquet": "documents" for split in written}, warnings)


def _thinned(loaded: LoadedText, data: Data) -> tuple[LoadedText, dict[str, int]]:
    """The documents without what data.deduplicate and data.sample leave out, and how many they leave out."""
    left_out: dict[str, int] = {}
    splits: dict[str, Iterable[str]] = {}
    for name, documents in loaded.splits.items():
        splits[name] = documents
        if data.deduplicate or data.sample is not None:
            kept = _kept(documents, data, left_out)
            splits[name] = _only(documents, kept)
    return LoadedText(splits, loaded.facts, loaded.warnings, loaded.variant), left_out


def _kept(documents: Iterable[str], data: Data, left_out: dict[str, int]) -> Any:
    """Which documents stay. Memory: 16 bytes a document. Empty ones are no duplicates of one another: they are left out later."""
    digests = np.fromiter((digest_of(document) if document else 0 for document in documents), np.uint64)
    kept = np.ones(len(digests), bool)
    if data.deduplicate:
        kept = digests == 0
        kept[np.unique(digests, return_index=True)[1]] = True
        left_out["duplicates"] = left_out.get("duplicates", 0) + int((~kept).sum())
    if data.sample is not None:
        drawn = fractions(np.arange(len(kept), dtype=np.uint64), seed=SAMPLE_SEED) < data.sample.fraction
        left_out["unsampled"] = left_out.get("unsampled", 0) + int((kept & ~drawn).sum())
        kept &= drawn
    return kept


def _only(documents: Iterable[str], kept: Any) -> Documents:
    return Documents(lambda: (document for document, stays in zip(documents, kept.tolist(), strict=True) if stays))


def _store(context: StepContext, chosen: Chosen[LoadedText], limit: int | None, check: LeakageCheck) -> tuple[dict[str, Written], int]:
    """Write every document to its split's file. Returns what each holds, and how many empty documents were left out."""
    empty = 0
    with ExitStack() as stack:
        writers = {split: stack.enter_context(DocumentWriter(context.folder / f"{split}.parquet")) for split in chosen.split.names}

        def full(split: str) -> bool:
            writer = writers[split]
            return (limit is not None and writer.documents >= limit) or (context.smoke and writer.characters >= SMOKE_CHARACTERS[split])

        for split, document in _with_progress(split_documents(chosen.split, chosen.loaded, full), context.emit):
            if not document:
                empty += 1
                continue
            kept = document[: SMOKE_CHARACTERS[split]] if context.smoke else document
            writers[split].add(kept)
            check.add(split, kept)
    written = {split: writer.written for split, writer in writers.items()}
    if not any(facts.documents for facts in written.values()):
        raise DataError(f"the {chosen.source.kind} source holds no text", code="empty-corpus", hint="name a source that holds text")
    check_not_empty({split: facts.documents for split, facts in written.items()}, chosen.split, noun="documents")
    return written, empty


def _with_progress(routed: Iterator[tuple[str, str]], emit: Emit) -> Iterator[tuple[str, str]]:
    for done, item in enumerate(routed, 1):
        yield item
        if done % _PROGRESS_DOCUMENTS == 0:
            emit(Progress("data", done, None, "document"))


def _duplicates(leak: Leak, written: Mapping[str, Written], folder: Path, data: Data) -> tuple[str, str]:
    share = leak.documents / written[leak.second].documents
    example = next(islice(read_documents(folder / f"{leak.second}.parquet"), leak.example, None)).strip()
    text = (
        f"{_documents(leak.documents)} of {leak.second} ({share:.1%}) also in {leak.first}, so {leak.second} figures may be "
        f"too good; one begins {example[:_EXCERPT_CHARACTERS]!r}"
    )
    remedy = "take them out of the source, or use split: {kind: hash, validation: 0.1}, which keeps equal ones together"
    return leak_warning("duplicate-across-splits", text, checks=data.checks, remedy=remedy)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"
