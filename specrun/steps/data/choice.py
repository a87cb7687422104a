"""Chooses between the source of a spec and its fallback, and loads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from specrun.sources.contract import WHOLE, LoadedTable, LoadedText, SourceRequest, SourceUnavailable
from specrun.spec.document import Spec
from specrun.spec.section import Part
from specrun.spec.split_options import SplitOptions
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.ratio import Options as Ratio
from specrun.steps.contract import StepContext

Loaded = TypeVar("Loaded", LoadedText, LoadedTable)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[Loaded]):
    """The source that was loaded. split: how it is told apart; replaced: why the fallback stands in for the first source, if it does."""

    loaded: Loaded
    source: Part
    split: SplitOptions
    replaced: SourceUnavailable | None = None

    @property
    def why_replaced(self) -> str | None:
        """The fallback in words; None where the first source was used."""
        if self.replaced is None:
            return None
        cut = ", cut into splits by ratio" if self.split.kind == "ratio" else ""
        return f"the fallback source {self.source.kind} was used{cut}; the run is not comparable. The first source: {self.replaced.message}"


def choose(context: StepContext, spec: Spec, load: Callable[[Part, SourceRequest], Loaded]) -> Chosen[Loaded]:
    """The source, or the fallback where the source is out of reach. Raises what the source raised where there is no fallback."""
    data = spec.data

    def loaded(source: Part, key: str) -> Loaded:
        base = context.base_folder(f"{key}.path") if hasattr(source, "path") else context.folder
        downloads = context.store / "cache" / "downloads"
        return load(source, SourceRequest(base, context.emit, data.columns.text, context.data_root, key, downloads))

    assert isinstance(data.split, SplitOptions)
    try:
        return Chosen(loaded(data.source, "data.source"), data.source, data.split)
    except SourceUnavailable as error:
        if data.fallback is None:
            raise
        found = loaded(data.fallback, "data.fallback")
        return Chosen(found, data.fallback, _split_of_fallback(data.split, found), error)


def _split_of_fallback(split: SplitOptions, loaded: LoadedText | LoadedTable) -> SplitOptions:
    """A fallback without splits of its own is cut by ratio where the spec relies on the first source's splits."""
    if isinstance(split, Given) and set(loaded.splits) == {WHOLE}:
        return Ratio(kind="ratio", validation=0.1, test=0.1 if split.test is not None else 0.0)
    return split
