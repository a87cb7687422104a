"""The panels of a training: loss and what else the task measures, learning rate, gradient norm, time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from specrun.report.curves import Curve, bounds, curve, spread
from specrun.report.facts import Facts
from specrun.report.measures import Measure, level, measures
from specrun.report.numbers import count, number, percent, plural, rate
from specrun.report.views import Axis, Column, Mark, Panel, Row, Table

Style = Literal["number", "percent", "rate", "count"]
_WRITE: dict[Style, Callable[[float | None], str]] = {"number": number, "percent": percent, "rate": rate, "count": count}
_TABLE_ROWS = 20


@dataclass(frozen=True, slots=True)
class _Source:
    """A metric of a panel. exponent: draw exp(value), as perplexity follows from the loss."""

    metric: str
    label: str
    role: str
    exponent: bool = False


@dataclass(frozen=True, slots=True)
class _Design:
    """What a panel shows. instead: metrics to show where none of the first was recorded, with their unit."""

    id: str
    title: str
    unit: str
    sources: tuple[_Source, ...]
    style: Style = "number"
    scales: tuple[Literal["linear", "log"], ...] = ("linear",)
    best: str = ""
    instead: tuple[tuple[_Source, ...], str] | None = None


_OWN = ("loss", "perplexity", "accuracy")
"""Metrics that have a design of their own."""
_MEASURED = 3
"""Panels of metrics, of six in all."""


def _designs(facts: Facts) -> Iterator[_Design]:
    """The loss; what else the task measures, its metric of choice first; the learning rate, the gradient's norm, the time."""
    known = {measure.name: measure for measure in measures(facts)}
    unit = known["loss"].note if "loss" in known else ""
    others = [measure for name, measure in known.items() if name not in _OWN and f"validation/{name}" in facts.series]
    # A task may have an accuracy with some of its objectives only: the place is another measure's, where there is one.
    judged = not others or any(f"{split}/accuracy" in facts.series for split in ("train", "validation"))
    own = [name for name in _OWN if name in known and (name != "accuracy" or judged)]
    yield _Design("loss", "Loss", unit,
                  (_Source("train/loss", "train", "train"), _Source("validation/loss", "validation", "validation")),
                  scales=("linear", "log"), best="validation/loss")  # fmt: skip
    if "perplexity" in known:
        yield _Design("perplexity", "Perplexity", known["perplexity"].note,
                      (_Source("train/loss", "train, exp(loss)", "train", exponent=True),
                       _Source("validation/perplexity", "validation", "validation")),
                      scales=("log", "linear"), best="validation/perplexity")  # fmt: skip
    if "accuracy" in own:
        yield _Design("accuracy", "Accuracy", known["accuracy"].note,
                      (_Source("train/accuracy", "train", "train"), _Source("validation/accuracy", "validation", "validation")),
                      style="percent", best="validation/accuracy")  # fmt: skip
    chosen = facts.best_metric.partition("/")[2]
    room = max(0, _MEASURED - len(own))
    for measure in sorted(others, key=lambda measure: measure.name != chosen)[:room]:
        metric, style = f"validation/{measure.name}", _style(measure)
        yield _Design(measure.name.replace("_", "-"), measure.label[:1].upper() + measure.label[1:], measure.note,
                      (_Source(metric, "validation", "validation"),), style=style, best=metric)  # fmt: skip
    yield _Design("learning-rate", "Learning rate", "", (_Source("train/learning_rate", "learning rate", "train"),), style="rate")
    yield _Design("gradient-norm", "Gradient norm", "L2, before clipping",
                  (_Source("train/gradient_norm", "gradient norm", "train"),), scales=("linear", "log"))  # fmt: skip
    of_samples = "throughput/tokens_per_second" not in facts.series and "throughput/samples_per_second" in facts.series
    counts = "samples" if of_samples else "tokens"
    yield _Design("time", "Time", f"{counts} per second",
                  (_Source(f"throughput/{counts}_per_second", f"{counts} per second", "train"),), style="count",
                  instead=((_Source("throughput/step_seconds", "step", "train"),), "seconds per optimizer step"))  # fmt: skip


def _style(measure: Measure) -> Style:
    return "percent" if measure.share else "number"


def panels(facts: Facts) -> tuple[Panel, ...]:
    """The panels in their order, empty ones included: a missing chart would leave the reader guessing."""
    last = max((points[-1].step for points in facts.series.values() if points), default=1)
    return tuple(_panel(facts, design, last=max(last, 1)) for design in _designs(facts))


def _panel(facts: Facts, design: _Design, *, last: int) -> Panel:
    sources, unit = design.sources, design.unit
    if design.instead and not any(facts.series.get(source.metric) for source in sources):
        sources, unit = design.instead
    curves = tuple(_curves(facts, sources))
    style: Style = "number" if unit != design.unit else design.style
    drawn = [value for each in curves for _, value in each.finite]
    best, beaten = _best(facts, design), _level(facts, design) if drawn else None
    shown = [*drawn, beaten.value] if beaten else drawn
    scales = [scale for scale in design.scales if scale == "linear" or (shown and min(shown) > 0)] or ["linear"]
    return Panel(
        id=design.id,
        title=design.title,
        unit=unit,
        curves=curves,
        steps=(0, last),
        axes=tuple(Axis(*bounds(shown, log=scale == "log"), log=scale == "log", style=style) for scale in scales),
        summary=_summary(design, curves, best, style),
        note=" ".join(filter(None, (_note(curves), _part_note(facts, design) if best else ""))),
        values=_values(facts, design, sources, style),
        best=best,
        level=beaten,
        empty=_empty(design, curves),
    )


def _curves(facts: Facts, sources: Sequence[_Source]) -> Iterator[Curve]:
    for source in sources:
        if points := _recorded(facts, source):
            yield curve(points, metric=source.metric, label=source.label, role=source.role)


def _recorded(facts: Facts, source: _Source) -> list[tuple[int, float]]:
    return [(point.step, _exp(point.value) if source.exponent else point.value) for point in facts.series.get(source.metric, ())]


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _best(facts: Facts, design: _Design) -> Mark | None:
    """The best checkpoint's step in the panels whose metric was evaluated there."""
    step = facts.best_step
    value = facts.value_at(design.best, step) if design.best else None
    if step is None or value is None or not math.isfinite(value):
        return None
    written = _WRITE[design.style](value)
    part = facts.most_batches
    # A legend has no room for both; the step can be read off the axis, and what the figure is of cannot.
    label = f"best on ≤{plural(part, 'batch')}: {written}" if part else f"best: {written} at step {count(step)}"
    return Mark(label, value, step)


def _level(facts: Facts, design: _Design) -> Mark | None:
    """A level that the curve is to be seen against: that of the best baseline, or the norm that gradients are clipped to."""
    if design.best and (beaten := level(facts, "validation", design.best.partition("/")[2])) is not None:
        return Mark(f"{beaten[0]} {_WRITE[design.style](beaten[1])}", beaten[1])
    if design.id == "gradient-norm":
        clip = facts.option("schedule", "gradient_clip")
        if isinstance(clip, int | float):
            return Mark(f"clipped to {clip:g}", float(clip))
    return None


def _empty(design: _Design, curves: tuple[Curve, ...]) -> str:
    if not curves:
        return f"{' and '.join(_names(design))} {'was' if len(_names(design)) == 1 else 'were'} not recorded in this run."
    if not any(each.finite for each in curves):
        return f"All {plural(sum(each.recorded for each in curves), 'recorded value')} are not finite (NaN or infinite)."
    return ""


def _names(design: _Design) -> list[str]:
    own = [source.metric for source in design.sources]
    return own + [source.metric for source in design.instead[0]] if design.instead else own


def _note(curves: tuple[Curve, ...]) -> str:
    """What the drawing leaves out, so that nobody takes it for everything."""
    notes = []
    for each in curves:
        if each.not_finite and each.finite:
            notes.append(
                f"{each.label}: {count(each.not_finite)} of {plural(each.recorded, 'value')} not finite, the first at step "
                f"{count(each.first_not_finite)}; the line breaks there."
            )
        if each.thinned:
            notes.append(
                f"{each.label}: {count(len(each.samples))} of {plural(each.recorded, 'value')} drawn, "
                "each stretch by its smallest and largest."
            )
    return " ".join(notes)


def _part_note(facts: Facts, design: _Design) -> str:
    """Why the best value here is not the one that the report gives elsewhere."""
    part, whole = facts.most_batches, facts.metrics.get(design.best)
    if not part:
        return ""
    known = f"; on the whole split the best checkpoint has {_WRITE[design.style](whole)}" if facts.evaluated and whole is not None else ""
    return f"validation: through training, each value is of at most {plural(part, 'batch')}{known}."


def _summary(design: _Design, curves: tuple[Curve, ...], best: Mark | None, style: Style) -> str:
    write = _WRITE[style]
    parts = []
    for each in curves:
        if finite := each.finite:
            (first_step, first), (last_step, last) = finite[0], finite[-1]
            low, high = min(value for _, value in finite), max(value for _, value in finite)
            parts.append(
                f"{each.label} from {write(first)} at step {count(first_step)} to {write(last)} at step {count(last_step)}, "
                f"between {write(low)} and {write(high)}"
            )
    if best and best.step is not None:
        parts.append(f"best: {write(best.value)} at step {count(best.step)}")
    return f"{design.title}: {'; '.join(parts)}." if parts else f"{design.title}: nothing to draw."


def _values(facts: Facts, design: _Design, sources: Sequence[_Source], style: Style) -> Table:
    """The curves as figures at evenly spaced steps, the ends and the best step among them. Evaluations set the steps."""
    recorded = {source.label: dict(points) for source in sources if (points := _recorded(facts, source))}
    steps = min((sorted(values) for values in recorded.values()), key=len, default=list[int]())
    best = facts.best_step
    chosen = spread(steps, limit=_TABLE_ROWS, keep=frozenset() if best is None else frozenset({best}))
    write = _WRITE[style]
    rows = tuple(Row((count(step), *(write(values.get(step)) for values in recorded.values()))) for step in chosen)
    columns = (Column("step", numeric=True), *(Column(label, numeric=True) for label in recorded))
    return Table(f"{design.title} at {count(len(chosen))} of {plural(len(steps), 'step')}", columns, rows)
