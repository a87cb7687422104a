"""Parts of a user's own as `validate` and `explain` have them: their keys as they are written, and nothing of their code.

What only the code can tell (metrics, the interface) counts as invalid to whoever asks, so that checks that need it are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from pydantic import create_model

from specrun.spec.model_options import ModelOptions
from specrun.spec.section import InvalidField, Part, option
from specrun.spec.task_options import TaskOptions

CODE = "own-code-not-checked"
_DESCRIPTION = "Taken as it is written: only the code of the part can tell what it means."


class HeldPart(Part):
    """A source, or another part whose code was not imported."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                return super().__getattr__(name)
            raise InvalidField(f"{name} is told by code that was not imported")


class HeldModel(HeldPart, ModelOptions):
    """A model."""


class HeldTask(HeldPart, TaskOptions):
    """A task."""


def _untold(_: Part) -> NoReturn:
    raise InvalidField("told by code that was not imported")


for _held, _base in ((HeldModel, ModelOptions), (HeldTask, TaskOptions)):
    for _name in {*_base.__class_vars__, *(name for name in vars(_base) if not name.startswith(("_", "model_")))}:
        setattr(_held, _name, property(_untold))
_BASES: dict[str, type[Part]] = {"task": HeldTask, "model": HeldModel}


@cache
def held_class(family: str, kind: str, keys: tuple[str, ...]) -> type[Part]:
    """A class with these keys beside its kind. keys: see `held_keys`."""
    base = _BASES.get(family, HeldPart)
    named: Any = (Literal[kind], option(impact="weights", description="Code of your own."))
    taken: dict[str, Any] = {key: (Any, option(impact="weights", description=_DESCRIPTION)) for key in keys}
    made: Any = create_model(base.__name__, __base__=base, kind=named, **taken)
    return cast("type[Part]", made)


def held_keys(family: str, keys: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys that may be options of a part of a family, and those that no option can be called."""
    base = _BASES.get(family, HeldPart)
    named = tuple(key for key in keys if key != "kind")
    return tuple(key for key in named if usable(key, base)), tuple(key for key in named if not usable(key, base))


def usable(key: str, base: type[Part]) -> bool:
    """Whether an option can be called so: a name of Python's that means nothing else of such a part."""
    return key.isidentifier() and not key.startswith(("_", "model_")) and not hasattr(base, key)
