"""What is known about the data before it is read again: counted by earlier steps, else estimated from file sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.plan.graph import StepGraph
from specrun.plan.predict import BYTES_PER_TOKEN, Facts
from specrun.spec.document import Spec


def gather_facts(spec: Spec, plan: StepGraph, workspace: Workspace, *, base_folder: Callable[[str], Path], data_root: Path | None) -> Facts:
    """The best available figures of the training data for a prediction."""
    results = {step.kind: workspace.result(step.kind, step.key) for step in plan.steps if step.seed is None}
    tokens = results.get("tokens")
    if tokens is not None:
        splits = tokens.values["splits"]
        return Facts(splits["train"]["count"], tokens.values["vocab_size"], exact=True, basis="counted",
                     evaluation_tokens=_evaluated(spec, splits.get("validation", {}).get("count", 0)))  # fmt: skip
    tokenizer = results.get("tokenizer")
    vocab_size = tokenizer.values["vocab_size"] if tokenizer is not None else _expected_vocabulary(spec.data.tokenizer)
    bytes_per_token = BYTES_PER_TOKEN.get(spec.data.tokenizer.kind, 4.0)
    data = results.get("data")
    if data is not None:
        sizes = {name: split["bytes"] for name, split in data.values["splits"].items()}
        return Facts(int(sizes["train"] / bytes_per_token), vocab_size, exact=False,
                     basis=f"estimated: {bytes_per_token:g} bytes a token",
                     evaluation_tokens=_evaluated(spec, int(sizes.get("validation", 0) / bytes_per_token)))  # fmt: skip
    size = _source_bytes(spec, base_folder, data_root)
    if size is None:
        return Facts(None, vocab_size, exact=False, basis="unknown until the data has been read")
    validation, test = getattr(spec.data.split, "validation", 0.1), getattr(spec.data.split, "test", 0.0)
    shares = [share if isinstance(share, float) else 0.1 for share in (validation, test)]
    return Facts(int(size * (1 - sum(shares)) / bytes_per_token), vocab_size, exact=False,
                 basis=f"estimated from the size of the source: {bytes_per_token:g} bytes a token",
                 evaluation_tokens=_evaluated(spec, int(size * shares[0] / bytes_per_token)))  # fmt: skip


def _evaluated(spec: Spec, tokens: int) -> int:
    limit = spec.schedule.evaluate.max_batches
    return tokens if limit is None else min(tokens, limit * spec.schedule.batch_size * spec.data.sequence_length)


def _expected_vocabulary(tokenizer: Any) -> int:
    """What the tokenizer is asked for; for characters, what English text usually has."""
    asked = getattr(tokenizer, "vocab_size", None)
    if asked is not None:
        return int(asked)
    return 257 if tokenizer.kind == "byte" else 100


def _source_bytes(spec: Spec, base_folder: Callable[[str], Path], data_root: Path | None) -> int | None:
    source: Any = spec.data.source
    estimate = getattr(source, "estimate_bytes", None)
    if estimate is None:
        return None
    size: int | None = estimate(base=base_folder("data.source.path"), data_root=data_root)
    return size
