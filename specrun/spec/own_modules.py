"""Options made from the constructor of a user's torch module: what it takes beside its interface's sizes becomes keys of the spec.

A parameter is an option where its type is known, by annotation or by its default, and one that a spec can write. Imports no torch:
where the module is one, torch is there already.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Union, cast, get_args, get_origin

from pydantic import create_model

from specrun.spec.held import usable
from specrun.spec.interfaces import SIZES
from specrun.spec.model_options import ModelOptions
from specrun.spec.nearest import listed
from specrun.spec.own_code import Refused
from specrun.spec.section import option

_PLAIN = (int, float, bool, str)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ModuleOptions(ModelOptions):
    """Options of a torch module of a user's own. constructor: its class; takes: sizes that are given to it."""

    factory: ClassVar[str] = "specrun.models.own_module:build"
    constructor: ClassVar[type]
    takes: ClassVar[frozenset[str]]
    by_micro_batch: ClassVar[bool] = True

    kind: str = option(impact="weights", description="The path of the module.")

    @property
    def depends_on_micro_batch(self) -> bool:
        """Taken to, as batch norm does, unless its class says `depends_on_micro_batch = False`."""
        return self.by_micro_batch


def is_module(named: object) -> bool:
    """Whether something is a class of torch modules."""
    nn = sys.modules.get("torch.nn")
    return nn is not None and isinstance(named, type) and issubclass(named, nn.Module)


def module_options(path: str, module: type, interface: str | None) -> type[ModuleOptions]:
    """The options class. interface: of the task that it is to serve, where the class has no `serves` of its own. Raises: Refused."""
    serves = _served(path, module, interface)
    sizes = _sizes(path, module, serves)
    parameters = {name: it for name, it in inspect.signature(module).parameters.items() if it.kind is not inspect.Parameter.VAR_POSITIONAL}
    takes_all = any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters.values())
    takes = frozenset(sizes if takes_all else (name for name in sizes if name in parameters))
    if not takes:
        raise Refused("no-size-taken", f"the constructor of {path} takes none of the sizes of a {_words(serves[0])}",
                      f"name those that it needs among its parameters: {listed(sizes, 'and')}")  # fmt: skip
    hints, fields = _hints(path, module), {}
    for name, parameter in parameters.items():
        if name in sizes or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        declared = _option(path, name, parameter, hints.get(name))
        if declared is not None:
            fields[name] = declared
    made: Any = create_model(module.__name__, __base__=ModuleOptions, __module__=module.__module__, __doc__=module.__doc__, **fields)
    made.constructor, made.takes, made.serves = module, takes, serves
    made.by_micro_batch = bool(getattr(module, "depends_on_micro_batch", True))
    return cast("type[ModuleOptions]", made)


def _served(path: str, module: type, interface: str | None) -> tuple[str, ...]:
    serves = getattr(module, "serves", None)
    if serves is None:
        assert interface is not None
        return (interface,)
    if not isinstance(serves, tuple) or not serves or any(not isinstance(name, str) for name in serves):
        raise Refused("incomplete-part", f"{path}: serves is no tuple of names of interfaces", f'write serves = ("{next(iter(SIZES))}",)')
    return serves


def _sizes(path: str, module: type, serves: Sequence[str]) -> tuple[str, ...]:
    own = getattr(module, "sizes", None)
    known = tuple(dict.fromkeys(size for name in serves for size in SIZES.get(name, ())))
    if isinstance(own, tuple) and own:
        return tuple(str(name) for name in own)
    if not known:
        raise Refused("incomplete-part", f"nothing says by which sizes a {_words(serves[0])} such as {path} is built",
                      'say it in the class: sizes = ("num_classes",)')  # fmt: skip
    return known


def _hints(path: str, module: type) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(module.__init__, include_extras=True)  # type: ignore[misc]
    except (NameError, TypeError) as failure:
        raise Refused("unusable-parameter", f"the annotations of {path}'s constructor cannot be read: {failure}",
                      "use names that the module has when it runs") from None  # fmt: skip


def _option(path: str, name: str, parameter: inspect.Parameter, hint: Any) -> Any:
    """Type and declaration of a parameter as an option; None for one that is left at its default, as nothing a spec can write fits it."""
    default = parameter.default
    if hint is None and type(default) in _PLAIN:
        hint = type(default)
    if parameter.kind not in _NAMED or not usable(name, ModuleOptions) or not _writable(hint):
        if default is not inspect.Parameter.empty:
            return None
        raise Refused("unusable-parameter", f"{path} needs {name}, and a spec cannot give it",
                      f"annotate {name} as int, float, bool, str, a Literal, or a tuple of them; or give it a default")  # fmt: skip
    described = option(impact="weights", description=f"Parameter {name} of {path}.") if default is inspect.Parameter.empty else option(
        default, impact="weights", description=f"Parameter {name} of {path}."
    )  # fmt: skip
    return (hint, described)


def _writable(hint: Any) -> bool:
    """Whether values of a type can stand in a spec."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _writable(inner[0])
    if origin in (Union, types.UnionType):
        return any(it is not types.NoneType for it in inner) and all(it is types.NoneType or _writable(it) for it in inner)
    if origin is Literal:
        return all(type(value) in _PLAIN for value in inner)
    if origin is tuple:
        return bool(inner) and all(it is Ellipsis or _writable(it) for it in inner)
    return hint in _PLAIN


def _words(name: str) -> str:
    return name.replace("_", " ")
