"""Runs the `data` step: loads the source or its fallback, splits it, checks it and stores every split as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.events import Alert, Emit, Progress
from specrun.records.atomic import atomic_write
from specrun.sources.contract import WHOLE, LoadedText, SourceRequest, SourceUnavailable, load_text
from specrun.sources.document_file import DocumentWriter, Written, read_documents
from specrun.sources.splitting import split_documents
from specrun.spec.document import Spec
from specrun.spec.section import Part
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.ratio import Options as Ratio
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.data.leakage import Leak, LeakageCheck

_ORDER = ("train", "validation", "test")
_PROGRESS_DOCUMENTS = 2000
_EXCERPT_CHARACTERS = 80
SMOKE_CHARACTERS = {"train": 1 << 18, "validation": 1 << 15, "test": 1 << 15}
"""A smoke run takes at most about this much text of a split."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The source that was loaded. replaced: why the fallback stands in for the first source, if it does."""

    loaded: LoadedText
    source: Part
    split: Part
    replaced: SourceUnavailable | None = None


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:  # noqa: ARG001 - the contract of a step
    """Load, split, check, store.

    values: splits {name: documents, characters, bytes, words, sha256}, source, comparable, fallback_used, leakage
    {"train/validation": documents}, empty_documents (left out), and a variant where the source has one.
    """
    chosen = _choose(context, spec)
    check = LeakageCheck()
    written, empty = _store(context, chosen, _wanted(chosen.split), spec.data.limit, check)
    warnings = list(chosen.loaded.warnings)
    if chosen.replaced is not None:
        warnings.append(("fallback-used", _replaced(chosen, chosen.replaced)))
    leaks = check.leaks(tuple(written))
    warnings.extend(_duplicates(leak, written, context.folder) for leak in leaks if leak.documents)
    for code, text in warnings:
        context.emit(Alert("warning", code, text))
    used = chosen.replaced is not None
    values: dict[str, Any] = {
        "splits": {split: asdict(facts) for split, facts in written.items()},
        "source": {"kind": chosen.source.kind, **chosen.loaded.facts},
        "comparable": not used,
        "fallback_used": used,
        "leakage": {leak.name: leak.documents for leak in leaks},
        "empty_documents": empty,
    }
    variant = f"fallback {_digest(written)}" if used else chosen.loaded.variant
    if variant is not None:
        values["variant"] = variant
    atomic_write(context.folder / "data.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    artifacts = {f"{split}.parquet": "documents" for split in written} | {"data.json": "data facts"}
    return StepOutput(values, artifacts, tuple(text for _, text in warnings))


def _choose(context: StepContext, spec: Spec) -> _Chosen:
    """The source, or the fallback where the source is out of reach. Raises what the source raised where there is no fallback."""
    data = spec.data
    context.emit(Progress("data", 0, None, "document"))
    try:
        return _Chosen(_load(context, spec, data.source, "data.source"), data.source, data.split)
    except SourceUnavailable as error:
        if data.fallback is None:
            raise
        loaded = _load(context, spec, data.fallback, "data.fallback")
        return _Chosen(loaded, data.fallback, _split_of_fallback(data.split, loaded), error)


def _load(context: StepContext, spec: Spec, source: Part, key: str) -> LoadedText:
    base = context.base_folder(f"{key}.path") if hasattr(source, "path") else context.folder
    request = SourceRequest(base, context.emit, spec.data.columns.text, context.data_root, key)
    return load_text(source, request)


def _split_of_fallback(split: Part, loaded: LoadedText) -> Part:
    """A fallback without splits of its own is cut by ratio where the spec relies on the first source's splits."""
    if isinstance(split, Given) and set(loaded.splits) == {WHOLE}:
        return Ratio(kind="ratio", validation=0.1, test=0.1 if split.test is not None else 0.0)
    return split


def _replaced(chosen: _Chosen, error: SourceUnavailable) -> str:
    cut = ", cut into splits by ratio" if chosen.split.kind == "ratio" else ""
    return f"the fallback source {chosen.source.kind} was used{cut}; the run is not comparable. The first source: {error.message}"


def _wanted(split: Part) -> tuple[str, ...]:
    return tuple(name for name in _ORDER if name != "test" or getattr(split, "test", None))


def _store(
    context: StepContext, chosen: _Chosen, splits: tuple[str, ...], limit: int | None, check: LeakageCheck
) -> tuple[dict[str, Written], int]:
    """Write every document to its split's file. Returns what each holds, and how many empty documents were left out."""
    empty = 0
    with ExitStack() as stack:
        writers = {split: stack.enter_context(DocumentWriter(context.folder / f"{split}.parquet")) for split in splits}

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
    _check_not_empty(written, chosen)
    return written, empty


def _with_progress(routed: Iterator[tuple[str, str]], emit: Emit) -> Iterator[tuple[str, str]]:
    for done, item in enumerate(routed, 1):
        yield item
        if done % _PROGRESS_DOCUMENTS == 0:
            emit(Progress("data", done, None, "document"))


def _check_not_empty(written: Mapping[str, Written], chosen: _Chosen) -> None:
    total = sum(facts.documents for facts in written.values())
    if total == 0:
        raise DataError(f"the {chosen.source.kind} source holds no text", code="empty-corpus", hint="name a source that holds text")
    for split, facts in written.items():
        if facts.documents == 0:
            message = f"the {split} split is empty: data.split {chosen.split.kind} gives it none of the {total:,} documents"
            raise DataError(message, code="empty-split", hint=f"{_more_for(split, chosen.split)}, or give the source more documents")


def _more_for(name: str, split: Any) -> str:
    """What gives an empty split documents."""
    if split.kind == "given":
        return f"set data.split.{name} to one of the source's splits that has documents"
    if name == "train":
        return "lower data.split.validation" + (" or data.split.test" if split.test else "")
    return f"raise data.split.{name}"


def _duplicates(leak: Leak, written: Mapping[str, Written], folder: Path) -> tuple[str, str]:
    share = leak.documents / written[leak.second].documents
    example = next(islice(read_documents(folder / f"{leak.second}.parquet"), leak.example, None)).strip()
    text = (
        f"{_documents(leak.documents)} of {leak.second} ({share:.1%}) also in {leak.first}, so {leak.second} figures may be "
        f"too good; one begins {example[:_EXCERPT_CHARACTERS]!r}"
    )
    return "duplicate-across-splits", text


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _digest(written: Mapping[str, Written]) -> str:
    return " ".join(facts.sha256[:16] for facts in written.values())
