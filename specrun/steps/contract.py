"""What a step's `run(context, spec, inputs)` receives and returns.

    def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput

`inputs` is keyed by step kind ("data", "tokenizer", "tokens" or "examples", "train", "evaluate"), as far as the plan has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.events import Emit
from specrun.plan.step import Step, StepResult
from specrun.runtime.hardware import ResolvedHardware

if TYPE_CHECKING:
    from specrun.runtime.distributed import Workers


@dataclass(frozen=True, slots=True)
class StepInput:
    """A finished parent. folder: absolute."""

    folder: Path
    result: StepResult

    @property
    def values(self) -> Mapping[str, Any]:
        return self.result.values


def folders_of(inputs: Mapping[str, StepInput]) -> dict[str, Path]:
    """Where each finished parent left its files, by kind."""
    return {kind: parent.folder for kind, parent in inputs.items()}


def facts_of(inputs: Mapping[str, StepInput]) -> dict[str, Mapping[str, Any]]:
    """What each finished parent told, by kind."""
    return {kind: parent.values for kind, parent in inputs.items()}


@dataclass(frozen=True, slots=True)
class StepContext:
    """The world as a step may see it. folder: where it writes; absolute, exists. A shared step's folder is fresh and is
    put in place when the step returns; a run step's folder is the run's and survives a kill, so that it can resume.
    base_folder: the folder that a relative path in the spec starts from, by the dotted key that holds it (the file's own
    folder, or the current one for values of `--set`).

    stop_requested: the number of the signal that asks the run to end, or None; to be asked between optimizer steps.
    stop_pending: the same, for who has other processes do the step: asked at any time, and `stop_requested` once one of them heeds it.
    workers: the processes that do the step together, each with a context of its own; None where this one is alone.
    """

    step: Step
    folder: Path
    store: Path
    emit: Emit
    hardware: ResolvedHardware
    stop_requested: Callable[[], int | None]
    base_folder: Callable[[str], Path]
    data_root: Path | None = None
    run_id: str | None = None
    smoke: bool = False
    workers: Workers | None = None
    stop_pending: Callable[[], int | None] = lambda: None

    @property
    def sharing_memory(self) -> int:
        """Processes of the step that have one memory between them: all of a machine's where it is the processor's."""
        return self.hardware.devices if self.workers is not None and self.hardware.kind == "cpu" else 1

    @property
    def seed(self) -> int:
        return self.step.seed or 0


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a step hands on. values: plain JSON. artifacts: path relative to the folder -> role. status: how it ended."""

    values: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    status: str = "completed"
