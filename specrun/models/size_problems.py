"""Sizes of a transformer that do not go together, each with one that does."""

from __future__ import annotations

from collections.abc import Container, Iterator

from specrun.spec.section import Problem

Place = tuple[str | int, ...]


def head_problems(path: Place, *, width: int, heads: int, written: Container[str]) -> Iterator[Problem]:
    """Whether the heads divide the width. path: of the model; written: its fields that a spec has."""
    if width % heads:
        low, high = width // heads * heads, -(-width // heads) * heads
        choices = " or ".join(str(w) for w in (low, high) if w)
        yield Problem(_at(path, written), "heads-do-not-divide-width",
                      f"width {width} is not a multiple of num_heads {heads}", f"use width {choices}")  # fmt: skip


def rotary_problems(path: Place, *, width: int, heads: int, written: Container[str]) -> Iterator[Problem]:
    """Whether heads that divide the width can be turned, half by half."""
    if width % heads == 0 and width // heads % 2:
        yield Problem(_at(path, written), "odd-head-size",
                      f"rotary positions need an even head size; {width} / {heads} is {width // heads}",
                      f"use width {2 * heads * max(1, width // (2 * heads))}")  # fmt: skip


def kv_head_problems(path: Place, *, heads: int, kv_heads: int) -> Iterator[Problem]:
    """Whether heads of keys and values divide those of queries."""
    if heads % kv_heads:
        yield Problem((*path, "num_kv_heads"), "kv-heads-do-not-divide-heads",
                      f"num_heads {heads} is not a multiple of num_kv_heads {kv_heads}",
                      f"use one of {', '.join(str(k) for k in range(1, heads + 1) if heads % k == 0)}")  # fmt: skip


def length_problems(max_positions: int | None, sequence_length: int) -> Iterator[Problem]:
    """Whether a sequence fits the positions, where a spec says how many there are."""
    if max_positions and max_positions < sequence_length:
        yield Problem(("data", "sequence_length"), "sequence-exceeds-positions",
                      f"sequence_length {sequence_length} is more than the model's max_positions {max_positions}",
                      f"use sequence_length {max_positions} or max_positions {sequence_length}")  # fmt: skip


def _at(path: Place, written: Container[str]) -> Place:
    return (*path, "num_heads" if "num_heads" in written else "width")
