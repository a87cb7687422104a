"""Finds the name a person meant."""

from __future__ import annotations

from collections.abc import Iterable


def distance(first: str, second: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours (Damerau 1964)."""
    before: list[int] = []
    previous = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, previous = previous, row
    return previous[-1]


def nearest(name: str, known: Iterable[str], *, reach: float = 0.4) -> str | None:
    """The known name most like `name`, or None when none is near. reach: edits allowed, as a share of the longer name."""
    wanted = _plain(name)[:100]
    candidates = sorted((distance(wanted, _plain(k)), k) for k in known)
    if candidates:
        edits, candidate = candidates[0]
        swapped = sorted(wanted) == sorted(_plain(candidate))
        if edits <= reach * max(len(wanted), len(candidate)) and (swapped or max(len(wanted), len(candidate)) > 3):
            return candidate
    shortened = [k for _, k in candidates if len(wanted) >= 3 and (_plain(k).startswith(wanted) or wanted.startswith(_plain(k)))]
    return shortened[0] if shortened else None


def nearest_metric(name: str, known: Iterable[str]) -> str | None:
    """The known metric most like `name`: first as a whole, then part by part, each of which may be cut short: `valid/los`."""
    metrics = list(known)

    def begins(metric: str) -> bool:
        parts, wanted = _plain(metric).split("/"), _plain(name).split("/")
        return len(parts) == len(wanted) and all(
            len(w) >= 2 and (p.startswith(w) or nearest(w, [p]) is not None) for p, w in zip(parts, wanted, strict=True)
        )

    return nearest(name, metrics) or next((metric for metric in metrics if begins(metric)), None)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def listed(names: Iterable[str], conjunction: str = "or") -> str:
    """`a, b or c`."""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {conjunction} {items[-1]}" if items else ""
