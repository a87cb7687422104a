"""What a reader should know after five seconds: the verdict in a sentence, warnings, gates and key figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from specrun.records.seeds import ENDED_WELL
from specrun.report.evaluation import disagreements
from specrun.report.facts import Facts, mapping
from specrun.report.measures import gain, measure_of, recorded
from specrun.report.numbers import count, duration, number, plural, short_count, size
from specrun.report.views import Fact, GateRow, Notice, Tone

_ENDED: dict[str, tuple[str, Tone]] = {
    "completed": ("completed", "good"),
    "stopped_early": ("stopped early", "good"),
    "running": ("running", "neutral"),
    "interrupted": ("interrupted", "warning"),
    "failed": ("failed", "bad"),
    "crashed": ("crashed", "bad"),
}


_JUDGED = 5
"""Tiles of metrics, at most."""


def status(facts: Facts) -> tuple[str, Tone]:
    """The verdict in a word or two, and its tone: a run that ended well but failed a gate did not end well."""
    words, tone = _ended(facts)
    broken = sum(not gate.passed for gate in gates(facts))
    return (f"{plural(broken, 'gate')} failed", "bad") if tone == "good" and broken else (words, tone)


def _ended(facts: Facts) -> tuple[str, Tone]:
    return _ENDED.get(facts.status, (facts.status.replace("_", " "), "neutral"))


def headline(facts: Facts) -> tuple[str, ...]:
    """The verdict in parts: how it ended, what came out, what that is worth, whether the gates hold."""
    words, _ = _ended(facts)
    join = " in " if facts.status in ENDED_WELL else " after "
    seconds = seconds_taken(facts)
    parts = [words + (f"{join}{duration(seconds)}" if seconds else "")]
    value, step, measure = facts.metrics.get(facts.best_metric), facts.best_step, measure_of(facts, facts.best_metric)
    if value is not None and measure is not None:
        at = f" (best at step {count(step)})" if step is not None else ""
        parts.append(f"validation {measure.label} {measure.write(value)}{at}")
    split = "test" if recorded(facts, "test") else "validation"
    if (found := gain(facts, split)) is not None:
        named = "" if f"{found.split}/{found.measure.name}" == facts.best_metric else f"{split} {found.measure.label} "
        parts.append(f"{named}{found.text}")
    checked = gates(facts)
    if checked:
        held = sum(gate.passed for gate in checked)
        parts.append("every gate holds" if held == len(checked) else f"{plural(len(checked) - held, 'gate')} of {len(checked)} failed")
    return tuple(parts)


def seconds_taken(facts: Facts) -> float | None:
    """Wall time of all attempts, as every list of runs has it."""
    value = facts.run.duration_s
    return value if math.isfinite(value) and value > 0 else None


def gates(facts: Facts) -> tuple[GateRow, ...]:
    """The `expect` gates as they were checked at the end."""
    return tuple(
        GateRow(str(gate.get("expression", "")), bool(gate.get("passed")), _gate_value(gate.get("value")))
        for gate in map(mapping, facts.final.get("gates") or ())
    )


def _gate_value(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else "not recorded"


def notices(facts: Facts) -> tuple[Notice, ...]:
    """Everything to read before the figures, the gravest first, each once."""
    order = {"error": 0, "warning": 1, "info": 2}
    found = dict.fromkeys([*_own_notices(facts), *_recorded_notices(facts)])
    return tuple(sorted(found, key=lambda notice: order[notice.level]))


def _own_notices(facts: Facts) -> Iterator[Notice]:
    reason = str(facts.final.get("reason") or facts.run.reason or "")
    remedy = str(facts.final.get("hint") or "")
    reason = f"{reason}; {remedy}" if reason and remedy else reason
    level: Literal["error", "warning", "info"]
    if facts.status in ("failed", "crashed", "interrupted"):
        level = "warning" if facts.status == "interrupted" else "error"
        yield Notice(level, f"run-{facts.status}", reason or "The run did not reach its end; the figures are those recorded until then.")
    elif facts.status in ENDED_WELL and reason:
        yield Notice("info", f"run-{facts.status.replace('_', '-')}", reason)
    if text := _earlier_attempts(facts):
        yield Notice("info", "earlier-attempts", text)
    if facts.document.get("smoke"):
        yield Notice("warning", "smoke-run", "A smoke run on tiny batches: it shows that every step works, and its figures mean nothing.")
    data = {**mapping(facts.document.get("data")), **facts.result("data")}
    if data.get("fallback_used"):
        yield Notice(
            "warning", "not-comparable", "Not comparable with other runs: the data came from the fallback source, not from the one named."
        )
    elif data.get("comparable") is False or facts.document.get("comparable") is False:
        yield Notice("warning", "not-comparable", "Not comparable with other runs.")
    for text in disagreements(facts):
        yield Notice("warning", "figures-disagree", text)


def _earlier_attempts(facts: Facts) -> str:
    """How many attempts before the newest did not reach the end, and how; empty where none did not."""
    ended = Counter(one.status for one in facts.attempts[:-1] if one.status not in ENDED_WELL)
    parts = [f"{count(number)} {status}" for status, number in sorted(ended.items())]
    return f"Of {plural(len(facts.attempts), 'attempt')}: {', '.join(parts)}. What ran tells of each." if parts else ""


def _recorded_notices(facts: Facts) -> Iterator[Notice]:
    levels: dict[str, Literal["info", "warning", "error"]] = {"info": "info", "error": "error"}
    for alert in facts.alerts:
        where = "" if alert.step is None else f"step {count(alert.step)}"
        yield Notice(levels.get(alert.level, "warning"), alert.code, alert.message, where)


def _trained(train: Mapping[str, Any]) -> str:
    trainable = train.get("trainable_parameters", train.get("parameters"))
    return "trainable" if trainable == train.get("parameters") else f"{short_count(trainable)} of them trainable"


def _counts(facts: Facts) -> str:
    """What the training counted: tokens, where their throughput was recorded."""
    names = {*facts.metrics, *facts.series, *facts.result("train")}
    return "samples" if "throughput/samples_per_second" in names and "throughput/tokens_per_second" not in names else "tokens"


def tiles(facts: Facts) -> tuple[Fact, ...]:
    """The key figures; one that was not recorded is left out rather than shown as zero."""
    metrics, train = facts.metrics, facts.result("train")
    split, step = "test" if recorded(facts, "test") else "validation", facts.best_step
    chosen = measure_of(facts, facts.best_metric)
    best = [] if chosen is None else [(f"validation {chosen.label}", metrics.get(facts.best_metric), chosen.write,
                                       f"best at step {count(step)}" if step is not None else chosen.note)]  # fmt: skip
    judged = [(f"{split} {one.label}", metrics[f"{split}/{one.name}"], one.write, one.note)
              for one in recorded(facts, split) if one != chosen][:_JUDGED]  # fmt: skip
    counts = _counts(facts)
    speed = metrics.get(f"throughput/{counts}_per_second")
    if counts == "tokens":
        speed = train.get("tokens_per_second", speed)
    predictions = train.get("tokens") or max((p.tokens or 0 for p in facts.series.get("train/loss", ())), default=0)
    batch = facts.option("schedule", "batch_size")
    if counts == "samples" and train.get("steps") and isinstance(batch, int):
        predictions = train["steps"] * batch
    memory, processes, attempts = train.get("peak_memory_bytes"), train.get("peak_memory_processes", 1), facts.run.attempts
    wanted: tuple[tuple[str, Any, Callable[[Any], str], str], ...] = (
        *best,
        *judged,
        ("training speed", speed, short_count, f"{counts} per second"),
        ("duration", seconds_taken(facts), duration, "wall time" + (f" of {attempts} attempts" if attempts > 1 else "")),
        ("trained on", predictions or None, short_count, f"{counts} in {plural(train['steps'], 'step')}" if train.get("steps") else counts),
        ("parameters", train.get("parameters"), short_count, _trained(train)),
        ("peak memory", memory, size, "of the training process" if processes == 1 else f"of {processes} training processes together"),
    )
    return tuple(Fact(label, write(value), note) for label, value, write, note in wanted if isinstance(value, int | float))
