"""The plan of one spec on this machine and this store: what was asked, what would be done, and how it reads."""

from __future__ import annotations

import contextlib
import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specrun.engine.continuing import Continuation
from specrun.engine.finding import Found, with_settings
from specrun.engine.labels import new_name
from specrun.engine.smoke import SMOKE_SETTINGS
from specrun.engine.workspace import Workspace
from specrun.plan import figures
from specrun.plan.compare import shown
from specrun.plan.explain import WIDTH, plan_document, step_lines, summary
from specrun.plan.graph import StepGraph
from specrun.plan.predict import Forecast
from specrun.plan.step import Decision, StepKind
from specrun.records.documents import DamagedRecord
from specrun.runtime.hardware import ResolvedHardware
from specrun.spec.assembly import LoadedSpec
from specrun.spec.own_path import Permission
from specrun.spec.split_options import Fold, fold_of
from specrun.steps.registry import step_kinds


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. source: path of the spec, - for standard input, or a spec that is loaded already. command: the words
    after `specrun` of the command line that asked, None where Python code did. settings: of kinds of step, where they are to be other
    than declared. resume: the run to go on from; fork: by a run of its own that begins with its weights. allow_code: modules and packages
    whose code may be imported for parts of a user's own."""

    source: str | LoadedSpec
    store: Path
    sets: tuple[str, ...] = ()
    preset: str | None = None
    data_root: Path | None = None
    smoke: bool = False
    command: tuple[str, ...] | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resume: str | None = None
    fork: bool = False
    allow_code: tuple[str, ...] = ()

    @property
    def permission(self) -> Permission:
        """Whose code may be imported."""
        return Permission(self.allow_code)

    @property
    def kinds(self) -> tuple[StepKind, ...]:
        """The kinds of step, with the settings that were asked for."""
        return with_settings(step_kinds(), SMOKE_SETTINGS if self.smoke else self.settings)


def spec_options(
    *, sets: Sequence[str] = (), preset: str | None = None, data_root: Path | str | None = None, allow_code: Sequence[str] = ()
) -> list[str]:
    """The words of a command line that make a spec what it was when it was read with these."""
    words = [word for text in sets for word in ("--set", text)]
    words += ["--preset", preset] if preset else []
    words += ["--data-root", str(data_root)] if data_root else []
    return words + [word for prefix in allow_code for word in ("--allow-code", prefix)]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Steps with what would be done about each, predictions, hardware. signature: see `training_signature`.

    inputs: digests of the local files of each part, by its dotted key, as they were when the plan was first made: an apply
    works by them to its end, whatever happens to the files meanwhile. first_keys: by step id, the key as it is known before
    any step has run; what a step finds out may change those of the steps that read it. passed_keys: all that a step has had on the way
    to its own, as more and more results told. asked: the spec as it was asked for; loaded:
    with what was found in the place of `auto`.
    """

    request: Request
    loaded: LoadedSpec
    hardware: ResolvedHardware
    workspace: Workspace
    graph: StepGraph
    decisions: tuple[Decision, ...]
    forecast: Forecast
    signature: str
    inputs: Mapping[str, Mapping[str, str]]
    first_keys: Mapping[str, str]
    asked: LoadedSpec
    found: tuple[Found, ...] = ()
    goes_on: Continuation | None = None
    passed_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.graph.name

    @property
    def fold(self) -> Fold | None:
        """Of a cross-validation, the one that it is of."""
        return fold_of(self.loaded.spec)

    @property
    def kinds(self) -> Mapping[str, StepKind]:
        return {kind.kind: kind for kind in self.request.kinds}

    def decision(self, id: str) -> Decision:
        """The decision about a step. Raises KeyError for an id the plan does not have."""
        return {decision.step.id: decision for decision in self.decisions}[id]

    @property
    def changes_anything(self) -> bool:
        """Whether apply would do work."""
        return any(decision.action in ("run", "resume") for decision in self.decisions)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What apply would do to finished runs without running anything: give them the spec's name. Read from the store."""
        found = []
        for step in (d.step for d in self.decisions if d.step.kind == "train" and d.action == "cached"):
            run_id = self.workspace.run_of_key(step.key)
            own = all(d.action == "cached" for d in self.decisions if d.step.seed == step.seed)
            with contextlib.suppress(DamagedRecord):
                if own and run_id is not None and new_name(self.workspace.store, run_id, self.name):
                    found.append(f"The finished run {run_id} will go by the name {self.name}.")
        return tuple(found)

    def lines(self, *, columns: int = WIDTH, heading: str | None = None) -> list[str]:
        """What would be done, step by step; without the sentence that closes a plan. heading: what stands for the name; empty: no line
        about the whole."""
        machine = self.hardware
        threads = () if machine.threads == machine.cores else (_counted(machine.threads, "thread"),)
        processors = ", ".join((_counted(machine.cores, "core"), *threads))
        why = "; ".join(machine.reasons[1:])
        place = f"{machine.kind}{_together(machine)} ({processors}, {figures.size(machine.memory_bytes)}; {why})"
        lines = step_lines(name=self.name if heading is None else heading, place=place, decisions=self.decisions, forecast=self.forecast,
                           memory_bytes=machine.memory_bytes, columns=columns,
                           found={one.step: f"{one.path} {shown(one.value)}" for one in self.found})  # fmt: skip
        return lines if self.goes_on is None else [*lines, *_changes(self.goes_on, columns)]

    def as_document(self) -> dict[str, Any]:
        """The `plan --json` document."""
        machine = self.hardware
        device = {"kind": machine.kind, "name": machine.name, "precision": machine.precision.value, "reasons": list(machine.reasons),
                  "memory_bytes": machine.memory_bytes, "threads": machine.threads, "devices": machine.devices, "nodes": machine.nodes,
                  "strategy": None if machine.strategy is None else machine.strategy.value}  # fmt: skip
        document = plan_document(spec_digest=self.loaded.digest, decisions=self.decisions, forecast=self.forecast, device=device)
        goes_on = self.goes_on
        resumes = None if goes_on is None else {"run_id": goes_on.run_id, "fork": self.request.fork, "changes": list(goes_on.changes)}
        return {**document, "found": {one.path: one.value for one in self.found}, "resumes": resumes, "remarks": list(self.remarks)}

    def text(self, *, columns: int = WIDTH) -> str:
        """The whole plan, as `specrun plan` prints it."""
        return "\n".join([*self.lines(columns=columns), summary(self.decisions), *self.remarks])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Plan {self.name}: {summary(self.decisions)}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _changes(goes_on: Continuation, columns: int) -> list[str]:
    """What the spec says otherwise than the run that it goes on from, by impact."""
    if not goes_on.changes:
        return [f"  nothing is changed since {goes_on.run_id}"]
    lines = [f"  changed since {goes_on.run_id}, by impact:"]
    for text in goes_on.changes:
        lines += textwrap.wrap(text, max(24, columns), initial_indent=" " * 4, subsequent_indent=" " * 8)
    return lines


def _together(machine: ResolvedHardware) -> str:
    """Over how many devices a training is spread, and how; nothing where one process trains."""
    if machine.strategy is None:
        return ""
    each = f" on each of {machine.nodes:,} machines" if machine.nodes > 1 else ""
    return f", {_counted(machine.devices, 'device')}{each} by {machine.strategy.value}: {machine.strategy.reason}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
