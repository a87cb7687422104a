"""How much text a source is expected to hold, split by split, before any of it is read. Figures for predictions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrun.spec.section import Part


@dataclass(frozen=True, slots=True)
class Extent:
    """A split of a source. documents: about how many, None where only reading would tell."""

    size_bytes: int
    documents: float | None = None

    def share(self, part: float) -> Extent:
        """So large a part of it, at least one document."""
        return Extent(int(self.size_bytes * part), None if self.documents is None else max(1.0, self.documents * part))

    def limited(self, limit: int | None) -> int | None:
        """Bytes of its first documents, so many; None where that cannot be known."""
        if limit is None:
            return self.size_bytes
        if self.documents is None:
            return None
        return int(self.size_bytes * min(1.0, limit / self.documents))


def expected_sizes(split: Part, extents: Mapping[str, Extent], *, limit: int | None) -> dict[str, int] | None:
    """Bytes of train, validation and test, as `data.split` makes them of a source. limit: documents of a split, as in `data.limit`.

    A split that cannot be known is absent; None where that is train.
    """
    expected = _given(split, extents) if split.kind == "given" else _cut(split, extents)
    sizes = {role: size for role, extent in expected.items() if (size := extent.limited(limit)) is not None}
    return sizes if "train" in sizes else None


def expected_documents(split: Part, extents: Mapping[str, Extent], *, limit: int | None) -> float | None:
    """About how many documents train; None where only reading would tell."""
    expected = _given(split, extents) if split.kind == "given" else _cut(split, extents)
    documents = expected["train"].documents if "train" in expected else None
    return documents if documents is None or limit is None else min(documents, float(limit))


def _given(split: Any, extents: Mapping[str, Extent]) -> dict[str, Extent]:
    found = {role: extents[name] for role, name in split.sources.items() if name in extents}
    if isinstance(split.validation, float) and "train" in found:
        whole = found["train"]
        found |= {"train": whole.share(1 - split.validation), "validation": whole.share(split.validation)}
    return found


def _cut(split: Any, extents: Mapping[str, Extent]) -> dict[str, Extent]:
    """Shares of the only split; of several there is none to cut, and the data step says so."""
    if len(extents) != 1:
        return {}
    (whole,) = extents.values()
    return {role: whole.share(part) for role, part in (split.shares or {}).items() if part > 0}
