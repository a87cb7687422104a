"""The options class of a part of a user's own: a class of options as it is, or one made from a torch module's constructor.

What such a class must say is checked here, once, so that nothing further on meets half a part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal, cast

from pydantic import create_model

from specrun.spec.checks import parts
from specrun.spec.document import Spec
from specrun.spec.held import usable
from specrun.spec.impact import IMPACTS
from specrun.spec.model_options import ModelOptions
from specrun.spec.nearest import nearest
from specrun.spec.own_code import OwnCode, Refused, load
from specrun.spec.own_modules import is_module, module_options
from specrun.spec.own_path import Permission, is_own
from specrun.spec.section import Part, option
from specrun.spec.task_options import TaskOptions

_GOALS = ("minimize", "maximize", None)


class OwnPart:
    """What marks options of a user's own. code_digest: of the files of their module; it enters the key of every step that runs them."""

    code_digest: ClassVar[str]

    def identity(self) -> Mapping[str, Any]:
        """What decides the result beside the options."""
        told: Callable[[], Mapping[str, Any]] | None = getattr(super(), "identity", None)
        return {**(told() if told is not None else {}), "code": self.code_digest}


def own_options(family: str, path: str, permission: Permission, *, interface: str | None = None) -> type[Part]:
    """The options class of `package.module:Name`, its kind narrowed to that path. interface: of the spec's task, for a model.

    Raises: Refused.
    """
    named, own = load(path, permission)
    return _options(family, path, named, own, interface if family == "model" else None)


@cache
def _options(family: str, path: str, named: Any, own: OwnCode, interface: str | None) -> type[Part]:
    if family == "model" and is_module(named):
        options: type[Part] = module_options(path, named, interface)
    elif isinstance(named, type) and issubclass(named, _base(family)) and _is_of(family, named):
        options = named
    else:
        what = "torch.nn.Module or specrun.spec.model_options.ModelOptions"
        wanted = {"task": "specrun.spec.task_options.TaskOptions", "model": what}.get(family, "specrun.spec.section.Part")
        raise Refused("not-a-part", f"{path} is no {family}: it must be a class that derives from {wanted}",
                      f"name such a class of {path.partition(':')[0]}")  # fmt: skip
    _check_fields(path, options)
    _check_declared(path, options, own)
    return _narrowed(path, options, own)


def own_kinds(spec: Spec) -> tuple[str, ...]:
    """The kinds of a spec's parts that are a user's own."""
    return tuple(part.kind for _, part in parts(spec) if is_own(part.kind))


def code_digests(spec: Spec) -> dict[str, str]:
    """Of the imported code of each of them, by kind."""
    return {part.kind: part.code_digest for _, part in parts(spec) if isinstance(part, OwnPart)}


def allowed_by(spec: Spec) -> Permission:
    """What must have been allowed for a spec to be as it is: to read another one beside it."""
    return Permission(tuple(kind.partition(":")[0] for kind in own_kinds(spec)))


def _base(family: str) -> type[Part]:
    return {"task": TaskOptions, "model": ModelOptions}.get(family, Part)


def _is_of(family: str, named: type) -> bool:
    """A source is a part that is nothing else."""
    return family != "source" or not issubclass(named, TaskOptions | ModelOptions)


def _check_fields(path: str, options: type[Part]) -> None:
    for name, info in options.model_fields.items():
        if name == "kind":
            continue
        extra = info.json_schema_extra
        impact = extra.get("x-impact") if isinstance(extra, dict) else None
        if impact not in IMPACTS:
            raise Refused(
                "option-without-impact", f"{path}: {name} does not say what a change of it asks for",
                f'declare it with {name}: {getattr(info.annotation, "__name__", info.annotation)} = option(..., impact="weights", '
                'description="..."); option is in specrun.spec.section',
            )  # fmt: skip
        if not usable(name, Part):
            raise Refused("unusable-option-name", f"{path}: an option cannot be called {name}", "call it otherwise")


def _check_declared(path: str, options: type[Part], own: OwnCode) -> None:
    """What every class of options says beside its fields."""
    factory = getattr(options, "factory", None)
    example = f"{own.module.__name__}:build"
    if not isinstance(factory, str) or factory.count(":") != 1:
        raise _incomplete(path, "factory", f'factory: ClassVar[str] = "{example}"')
    module, _, name = factory.partition(":")
    if module == own.module.__name__ and not hasattr(own.module, name):
        near = nearest(name, [key for key, value in vars(own.module).items() if callable(value)])
        raise Refused("no-such-name", f"{path}: its factory {factory} does not exist", f"did you mean {module}:{near}?" if near else
                      f"write a function {name} in {module}")  # fmt: skip
    if issubclass(options, ModelOptions) and not _texts(options.serves):
        raise _incomplete(path, "serves", 'serves: ClassVar[tuple[str, ...]] = ("table",)')
    if issubclass(options, TaskOptions):
        _check_task(path, options)


def _check_task(path: str, options: type[TaskOptions]) -> None:
    if not isinstance(getattr(options, "interface", None), str):
        raise _incomplete(path, "interface", 'interface: ClassVar[str] = "table"')
    if not options.metrics or any(goal not in _GOALS for goal in options.metrics.values()):
        raise _incomplete(
            path, "metrics", 'metrics: ClassVar[Mapping[str, Goal]] = {"loss": "minimize"}; a goal is minimize, maximize or None'
        )
    if "examples" in options.prepared_by and options.prepare is None:
        raise _incomplete(path, "prepare", f'prepare: ClassVar[str | None] = "{path.partition(":")[0]}:prepare"')


def _incomplete(path: str, name: str, example: str) -> Refused:
    return Refused("incomplete-part", f"{path} does not say its {name}", f"add to the class: {example}")


def _texts(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _narrowed(path: str, options: type[Part], own: OwnCode) -> type[Part]:
    description = (options.__doc__ or "").strip().partition("\n")[0] or "Code of your own."
    kind: Any = (Literal[path], option(impact="weights", description=description))
    bases: Any = (OwnPart, options)
    made: Any = cast("Any", create_model)(
        options.__name__, __base__=bases, __module__=options.__module__, __doc__=options.__doc__, kind=kind
    )
    made.code_digest = own.digest
    return cast("type[Part]", made)
