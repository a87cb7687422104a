"""Whoever watches an apply: is shown every event without credentials, and cannot end a training by failing."""

from __future__ import annotations

import contextlib
import warnings

from specrun.engine.secrecy import process_mask
from specrun.events import Emit, Event


class Listener:
    """Calls show until it raises; then warns once and keeps quiet. What only stops the process (a signal) passes through."""

    def __init__(self, show: Emit) -> None:
        self._show: Emit | None = show
        self._mask = process_mask()

    def show(self, event: Event) -> None:
        """Pass an event on."""
        if self._show is None:
            return
        try:
            self._show(self._mask.event(event))
        except Exception as error:  # noqa: BLE001 - it is the caller's code, and a run is worth more than its picture
            self._show = None
            said = self._mask.text(f"{type(error).__name__}: {error}")
            # Where warnings are errors, this one would end the training after all.
            with contextlib.suppress(RuntimeWarning):
                warnings.warn(f"show raised {said}; the apply goes on and shows nothing more", RuntimeWarning, stacklevel=2)
