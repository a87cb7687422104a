"""One of k equal parts validates, the others train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Problem, apart, option
from specrun.spec.split_options import Fold, RowKey, SplitOptions, role_problems, stratify_problems

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(SplitOptions):
    """Cross-validation: over fold 1 to fold k each document or row validates once. A run a fold, each with data of its own."""

    factory: ClassVar[str] = "specrun.sources.splitting:kfold"
    assigner: ClassVar[str] = "specrun.sources.assignment:kfold"
    kind: Literal["kfold"] = option(impact="weights", description="One of several equal parts.")
    folds: int = option(5, impact="weights", description="Number of parts.", ge=2, le=1000)
    fold: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = option(
        "all", impact="weights", description="The part that validates, from 1; all is a run for each.", examples=[1]
    )
    stratify: bool = option(False, impact="weights", description="Give every fold the same share of each class.")
    by_group: bool = option(
        False, impact="weights", description="Keep the rows of a group in one fold, by the columns of data.columns.group."
    )
    shuffle: bool = option(
        False, impact="weights", description="Shuffle first, by a hash of the position and the seed; otherwise folds are consecutive."
    )
    seed: int = option(0, impact="weights", description="Seed of the shuffle.", ge=0, lt=2**63)

    @property
    def keys(self) -> frozenset[RowKey]:
        """The class of a row, or its group."""
        asked: dict[RowKey, bool] = {"label": self.stratify, "group": self.by_group}
        return frozenset(key for key, wanted in asked.items() if wanted)

    @property
    def shares(self) -> Mapping[str, float]:
        """One part, and the others."""
        return {"train": 1 - 1 / self.folds, "validation": 1 / self.folds}

    @property
    def folds_asked(self) -> tuple[int, ...]:
        """Every one, unless one is named."""
        return tuple(range(1, self.folds + 1)) if self.fold == "all" else ()

    @property
    def own_fold(self) -> Fold | None:
        """The part that validates, of how many."""
        return None if self.fold == "all" else Fold(self.fold, self.folds)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """A fold that there is not, and what cannot be kept together."""
        yield from apart(self._fold(path), self._kept(spec, path), self._without_effect(path))

    def _fold(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.fold != "all" and self.fold > self.folds:
            message = f"fold {self.fold} is not one of {self.folds} folds"
            yield Problem((*path, "fold"), "no-such-fold", message, f"use a fold from 1 to {self.folds}, or all")

    def _kept(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.stratify and self.by_group:
            message = "stratify and by_group ask for two divisions at once"
            yield Problem((*path, "stratify"), "two-divisions", message, "keep by_group where rows of a group are alike, else stratify")
        elif self.stratify:
            yield from stratify_problems(spec, path)
        elif self.by_group:
            yield from role_problems(spec, (*path, "by_group"), role="group", of="by_group")

    def _without_effect(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if "seed" in self.model_fields_set and not self.shuffle:
            message = f"{'.'.join(map(str, path))}.seed has no effect: folds that are not shuffled use no seed"
            yield Problem((*path, "seed"), "option-without-effect", message, "remove seed, or add shuffle: true", severity="warning")
