"""What is known about the data before it is read again: counted by earlier steps, else estimated from file sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.plan.graph import StepGraph
from specrun.plan.predict import BYTES_PER_TOKEN, Facts
from specrun.plan.step import StepResult
from specrun.sources.extent import Extent, expected_documents, expected_sizes
from specrun.spec.document import Spec


def gather_facts(spec: Spec, plan: StepGraph, workspace: Workspace, *, base_folder: Callable[[str], Path], data_root: Path | None) -> Facts:
    """The best available figures of the training data for a prediction."""
    results = {step.kind: workspace.result(step.kind, step.key) for step in plan.steps if step.seed is None}
    data = results.get("data")
    if "examples" in spec.task.prepared_by:
        return _of_examples(spec, results.get("examples"), None if data is None else text_bytes(data.values))
    tokens = results.get("tokens")
    if tokens is not None:
        splits = tokens.values["splits"]
        counted = Facts(splits["train"]["count"], tokens.values["vocab_size"], exact=True, basis="counted",
                        evaluation_tokens=_evaluated(spec, splits.get("validation", {}).get("count", 0)),
                        text_bytes=None if data is None else text_bytes(data.values))  # fmt: skip
        if spec.data.packing == "documents":
            return _with_pieces(counted, spec, workspace.store / tokens.folder)
        return _in_windows(counted, spec)
    tokenizer = results.get("tokenizer")
    vocab_size = tokenizer.values["vocab_size"] if tokenizer is not None else _expected_vocabulary(spec.data.tokenizer)
    bytes_per_token = BYTES_PER_TOKEN.get(spec.data.tokenizer.kind, 4.0)
    documents: float | None
    if data is not None:
        sizes, origin = {name: split["bytes"] for name, split in data.values["splits"].items()}, "estimated"
        documents = data.values["splits"]["train"]["documents"]
    else:
        extents = _extents(spec, base_folder, data_root)
        expected = expected_sizes(spec.data.split, extents, limit=spec.data.limit)
        if expected is None:
            return Facts(None, vocab_size, exact=False, basis="unknown until the data has been read")
        sizes, origin = expected, "estimated from the size of the source"
        documents = expected_documents(spec.data.split, extents, limit=spec.data.limit)
    count = int(sizes["train"] / bytes_per_token)
    samples, basis = None, f"{origin}: {bytes_per_token:g} bytes a token"
    if spec.data.packing == "documents":
        samples, told = _expected_pieces(count, documents, spec.data.sequence_length)
        basis = f"{basis}, {told}"
    found = Facts(count, vocab_size, exact=False, basis=basis,
                  evaluation_tokens=_evaluated(spec, int(sizes.get("validation", 0) / bytes_per_token)),
                  text_bytes=sum(sizes.values()), train_samples=samples, predicted_tokens=None if samples is None else count)  # fmt: skip
    return _in_windows(found, spec) if samples is None else found


def _in_windows(counted: Facts, spec: Spec) -> Facts:
    """The facts of a stream of tokens, of which a task predicts some and computes all."""
    predicted, positions = spec.task.sample_length(spec), spec.task.sample_positions(spec)
    if predicted == positions or counted.train_tokens is None:
        return counted
    samples = max(0, (counted.train_tokens - 1) // positions)
    return replace(counted, train_samples=samples, predicted_tokens=samples * predicted, train_positions=samples * positions)


def _of_examples(spec: Spec, examples: StepResult | None, size_bytes: int | None) -> Facts:
    """Of a task whose samples are rows, counted where they have been prepared; before that nothing is known."""
    if examples is None:
        return Facts(None, None, exact=False, basis="unknown until the data has been read", text_bytes=size_bytes)
    values = examples.values
    train, validation = values["splits"]["train"], values["splits"].get("validation", {})
    limit = spec.schedule.evaluate.max_batches
    judged, positions = validation.get("samples", 0), validation.get("positions", 0)
    share = 1.0 if limit is None or not judged else min(1.0, limit * spec.schedule.batch_size / judged)
    sizes = spec.task.sizes(spec, values)
    return Facts(train["predictions"], sizes.get("vocab_size"), exact=True, basis="counted", evaluation_tokens=int(positions * share),
                 text_bytes=size_bytes, train_samples=train["samples"], predicted_tokens=train["predictions"],
                 train_positions=train["positions"], sizes=sizes)  # fmt: skip


def _with_pieces(counted: Facts, spec: Spec, folder: Path) -> Facts:
    """The facts, with the pieces that a tokens step's documents are cut into."""
    from specrun.training.documents import pieces
    from specrun.training.token_file import open_tokens

    found = pieces(open_tokens(folder, "train"), sequence_length=spec.data.sequence_length)
    return replace(counted, train_samples=len(found.lengths), predicted_tokens=found.tokens)


def _expected_pieces(tokens: int, documents: float | None, sequence_length: int) -> tuple[int, str]:
    """How many pieces documents are likely to be cut into, and by what rule: the last piece of each is half as long as a sequence."""
    if documents is None:
        return max(1, tokens // sequence_length), "documents taken to be long"
    return max(1, round(documents), round(tokens / sequence_length + documents / 2)), f"about {round(documents):,} documents"


def text_bytes(data: Mapping[str, Any]) -> int:
    """Bytes of text of all splits. data: the values of a finished data step."""
    return sum(int(split["bytes"]) for split in data["splits"].values())


def _evaluated(spec: Spec, tokens: int) -> int:
    limit = spec.schedule.evaluate.max_batches
    return tokens if limit is None else min(tokens, limit * spec.schedule.batch_size * spec.data.sequence_length)


def _expected_vocabulary(tokenizer: Any) -> int:
    """What the tokenizer is asked for or always has; for characters, what English text usually has."""
    asked = getattr(tokenizer, "vocab_size", None) or getattr(tokenizer, "exact_vocab_size", None)
    return 100 if asked is None else int(asked)


def _extents(spec: Spec, base_folder: Callable[[str], Path], data_root: Path | None) -> Mapping[str, Extent]:
    """What the source says of itself before it is read; nothing for one that cannot say."""
    source: Any = spec.data.source
    extents = getattr(source, "extents", None)
    if extents is None:
        return {}
    found: Mapping[str, Extent] = extents(base=base_folder("data.source.path"), data_root=data_root)
    sample = spec.data.sample
    return found if sample is None else {name: extent.share(sample.fraction) for name, extent in found.items()}
