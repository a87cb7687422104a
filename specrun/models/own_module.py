"""Builds a torch module of a user's own from the options that its constructor makes."""

from __future__ import annotations

from typing import Any

from specrun.spec.own_modules import ModuleOptions
from specrun.spec.shape import fields


def build(options: ModuleOptions, **sizes: Any) -> Any:
    """The module, with those sizes that it takes. sizes: keywords of the task's interface."""
    given = {name: getattr(options, name) for name in fields(type(options)) if name != "kind"}
    return options.constructor(**{name: size for name, size in sizes.items() if name in options.takes}, **given)
