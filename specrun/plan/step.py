"""Steps: what kinds there are (declared, no torch), and the concrete ones of a plan. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from specrun.events import Action
from specrun.spec.impact import Impact

if TYPE_CHECKING:
    from specrun.spec.document import Spec

WEIGHTS: frozenset[Impact] = frozenset({"weights", "extend"})
"""Impact classes that decide what is trained."""


@dataclass(frozen=True, slots=True)
class Read:
    """A part of the spec that a step's result depends on. path: dotted; impacts: the classes of fields under it that count.

    resolved: values of fields under it that count as what they come to, not as they are written; None: it does not matter here.
    unless: a value that counts as if there were no such option: what was made before there was keeps its key.
    identity: whether what the part there tells of itself beside its options counts too, such as the digest of a user's own code.
    """

    path: str
    impacts: frozenset[Impact] = WEIGHTS
    resolved: Callable[[Spec], Mapping[str, Any]] | None = None
    unless: Any = None
    identity: bool = True

    def counted(self, written: Any, spec: Spec) -> Any:
        """What is written under the path, with what it comes to, and without what does not matter here."""
        if self.resolved is None:
            return None if written == self.unless else written
        values = self.resolved(spec)
        return {name: value for name, value in {**written, **values}.items() if name not in values or value is not None}


@dataclass(frozen=True, slots=True)
class StepKind:
    """Declares a kind of step. version: raised when the kind's code changes what comes out of the same options.

    per_seed: a step a seed. scope: `shared` results live in the store under their key and serve every run; `run` results
    live in a run's folder. isolated: runs in a child process, so that a crash or an import cannot hurt the run; where only some specs
    ask for that, a function that tells which.
    parallel: is done by several processes together where `hardware.engine` says so.
    uses_device: the resolved device and precision enter the key. resumable: leaves checkpoints in the run's folder and
    continues from them; asked politely, it stops early. describes_run: reads the run's records, so it runs after the run's
    outcome has been written. runner: "module:function", imported only to execute.

    finds: dotted path of a value that this kind finds where the spec says `auto`; else the plan has no such step. What it found, its
    result's `found`, stands in the spec for every step after it. follows: kinds that find what this one reads: it waits for them,
    and their keys do not enter its own, for what they found does. settings: what decides the result beside the spec.
    prepares: is in plans of those tasks alone whose options name it in `prepared_by`.
    uses_machine: name and memory of the device, and how many train together, enter the key. begins_as_training: where the training begins
    with the weights of another run, so does this.
    """

    kind: str
    version: int
    runner: str
    reads: tuple[Read, ...]
    needs: tuple[str, ...] = ()
    scope: Literal["shared", "run"] = "shared"
    per_seed: bool = False
    isolated: bool | Callable[[Spec], bool] = False
    parallel: bool = False
    uses_device: bool = False
    resumable: bool = False
    describes_run: bool = False
    finds: str | None = None
    follows: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepares: bool = False
    uses_machine: bool = False
    begins_as_training: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan. id: the kind, or `train[seed=1]`. needs: ids of steps whose results it reads.

    options: everything of the spec that can change the result, canonical and JSON. inputs: digest of each local input by
    its path. key: sha256 of kind, version, options, digests and the parents' keys. label: the cosmetic rest.
    """

    id: str
    kind: str
    key: str
    needs: tuple[str, ...]
    options: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a finished step left behind. folder: relative to the store; values: plain JSON facts (counts, metrics);
    artifacts: path relative to the folder -> {sha256, bytes, role}; warnings: shown in the plan and the report, each with
    its code in warning_codes."""

    id: str
    kind: str
    key: str
    folder: str
    values: Mapping[str, Any]
    artifacts: Mapping[str, Mapping[str, Any]]
    seconds: float
    finished_at: str
    run_id: str | None = None
    warnings: tuple[str, ...] = ()
    warning_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a step is expected to cost; None where there is no ground for a figure. basis: the rule or history behind it."""

    seconds: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A step together with what apply will do about it and why."""

    step: Step
    action: Action
    reason: str
    predicted: Predicted = Predicted()
