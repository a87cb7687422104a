"""Counts documents that stand in two splits word for word.

Texts are compared without the white space around them, very long ones as they are. Short ones, such as headings and blank
lines, recur in any corpus and say nothing about a leak, so documents under MINIMUM_CHARACTERS are left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import combinations

MINIMUM_CHARACTERS = 40
_EXCERPT_CHARACTERS = 80
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Leak:
    """How many documents of the second split also stand in the first. excerpt: the start of one of them."""

    first: str
    second: str
    documents: int
    excerpt: str

    @property
    def name(self) -> str:
        return f"{self.first}/{self.second}"


class LeakageCheck:
    """Takes every document once, in any order. Memory: about 100 bytes a distinct document."""

    def __init__(self) -> None:
        self._seen: dict[str, Counter[bytes]] = {}
        self._excerpts: dict[bytes, str] = {}

    def add(self, split: str, document: str) -> None:
        # A copy of a very long document would cost as much memory as the document.
        text = document.strip() if len(document) <= _BLOCK else document
        if len(text) < MINIMUM_CHARACTERS:
            return
        digest = _digest(text)
        if any(digest in seen for other, seen in self._seen.items() if other != split):
            self._excerpts.setdefault(digest, text[:_EXCERPT_CHARACTERS])
        self._seen.setdefault(split, Counter())[digest] += 1

    def leaks(self, splits: tuple[str, ...]) -> list[Leak]:
        """Every pair of splits, in their order, leaks or not."""
        return [self._between(first, second) for first, second in combinations(splits, 2)]

    def _between(self, first: str, second: str) -> Leak:
        ours, theirs = self._seen.get(first, Counter()), self._seen.get(second, Counter())
        shared = [digest for digest in self._excerpts if digest in ours and digest in theirs]
        excerpt = self._excerpts[shared[0]] if shared else ""
        return Leak(first, second, sum(theirs[digest] for digest in shared), excerpt)


def _digest(text: str) -> bytes:
    whole = hashlib.blake2b(digest_size=16)
    for start in range(0, len(text), _BLOCK):
        whole.update(text[start : start + _BLOCK].encode())
    return whole.digest()
