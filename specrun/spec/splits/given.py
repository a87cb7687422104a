"""Splits that the source itself names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from specrun.spec.section import Problem, apart, option
from specrun.spec.split_options import RowKey, SplitOptions, stratify_problems

if TYPE_CHECKING:
    from specrun.spec.document import Spec

Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Options(SplitOptions):
    """The source's own splits. A text source has them where its path is a mapping; a Hub dataset by its configuration."""

    factory: ClassVar[str] = "specrun.sources.splitting:given"
    assigner: ClassVar[str] = "specrun.sources.assignment:held_out"
    kind: Literal["given"] = option(impact="weights", description="The source's own splits.")
    train: str = option("train", impact="weights", description="The source's name for the train split.", min_length=1)
    validation: Name | Share = option(
        "validation",
        impact="weights",
        description="The source's name for the validation split; or, where it has none, the share of the train split to hold out for it, "
        "0 to 1, chosen by a hash of the position and the seed.",
    )
    test: str | None = option(
        None, impact="weights", description="The source's name for the test split; absent means no test split.", min_length=1
    )
    stratify: bool = option(False, impact="weights", description="Hold out the same share of each class.")
    seed: int = option(0, impact="weights", description="Seed of what is held out.", ge=0, lt=2**63)

    @property
    def sources(self) -> dict[str, str]:
        """The source's name of each split that it names."""
        told = {"train": self.train, "validation": self.validation, "test": self.test}
        return {role: name for role, name in told.items() if isinstance(name, str)}

    @property
    def keys(self) -> frozenset[RowKey]:
        """The class of a row, where each is held out for itself."""
        return frozenset({"label"}) if self.stratify else frozenset()

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Classes that there are none of, and what counts only where a share is held out."""
        yield from apart(self._stratify(spec, path), self._without_effect(path))

    def _stratify(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.stratify and not isinstance(self.validation, str):
            yield from stratify_problems(spec, path)

    def _without_effect(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for name in ("stratify", "seed"):
            if name in self.model_fields_set and isinstance(self.validation, str):
                message = f"{'.'.join(map(str, path))}.{name} has no effect: validation is a split of the source's own"
                hint = f"remove {name}, or hold out a share: validation: 0.1"
                yield Problem((*path, name), "option-without-effect", message, hint, severity="warning")
