"""Cross-validation: a spec that asks for every fold is planned as one spec a fold, shown as one plan.

What is of a fold (its data, what is fitted on its train rows, its runs) has the keys, locks and records of the spec that names that
fold: nothing else in the engine knows of the others.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from specrun.engine.outcome import Outcome
from specrun.engine.plan import Plan, Request
from specrun.engine.workspace import Workspace
from specrun.errors import UsageError
from specrun.events import Emit, Event, Progress, StepRecord
from specrun.plan.explain import WIDTH, summary
from specrun.plan.step import Decision
from specrun.records.run_files import read_run
from specrun.runtime.hardware import ResolvedHardware
from specrun.spec.assembly import Layer, LoadedSpec, relaid
from specrun.spec.split_options import folds_asked

_FOLD = "data.split.fold"


@dataclass(frozen=True, slots=True, repr=False)
class PlanOfFolds:
    """The plans of every fold, in their order. asked: the spec that they are of. A step is known by its id and its fold: `data[fold=2]`."""

    request: Request
    asked: LoadedSpec
    parts: tuple[Plan, ...]

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.parts[0].name

    @property
    def hardware(self) -> ResolvedHardware:
        return self.parts[0].hardware

    @property
    def workspace(self) -> Workspace:
        return self.parts[0].workspace

    @property
    def loaded(self) -> LoadedSpec:
        """The spec as it was asked for, with the warnings of all folds, each once."""
        return replace(self.asked, warnings=tuple(dict.fromkeys(it for part in self.parts for it in part.loaded.warnings)))

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(decision for part in self._named() for decision in part.decisions)

    @property
    def passed_keys(self) -> Mapping[str, frozenset[str]]:
        """By step id, see Plan."""
        return {id: keys for part in self._named() for id, keys in part.passed_keys.items()}

    @property
    def changes_anything(self) -> bool:
        """Whether apply would do work."""
        return any(part.changes_anything for part in self.parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """See Plan."""
        return tuple(remark for part in self.parts for remark in part.remarks)

    def lines(self, *, columns: int = WIDTH) -> list[str]:
        """What would be done, fold by fold and step by step; without the sentence that closes a plan."""
        first, *others = self._named()
        lines = first.lines(columns=columns, heading=f"{self.name}, {len(self.parts)} folds,")
        return [*lines, *(line for part in others for line in part.lines(columns=columns, heading=""))]

    def as_document(self) -> dict[str, Any]:
        """The `plan --json` document: `model`, `training` and `found` are the first fold's, and `folds` has those of each."""
        documents = [part.as_document() for part in self._named()]
        each = ("spec_digest", "model", "training", "found", "changes")
        return {
            **documents[0],
            "spec_digest": self.asked.digest,
            "steps": [step for document in documents for step in document["steps"]],
            "changes": self.changes_anything,
            "remarks": list(self.remarks),
            "folds": [{"fold": n, **{key: document[key] for key in each}} for n, document in enumerate(documents, 1)],
        }

    def text(self, *, columns: int = WIDTH) -> str:
        """The whole plan, as `specrun plan` prints it."""
        return "\n".join([*self.lines(columns=columns), summary(self.decisions), *self.remarks])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<PlanOfFolds {self.name}: {summary(self.decisions)}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def _named(self) -> Iterator[Plan]:
        """The parts with ids that no other has."""
        return (_named(part, number) for number, part in enumerate(self.parts, 1))


def specs_of_folds(loaded: LoadedSpec) -> tuple[LoadedSpec, ...]:
    """The spec that names each fold it asks for; none where it is planned as it is."""
    return tuple(_of_fold(loaded, number) for number in folds_asked(loaded.spec))


def _of_fold(loaded: LoadedSpec, number: int) -> LoadedSpec:
    checked = relaid(loaded, [Layer("cross-validation", {_FOLD: number})])
    assert checked.loaded is not None, f"a spec of all folds is one of each: {checked.diagnostics}"
    return replace(checked.loaded, warnings=loaded.warnings)


def refuse_resume(request: Request, workspace: Workspace) -> None:
    """Raise UsageError where one run is to go on under a spec of all folds: it is of one. All may begin with its weights."""
    if request.resume is None or request.fork:
        return
    fold = (read_run(workspace.runs / request.resume) or {}).get("fold")
    if fold is None:
        message, hint = f"{request.resume} is of no fold, the spec is of all", "add --fork to begin runs with its weights"
    else:
        message, hint = f"{request.resume} is of fold {fold}, the spec is of all", f"add --set {_FOLD}={fold}"
    raise UsageError(message, code="resume-of-another-fold", hint=hint)


def id_in_fold(id: str, number: int) -> str:
    """`train[seed=1]` of fold 2 as `train[seed=1,fold=2]`."""
    return f"{id[:-1]},fold={number}]" if id.endswith("]") else f"{id}[fold={number}]"


def showing_fold(show: Emit, number: int) -> Emit:
    """Show the events of one fold so that its steps are told from those of the others."""

    def shown(event: Event) -> None:
        if isinstance(event, StepRecord):
            event = replace(event, id=id_in_fold(event.id, number))
        elif isinstance(event, Progress):
            event = replace(event, producer=id_in_fold(event.producer, number))
        show(event)

    return shown


def outcome_in_fold(outcome: Outcome, number: int) -> Outcome:
    """The outcome of one fold, with ids of steps that no other has."""
    return replace(outcome, steps=tuple(replace(step, id=id_in_fold(step.id, number)) for step in outcome.steps))


def _named(part: Plan, number: int) -> Plan:
    def named(decision: Decision) -> Decision:
        step = decision.step
        needs = tuple(id_in_fold(need, number) for need in step.needs)
        return replace(decision, step=replace(step, id=id_in_fold(step.id, number), needs=needs))

    return replace(
        part,
        decisions=tuple(map(named, part.decisions)),
        found=tuple(replace(one, step=id_in_fold(one.step, number)) for one in part.found),
        passed_keys={id_in_fold(id, number): keys for id, keys in part.passed_keys.items()},
    )
