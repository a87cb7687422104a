"""What: parameters of which each device holds a share, and an optimizer that computes with whole matrices.

Why: of a matrix that is spread over devices no device has the rows and columns that such an update is made of.

Example: `optimizer: {kind: muon}` with `hardware: {engine: torchrun, strategy: fsdp}`. Remedy: `strategy: ddp`, or `kind: adamw`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem

CODE = "optimizer-needs-whole-matrices"
_ELEMENT_BY_ELEMENT = frozenset({"adamw", "sgd", "lion"})


def check(spec: Spec) -> Iterator[Problem]:
    """Compare optimizer and strategy."""
    kind = spec.schedule.optimizer.kind
    if spec.hardware.engine == "torchrun" and spec.hardware.strategy == "fsdp" and not works_on_shares(spec):
        message = f"{kind} computes with whole matrices, and fsdp gives each device a share of them"
        yield Problem(("schedule", "optimizer", "kind"), CODE, message, "use hardware.strategy: ddp, or kind: adamw")


def works_on_shares(spec: Spec) -> bool:
    """Whether the optimizer updates each number by its own gradient and moments alone."""
    return spec.schedule.optimizer.kind in _ELEMENT_BY_ELEMENT
