"""Patterns over the names of parameters and layers: `*` for any characters, `?` for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from specrun.spec.nearest import listed, nearest

_SHOWN = 3


def matched(patterns: Iterable[str], names: Sequence[str]) -> list[str]:
    """The names that any of the patterns matches, in their order."""
    wanted = tuple(patterns)
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in wanted)]


def idle(patterns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Places of the patterns that match none of the names."""
    return [place for place, pattern in enumerate(patterns) if not any(fnmatchcase(name, pattern) for name in names)]


def remedy(pattern: str, names: Sequence[str]) -> str:
    """What to write in place of a pattern that matches nothing: one near it that does match, else examples."""
    if (near := nearest(pattern, sorted(set(_candidates(names))))) is not None:
        return f"did you mean {near}?"
    return f"there are {listed([*names[:_SHOWN], *names[_SHOWN:][-1:]], 'and')}" if names else "there are none"


def _candidates(names: Sequence[str]) -> Iterator[str]:
    """Names, and what a person would shorten them to. Of many alike blocks, the first speaks for all."""
    for name in names:
        parts = name.split(".")
        number = next((part for part in parts if part.isdecimal()), None)
        if number not in (None, "0"):
            continue
        yield name
        for cut in range(1, len(parts)):
            yield f"{'.'.join(parts[:cut])}.*"
            yield f"*.{'.'.join(parts[cut:])}"
            if cut + 1 < len(parts):
                yield f"*.{parts[cut]}.*"
        if number is not None:
            yield ".".join("*" if part == number else part for part in parts)
