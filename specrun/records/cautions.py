"""Owns which runs may be ranked together by a metric, and what is said where they may not. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specrun.records.rows import Caution

__all__ = ["cautions"]

_A_TOKEN = ("loss", "perplexity", "accuracy")
"""Figures a token: another tokenizer makes other tokens of the same text. A word's or a byte's do not depend on it."""


def cautions(metric: str, traits: Iterable[tuple[str, str, str]]) -> list[Caution]:
    """What stands against comparing runs by a metric. traits: (run id, task | data | tokenizer | fold, name, key or number).

    Figures of the machine (`throughput/...`, `system/...`) are of no corpus, so nothing stands against those.
    """
    split, _, figure = metric.partition("/")
    if split not in {"train", "validation", "test"}:
        return []
    values: dict[str, set[str]] = {}
    known = list(traits)
    for _, kind, value in known:
        values.setdefault(kind, set()).add(value)
    counts = {kind: len(found) for kind, found in values.items()}
    found = []
    if counts.get("task", 0) > 1:
        tasks = ", ".join(sorted(values["task"]))
        found.append(Caution("different-tasks", f"runs of several tasks ({tasks}) are not comparable by {metric}; choose one with --task"))
    if counts.get("data", 0) > 1 and _differ_by_fold(known):
        message = f"these runs are of {counts['fold']} folds, and each fold was measured on rows of its own"
        found.append(Caution("different-folds", f"{message}: compare the means over the folds"))
    elif counts.get("data", 0) > 1:
        message = f"these runs were measured on {counts['data']} different data sets, and {metric} is not comparable between them"
        found.append(Caution("different-data", f"{message}; choose those of one with --name or --tag"))
    if counts.get("tokenizer", 0) > 1 and figure in _A_TOKEN:
        message = f"these runs have {counts['tokenizer']} different tokenizers, and {metric} counts by token"
        found.append(Caution("different-tokenizers", f"{message}: compare them by {split}/bits_per_byte"))
    return found


def _differ_by_fold(traits: Sequence[tuple[str, str, str]]) -> bool:
    """Whether runs of the same fold have the same data, and every one is of a fold."""
    folds = {run: value for run, kind, value in traits if kind == "fold"}
    of_each: dict[str | None, set[str]] = {}
    for run, kind, value in traits:
        if kind == "data":
            of_each.setdefault(folds.get(run), set()).add(value)
    return None not in of_each and all(len(keys) == 1 for keys in of_each.values())
