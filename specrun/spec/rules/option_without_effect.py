"""What: a setting that was written and that nothing reads, given the others.

Why: who writes it expects a difference; a sweep over it would compare the same run with itself.

Example: `split: {kind: ratio, seed: 3}` without `shuffle: true`. Remedy: remove it, or set what makes it count. Parts tell their own
(`model: {architecture: llama, bias: false}`).
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem, Section, apart
from specrun.spec.shape import fields, read

CODE = "option-without-effect"
_OF_TEXTS = ("sequence_length", "packing", "group_by_length")
"""Settings of the data that count for some tasks alone, as these say."""


def check(spec: Spec) -> Iterator[Problem]:
    """Look at the settings that count only beside others."""
    yield from apart(uncounted(spec), _lowering(spec), _tokenizer(spec))


def uncounted(spec: Spec) -> Iterator[Problem]:
    """Those that also change no key, because none of what makes them count can change while a training goes on."""
    yield from apart(_split_seed(spec), _column(spec), _prompt(spec), _frozen(spec), _recovery(spec), _strategy(spec), _grouping(spec),
                     _roles(spec), _settings(spec), _joined(spec))  # fmt: skip


def _split_seed(spec: Spec) -> Iterator[Problem]:
    split = spec.data.split
    if split.kind == "ratio" and _is_written(split, "seed") and not read(split, "shuffle"):
        yield _without(("data", "split", "seed"), "consecutive shares use no seed", "remove seed, or add shuffle: true")


def _column(spec: Spec) -> Iterator[Problem]:
    sources = [spec.data.source] if spec.data.fallback is None else [spec.data.source, spec.data.fallback]
    if _is_written(spec.data.columns, "text") and not any(getattr(source, "has_columns", False) for source in sources):
        yield _without(("data", "columns", "text"), f"a {spec.data.source.kind} source has no columns", "remove columns")


def _joined(spec: Spec) -> Iterator[Problem]:
    for role, source in (("source", spec.data.source), ("fallback", spec.data.fallback)):
        if spec.task.data_form == "table" and source is not None and read(source, "documents") == "joined":
            yield _without(("data", role, "documents"), f"task {spec.task.kind} reads rows, which are not joined", "remove documents")


def _roles(spec: Spec) -> Iterator[Problem]:
    columns = spec.data.columns
    roles = {*spec.task.roles, *getattr(spec.data.split, "keys", ()), *(("time", "group") if spec.data.checks.needs_time else ())}
    for name in fields(type(columns)):
        if name not in roles and _is_written(columns, name) and columns.__dict__.get(name) not in (None, ()):
            yield _without(("data", "columns", name), f"task {spec.task.kind} reads no column in that role", f"remove {name}")


def _settings(spec: Spec) -> Iterator[Problem]:
    for name in _OF_TEXTS:
        if name not in spec.task.data_settings and _is_written(spec.data, name):
            yield _without(("data", name), f"task {spec.task.kind} does not go by it", f"remove {name}")


def _tokenizer(spec: Spec) -> Iterator[Problem]:
    tokenizer, left_out = spec.data.tokenizer, type(spec.data).model_fields["tokenizer"].default
    # Also one that is left out is filled in, by its default.
    written = tokenizer.kind != left_out["kind"] or tokenizer.model_fields_set > {"kind"}
    if "tokenizer" not in spec.task.data_settings and written:
        yield _without(("data", "tokenizer"), f"task {spec.task.kind} reads no text", "remove tokenizer")


def _prompt(spec: Spec) -> Iterator[Problem]:
    if read(spec.task, "prompt") is not None and spec.schedule.evaluate.samples == 0:
        yield _without(("task", "prompt"), "schedule.evaluate.samples is 0, so no text is generated", "remove prompt, or use samples: 1")


def _recovery(spec: Spec) -> Iterator[Problem]:
    recovery = spec.schedule.recovery
    for name in ("skips", "max_rollbacks", "learning_rate_factor"):
        path = ("schedule", "recovery", name)
        if recovery.non_finite == "fail" and _is_written(recovery, name):
            yield _without(path, "non_finite is fail, so no step is skipped", f"remove {name}, or use non_finite: skip_then_roll_back")


def _lowering(spec: Spec) -> Iterator[Problem]:
    """It counts all the same: how often a training may go back is allowed to change while it trains."""
    recovery = spec.schedule.recovery
    if recovery.non_finite != "fail" and recovery.max_rollbacks < 2 and _is_written(recovery, "learning_rate_factor"):
        why = f"the learning rate is lowered when training goes back a second time, and max_rollbacks is {recovery.max_rollbacks}"
        hint = "use max_rollbacks: 2 or more; to remove it is to train anew"
        yield _without(("schedule", "recovery", "learning_rate_factor"), why, hint)


def _frozen(spec: Spec) -> Iterator[Problem]:
    if spec.schedule.parameters.frozen and spec.schedule.parameters.lora is not None:
        yield _without(("schedule", "parameters", "frozen"), "with lora everything but the adapters is frozen", "remove frozen")


def _strategy(spec: Spec) -> Iterator[Problem]:
    if spec.hardware.engine == "local" and _is_written(spec.hardware, "strategy"):
        yield _without(("hardware", "strategy"), "engine local trains in one process", "remove strategy, or use engine: torchrun")


def _grouping(spec: Spec) -> Iterator[Problem]:
    if "packing" in spec.task.data_settings and spec.data.packing == "stream" and spec.data.group_by_length:
        yield _without(("data", "group_by_length"), "windows of the stream are of one length", "remove it, or use packing: documents")


def _is_written(section: Section, name: str) -> bool:
    return name in section.model_fields_set


def _without(path: tuple[str, ...], why: str, hint: str) -> Problem:
    return Problem(path, CODE, f"{'.'.join(path)} has no effect: {why}", hint, severity="warning")
