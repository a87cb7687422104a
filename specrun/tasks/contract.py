"""What a task is given: to prepare its examples, and to train on them; and what it says of a baseline.

    prepare(options, request: PrepareRequest) -> Prepared      once for a data set, in the `examples` step, on the host
    build(options, opening: Opening) -> Task                   in each step that trains or judges

A task of a user's own follows the same contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.events import Emit
from specrun.spec.document import Spec

if TYPE_CHECKING:
    from specrun.runtime.device import Device


@dataclass(frozen=True, slots=True)
class PrepareRequest:
    """spec: whole and resolved. folders: of finished steps by kind (`data`, and `tokenizer` where there is one); facts: their values.
    folder: where to write, fresh. smoke: take a few hundred rows of each split and no more."""

    spec: Spec
    folders: Mapping[str, Path]
    facts: Mapping[str, Mapping[str, Any]]
    folder: Path
    emit: Emit
    smoke: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """values: plain JSON: `sizes` (keywords for the model), `splits` {name: {"samples": n, "predictions": n, "positions": n}} (positions:
    computed in one pass, padding left out) and whatever the task wants to know or a report to show. artifacts: path under the folder ->
    role. warnings: (code, text)."""

    values: Mapping[str, Any]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a task is built on. folders, facts: of the finished steps by kind (`data`, `tokenizer`, `tokens`, `examples`), as far as the
    task's plan has them. pad_to_few_shapes: as code that is compiled for each shape wants what varies in length. final: what it
    judges is judged for good, so that nothing is left out to save time."""

    spec: Spec
    folders: Mapping[str, Path]
    facts: Mapping[str, Mapping[str, Any]]
    seed: int
    device: Device
    pad_to_few_shapes: bool = False
    final: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """What needs no training, or a closed form alone, and that a model has to beat. name: a word of the field (`seasonal_naive`); label:
    in words; metrics: by their name without the split, those of the task's that it has."""

    name: str
    label: str
    metrics: Mapping[str, float]
