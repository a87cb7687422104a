"""What a training begins with in the place of drawn weights: the state of another run. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

How = Literal["extend", "fork"]
LABEL = "start"
"""Under this name a step's label has it; its options have it too, where the outcome depends on it."""
NOT_POSSIBLE = "extension-not-possible"
"""Code of the alert of a training that was to go on from another run by itself, and began at step 0 instead."""


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint of another run. step: of that run; digest: sha256 of its manifest, by which all its bytes are known.

    how: `extend` goes on with everything as it was saved; `fork` takes the weights, and of the optimizer what fits, and begins a
    schedule of its own. lora: the adapters that the weights have, as their spec gives them; optimizer: the kind of theirs.
    note: what a plan says of it. exact: an extension that gives the bits of a training from the start, so that its key is that one's.
    """

    how: How
    run_id: str
    step: int
    digest: str
    lora: Mapping[str, Any] | None = None
    optimizer: str = ""
    note: str = ""
    exact: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the outcome."""
        return {"how": self.how, "step": self.step, "checkpoint": self.digest}

    def to_json(self) -> dict[str, Any]:
        """As a label and a run's description keep it."""
        return asdict(self)


def start_of(label: Mapping[str, Any]) -> Start | None:
    """What a step begins with, by its label; None where it begins with drawn weights."""
    document = label.get(LABEL)
    return None if document is None else Start(**document)


def kept_of_parent(start: Mapping[str, Any], *, possible: bool) -> str:
    """What a run has of the one that it begins from, in words. start: as its description has it; possible: no alert says otherwise."""
    if start.get("how") != "extend":
        return "its weights, by a schedule of its own"
    if not start.get("exact"):
        return "goes on with all of its state; what came before is in its own report"
    if not possible:
        return "could not be gone on from; trained from the start, which is the same"
    return "goes on with all of its state and its curves"
