"""Keeps credentials out of what is recorded and shown: what looks like one, and the values that the environment holds under such names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from specrun.engine.repository import GitState
from specrun.errors import SpecrunError
from specrun.events import Alert, Event, Message, Status, StepRecord
from specrun.spec.secrets import masked

_SECRET_NAME = re.compile(r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASS|(?:API|ACCESS|SECRET|PRIVATE|ACCOUNT)_?KEY)$", re.IGNORECASE)
_SHORTEST = 12
"""Shorter values are words as often as credentials, and masking them would spoil what is said."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces credentials by as many asterisks. values: those known by the environment, the longest first."""

    values: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Mask:
        """The mask for a process with this environment."""
        found = {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}
        return cls(tuple(sorted(found, key=lambda value: (-len(value), value))))

    def text(self, given: str) -> str:
        """The text without credentials."""
        for value in self.values:
            given = given.replace(value, "*" * len(value))
        return masked(given)

    def tree(self, given: Any) -> Any:
        """JSON-like data with each of its texts masked; keys of mappings too, since they can be paths."""
        if isinstance(given, str):
            return self.text(given)
        if isinstance(given, Mapping):
            return {self.tree(key): self.tree(value) for key, value in given.items()}
        if isinstance(given, list | tuple):
            return [self.tree(value) for value in given]
        return given

    def event(self, given: Event) -> Event:
        """The event with its words masked. Figures pass as they are: this is called at every logged step."""
        match given:
            case Alert():
                return replace(given, message=self.text(given.message))
            case Status() | StepRecord():
                return replace(given, reason=self.text(given.reason))
            case Message():
                return Message(self.text(given.text))
            case _:
                return given

    def error(self, given: SpecrunError) -> SpecrunError:
        """The same error, its words masked."""
        given.message = self.text(given.message)
        given.hint = None if given.hint is None else self.text(given.hint)
        given.args = (given.message,)
        return given

    def repository(self, state: GitState) -> GitState:
        """The state with a masked patch, which says that it is."""
        patch = None if state.patch is None else self.text(state.patch)
        if patch == state.patch:
            return state
        return replace(state, patch=patch, patch_reason="credentials in it are masked, so it may not apply as it is")


def process_mask() -> Mask:
    """The mask for this process."""
    return Mask.of(os.environ)
