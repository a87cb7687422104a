"""Random specs, made from the language itself: every value within the type and the bounds of its field."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from hypothesis import strategies as st

from specrun.spec.document import Spec
from specrun.spec.parts import kinds, options_class
from specrun.spec.section import Section
from specrun.spec.shape import Field, alternatives, fields, members
from specrun.spec.units import ByteSize, Quantity, Units

TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(
    lambda text: "hf_" not in text and "sk-" not in text
)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)


def limits(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """Bounds of a type, by pydantic's names."""
    found: dict[str, Any] = {}
    for note in [inner for outer in metadata for inner in getattr(outer, "metadata", (outer,))]:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            if getattr(note, name, None) is not None:
                found[name] = getattr(note, name)
    return found


def values(annotation: Any, metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Values of a type within its bounds, as they stand in YAML."""
    bounds = limits(metadata)
    origin = get_origin(annotation)
    if annotation in (None, type(None)):
        return st.none()
    if origin is not None and str(origin) == "typing.Literal":
        return st.sampled_from(get_args(annotation))
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = bounds.get("ge", bounds.get("gt", -1) + 1)
        high = min(bounds.get("le", bounds.get("lt", 10**6 + 1) - ("lt" in bounds)), low + 10**6)
        return st.integers(low, high)
    if annotation is float:
        low, high = bounds.get("ge", bounds.get("gt", 0.0)), bounds.get("le", bounds.get("lt", 1e6))
        return st.floats(low, high, exclude_min="gt" in bounds, exclude_max="lt" in bounds, allow_subnormal=False)
    if annotation is str:
        least = bounds.get("min_length", 1)
        texts = NAMES if "pattern" in bounds else TEXTS
        return texts.map(lambda text: (text * least)[: bounds.get("max_length")])
    if annotation is ByteSize:
        return st.integers(1, 2**50).map(lambda size: str(ByteSize(size)))
    if annotation is Quantity:
        units = next(note for note in metadata if isinstance(note, Units))
        return st.builds(lambda n, unit: str(Quantity(float(n), unit)), st.integers(1, 10**6), st.sampled_from(units.allowed))
    if origin is tuple:
        return sequences(get_args(annotation), bounds)
    if origin is dict:
        return st.dictionaries(KEYS, one_of(members(get_args(annotation)[1])), min_size=1, max_size=2)
    raise AssertionError(f"no strategy for {annotation}")


def sequences(arguments: tuple[Any, ...], bounds: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of a tuple type."""
    if Ellipsis not in arguments:
        return st.tuples(*(one_of(members(argument)) for argument in arguments)).map(list)
    return st.lists(one_of(members(arguments[0])), min_size=bounds.get("min_length", 0), max_size=3)


def one_of(types: list[tuple[Any, tuple[Any, ...]]]) -> st.SearchStrategy[Any]:
    """A value of any of the types."""
    return st.one_of([values(annotation, metadata) for annotation, metadata in types])


def field_values(field: Field) -> st.SearchStrategy[Any]:
    """A value for a field that holds no section."""
    return st.none() if field.not_yet else one_of(alternatives(field.info))


def sections(cls: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a section: required keys always, others sometimes."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in fields(cls).items():
        if field.family is not None:
            inner = st.one_of([sections(options_class(field.family, kind)) for kind in kinds(field.family)])
        elif field.section is not None:
            inner = sections(field.section)
        elif name in {"extends", "expect"}:
            continue
        else:
            inner = field_values(field)
        (required if field.required else optional)[name] = inner
    return st.fixed_dictionaries(required, optional=optional)


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Documents of whole specs, each with a model that serves its task."""

    def of_task(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        task: Any = options_class("task", kind)
        models: list[Any] = [options_class("model", name) for name in kinds("model")]
        fitting = {"task": sections(task), "model": st.one_of([sections(it) for it in models if task.interface in it.serves])}
        return st.tuples(ANY, st.fixed_dictionaries(fitting)).map(lambda both: {**both[0], **both[1]})

    return st.sampled_from(kinds("task")).flatmap(of_task)


ANY = sections(Spec)
SPECS = specs()


def leaf_paths(cls: type[Section] = Spec, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Field]]:
    """The fields of the sections themselves, without those of parts and of absent sections."""
    found: list[tuple[tuple[str, ...], Field]] = []
    for name, field in fields(cls).items():
        if field.section is not None and not field.optional:
            found += leaf_paths(field.section, (*prefix, name))
        elif field.section is None and field.family is None and not field.not_yet and name not in {"extends", "preset", "version"}:
            found.append(((*prefix, name), field))
    return found
