"""Imports the function that builds a part, from the "module:function" string of its options class."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def load_factory(factory: str) -> Callable[..., Any]:
    """The function that `factory` names. The string comes from specrun's own classes, never from a spec."""
    module, _, name = factory.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
