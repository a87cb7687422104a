"""What `doctor` found about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "unavailable", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """state: unavailable is what this machine or installation does without; broken is what specrun cannot do without."""

    group: Literal["machine", "training", "installation", "store"]
    check: str
    state: State
    detail: str
