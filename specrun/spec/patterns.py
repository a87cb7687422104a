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
    near = nearest(pattern, sorted(set(_candidates(names))))
    meant = _mended(pattern, names) or (near if near is not None and _is_likely(pattern, near) else None)
    if meant is not None:
        return f"did you mean {meant}?"
    alike = list(dict.fromkeys(".".join("*" if part.isdecimal() else part for part in name.split(".")) for name in names))
    return f"there are {listed([*alike[:_SHOWN], *alike[_SHOWN:][-1:]], 'and')}" if names else "there are none"


def _mended(pattern: str, names: Sequence[str]) -> str | None:
    """The pattern with each part that no name has as the one that was meant, the last as any where there is none, if that matches:
    `blocks.*.attn.q_proj` as `blocks.*.attention.*`."""
    known = sorted({part for name in names for part in name.split(".")})
    *before, last = [_mended_part(part, known) for part in pattern.split(".")]
    if None in before or (last is None and set("".join(filter(None, before))) <= set("*?")):
        return None
    near = ".".join(part or "*" for part in (*before, last))
    return next((form for form in (near, f"{near}.*", f"*.{near}", f"*.{near}.*") if not idle([form], names)), None)


def _mended_part(part: str, known: Sequence[str]) -> str | None:
    """A part as it was meant; None where no name has one like it."""
    word = part.strip("*")
    meant = word if not word or word in known or set(word) & set("?[") or word.isdecimal() else _meant(word, known)
    return None if meant is None else part.replace(word, meant) if word else part


def _meant(part: str, known: Sequence[str]) -> str | None:
    """The part of a name that is near to one, or that it abbreviates."""
    return nearest(part, known) or next((name for name in known if _abbreviates(part, name)), None)


def _abbreviates(short: str, name: str) -> bool:
    """Whether the letters are some of the name's, in their order and from its first on: attn for attention."""
    letters = iter(name)
    return len(short) > 1 and short[0] == name[:1] and all(letter in letters for letter in short)


def _is_likely(pattern: str, near: str) -> bool:
    """Whether every part that the one says is near to one that the other says: a whole that differs little may be another layer."""
    said = [part.strip("*") for part in near.split(".")]
    return all(set(part) <= set("*?") or _meant(part.strip("*"), said) is not None for part in pattern.split("."))


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
