"""What the options of every split say beside their fields: how documents and how rows are told apart, and what of a row decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from specrun.spec.section import Part, Problem

if TYPE_CHECKING:
    from specrun.spec.document import Spec

RowKey = Literal["hash", "label", "group", "time"]
ORDER = ("train", "validation", "test")
"""Names of the splits, in the order in which they are read, written and shown."""


class Fold(NamedTuple):
    """One part of a cross-validation. number: from 1; of: how many there are."""

    number: int
    of: int


class SplitOptions(Part):
    """Options of a split.

    factory: `route(options, loaded, full)` gives each document of a source, or a part of one, to a split: see `sources.splitting`.
    assigner: `assign(options, keys)` gives each row of a table to one: see `sources.assignment`.
    splits_documents: whether texts alone can be told apart by it.
    """

    assigner: ClassVar[str]
    splits_documents: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that it makes, in their order."""
        return tuple(name for name in ORDER if name != "test" or getattr(self, "test", None))

    @property
    def keys(self) -> frozenset[RowKey]:
        """What it must know of each row."""
        return frozenset()

    @property
    def shares(self) -> Mapping[str, float] | None:
        """About how much of one stretch of data each split gets; None where only reading would tell, or nothing is cut."""
        return None

    @property
    def folds_asked(self) -> tuple[int, ...]:
        """The folds that are to be a run each; empty where the options are of one run already."""
        return ()

    @property
    def own_fold(self) -> Fold | None:
        """The fold that the options are of; None where there are no folds, or all are asked for."""
        return None


def fold_of(spec: Spec) -> Fold | None:
    """The fold that a spec is of; None where it is of no cross-validation, or of all of one."""
    split = spec.data.split
    return split.own_fold if isinstance(split, SplitOptions) else None


def folds_asked(spec: Spec) -> tuple[int, ...]:
    """The folds that a spec asks a run each of; empty where it is planned as it is."""
    split = spec.data.split
    return split.folds_asked if isinstance(split, SplitOptions) else ()


def label_columns(spec: Spec) -> tuple[str, ...]:
    """The columns of what a task predicts: of the class where it has one, else of its targets. Empty where it has neither."""
    columns, roles = spec.data.columns, spec.task.roles
    if "label" in roles:
        return (columns.label,)
    return named(columns.target) if "target" in roles else ()


def named(columns: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """A role's columns, however they are written."""
    return (columns,) if isinstance(columns, str) else columns or ()


def share_problems(validation: float, test: float, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Shares that leave nothing to train on."""
    if validation + test >= 1:
        message = f"validation {validation:g} and test {test:g} leave nothing to train on"
        yield Problem((*path, "validation"), "shares-leave-no-train", message, "use validation: 0.1 and test: 0.1")


def stratify_problems(spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """A task without one class a row."""
    columns = label_columns(spec) if spec.task.data_form == "table" else ()
    if len(columns) != 1:
        what = "has no class a row" if not columns else f"predicts {len(columns)} columns"
        message = f"stratify keeps the share of each class, but the task {spec.task.kind} {what}"
        yield Problem((*path, "stratify"), "stratify-without-label", message, "remove stratify; shuffle: true spreads the rows evenly")


def role_problems(spec: Spec, path: tuple[str | int, ...], *, role: Literal["group", "time"], of: str) -> Iterator[Problem]:
    """A split by a column that is not named, or by one that texts alone do not have. of: what asks for it."""
    if spec.task.data_form == "documents":
        message = f"{of} needs a column of rows, but the task {spec.task.kind} reads texts alone"
        yield Problem(path, "split-without-column", message, "use split: {kind: hash, validation: 0.1}")
    elif not named(getattr(spec.data.columns, role)):
        message = f"{of} needs the column of the {role}, and data.columns names none"
        yield Problem(path, "split-without-column", message, f"add data.columns: {{{role}: <name of the column>}}")
