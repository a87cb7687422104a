"""What there is to see of finished data, as plain JSON: sizes, types, lengths, classes, padding, leaks and some examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from specrun.plan.step import StepResult
from specrun.sources.document_file import read_documents
from specrun.spec.document import Spec
from specrun.steps.data.distribution import distributions
from specrun.steps.data.profile import length_bins

Found = tuple[Path, StepResult]
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 160
_MOST_MEASURED_BYTES = 256 * 2**20
"""Documents of more bytes than this are not measured one by one."""


def describe(spec: Spec, results: Mapping[str, Found], *, not_prepared: str = "") -> dict[str, Any]:
    """The data of a spec. results: folder and result of each finished step by its kind; not_prepared: why there are no examples or tokens.

    noun: what a split is made of; splits {name: {rows or documents, bytes, samples, predictions, padding_share}}, as far as they are
    known; profile {split: {column: see `profile`}}; distributions {column: see `distribution`}, of targets in train that are numbers and
    no classes; leakage, left_out, checks, class_names, warnings, source, columns, roles, examples.
    """
    folder, data = results["data"]
    values = data.values
    is_table = spec.task.data_form == "table"
    noun = "rows" if is_table else "documents"
    splits = {name: {noun: facts[noun], "bytes": facts["bytes"]} for name, facts in values["splits"].items()}
    for name, facts in _prepared(spec, results).items():
        splits[name] |= facts
    told = {name: values[name] for name in ("columns", "roles", "left_out", "checks", "class_names") if name in values}
    return {
        "format_version": 1,
        "task": spec.task.kind,
        "noun": noun,
        "counts": spec.task.counts,
        "source": values["source"],
        "comparable": values["comparable"],
        "splits": splits,
        **told,
        "leakage": values["leakage"],
        "profile": values["profile"] if is_table else _measured(folder, values["splits"]),
        "distributions": distributions(folder / "train.parquet", _numeric_targets(spec, results)) if is_table else {},
        "examples": list(_rows(folder) if is_table else _texts(folder)),
        "warnings": [text for _, result in results.values() for text in result.warnings],
        "not_prepared": not_prepared,
    }


def _numeric_targets(spec: Spec, results: Mapping[str, Found]) -> list[str]:
    """Targets that are numbers with more different values than are told one by one, where the task has not made classes of them."""
    values = results["data"][1].values
    prepared = results["examples"][1].values if "examples" in results else {}
    if "classes" in prepared or getattr(spec.task, "objective", None) == "classification":
        return []
    found = []
    for name in values.get("roles", {}).get("target", ()):
        facts = values["profile"]["train"].get(name, {})
        whole = len(facts.get("classes", ())) == facts.get("distinct")
        if "std" in facts and not whole and name not in values.get("class_names", {}):
            found.append(name)
    return found


def _prepared(spec: Spec, results: Mapping[str, Found]) -> dict[str, dict[str, Any]]:
    """Samples, predictions and padding of each split, as far as the steps after `data` have told them."""
    found: dict[str, dict[str, Any]] = {}
    if "examples" in results:
        positions = spec.task.sample_positions(spec)
        for name, facts in results["examples"][1].values["splits"].items():
            found[name] = {"samples": facts["samples"], spec.task.counts: facts["predictions"]}
            if positions > 1 and facts["samples"]:
                found[name]["padding_share"] = max(0.0, 1 - facts["positions"] / (facts["samples"] * positions))
    if "tokens" in results:
        folder, tokens = results["tokens"]
        for name, facts in tokens.values["splits"].items():
            found[name] = {"tokens": facts["count"], **_padding(spec, folder, name)}
    return found


def _padding(spec: Spec, folder: Path, split: str) -> dict[str, Any]:
    """Samples of a token file, and their padding: a stream has none, documents are padded to a sequence."""
    from specrun.training.documents import pieces
    from specrun.training.token_file import open_tokens

    tokens, length = open_tokens(folder, split), spec.data.sequence_length
    if spec.data.packing == "stream":
        return {"samples": max(1, (tokens.info.count - 1) // length), "padding_share": 0.0}
    lengths = pieces(tokens, sequence_length=length).lengths
    return {"samples": len(lengths), "padding_share": float(1 - np.sum(lengths) / (len(lengths) * length)) if len(lengths) else 0.0}


def _measured(folder: Path, splits: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Lengths of documents, of splits that are not too large to be read again."""
    found = {}
    for name, facts in splits.items():
        if facts["bytes"] <= _MOST_MEASURED_BYTES:
            lengths = np.fromiter((len(document) for document in read_documents(folder / f"{name}.parquet")), np.int64)
            told = {"min": int(lengths.min()), "mean": float(lengths.mean()), "max": int(lengths.max()), "bins": length_bins(lengths)}
            found[name] = {"text": {"type": "text", "missing": 0, "characters": told}}
    return found


def _texts(folder: Path) -> Iterator[dict[str, str]]:
    for document in islice(read_documents(folder / "train.parquet"), _EXAMPLES):
        yield {"text": _short(document)}


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / "train.parquet") as file:
        batch = next(file.iter_batches(batch_size=_EXAMPLES))
        for row in batch.to_pylist():
            yield {name: _short(_value(value)) for name, value in row.items()}


def _value(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return f"{len(value['bytes']):,} bytes" + (f", {value['path']}" if value.get("path") else "")
    return f"{len(value):,} bytes" if isinstance(value, bytes) else "" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"
