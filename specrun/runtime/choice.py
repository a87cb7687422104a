"""A decision with its reason: what every function that decides about the machine returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision and why it was taken."""

    value: str
    reason: str
