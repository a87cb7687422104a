"""What storing the data of either form comes to, and the remedies that both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specrun.errors import DataError
from specrun.events import Alert, Emit
from specrun.spec.sections.checks import Checks


@dataclass(frozen=True, slots=True)
class Stored:
    """Splits on disk. values: `splits`, `leakage` and what else there is to tell; artifacts: path under the folder -> role;
    warnings: (code, text)."""

    values: Mapping[str, Any]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()


def check_not_empty(sizes: Mapping[str, int], split: Any, *, noun: str, left_out: str = "") -> None:
    """Raise DataError for a split that holds nothing. sizes: how many of them each split has; left_out: what became of others."""
    total = sum(sizes.values())
    for name, size in sizes.items():
        if size == 0:
            message = f"the {name} split is empty: data.split {split.kind} gives it none of the {total:,} {noun}{left_out}"
            raise DataError(message, code="empty-split", hint=f"{_more_for(name, split, noun=noun)}, or give the source more {noun}")


def _more_for(name: str, split: Any, *, noun: str) -> str:
    """What gives an empty split more."""
    if split.kind == "given" and name in split.sources:
        return f"set data.split.{name} to one of the source's splits that has {noun}"
    if split.kind == "kfold":
        return "lower data.split.folds"
    if split.kind == "time" and (split.shares is None or split.gap is not None):
        moments = "move the moments of data.split" if split.shares is None else "change the shares of data.split"
        return moments if split.gap is None else f"lower data.split.gap, {moments}"
    if name == "train":
        return "lower data.split.validation" + (" or data.split.test" if getattr(split, "test", None) else "")
    return f"raise data.split.{name}"


def check_rows(total: int, checks: Checks, *, noun: str) -> None:
    """Raise DataError for more or fewer rows than are expected."""
    for name, bound, broken in (("min_rows", checks.min_rows, total < (checks.min_rows or 0)),
                                ("max_rows", checks.max_rows, checks.max_rows is not None and total > checks.max_rows)):  # fmt: skip
        if broken:
            least = "at least" if name == "min_rows" else "at most"
            raise DataError(f"the data has {total:,} {noun}, and data.checks.{name} expects {least} {bound:,}", code="unexpected-rows",
                            hint=f"look at the source, or set data.checks.{name}: {total}")  # fmt: skip


def told(warnings: tuple[tuple[str, str], ...], emit: Emit) -> tuple[str, ...]:
    """Show warnings as they are found; returns their texts."""
    for code, text in warnings:
        emit(Alert("warning", code, text))
    return tuple(text for _, text in warnings)


def leak_warning(code: str, text: str, *, checks: Checks, remedy: str) -> tuple[str, str]:
    """A leak as a warning. Raises DataError where `checks.leakage` is `fail`."""
    if checks.leakage == "fail":
        raise DataError(text, code="leaking-split", hint=f"{remedy}, or set data.checks.leakage: warn")
    return code, text
