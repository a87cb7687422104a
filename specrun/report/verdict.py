"""What a reader should know after five seconds: the verdict in a sentence, warnings, gates and key figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from specrun.records.seeds import ENDED_WELL
from specrun.report.evaluation import disagreements, gain
from specrun.report.facts import Facts, mapping
from specrun.report.numbers import count, duration, number, percent, plural, short_count, size
from specrun.report.views import Fact, GateRow, Notice, Tone

_ENDED: dict[str, tuple[str, Tone]] = {
    "completed": ("completed", "good"),
    "stopped_early": ("stopped early", "good"),
    "running": ("running", "neutral"),
    "interrupted": ("interrupted", "warning"),
    "failed": ("failed", "bad"),
    "crashed": ("crashed", "bad"),
}


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
    loss, step = facts.metrics.get("validation/loss"), facts.best_step
    if loss is not None:
        parts.append(f"validation loss {number(loss)}" + (f" (best at step {count(step)})" if step is not None else ""))
    split = "test" if "test/loss" in facts.metrics else "validation"
    below = gain(facts, split)
    if below is not None:
        parts.append(f"{number(abs(below), digits=2)} nats {'below' if below >= 0 else 'above'} the unigram baseline")
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


def tiles(facts: Facts) -> tuple[Fact, ...]:
    """The key figures; one that was not recorded is left out rather than shown as zero."""
    metrics, train = facts.metrics, facts.result("train")
    split = "test" if "test/loss" in metrics else "validation"
    step = facts.best_step
    parameters = train.get("parameters")
    tokens = train.get("tokens") or max((p.tokens or 0 for p in facts.series.get("train/loss", ())), default=0)
    speed = train.get("tokens_per_second", metrics.get("throughput/tokens_per_second"))
    memory, processes, attempts = train.get("peak_memory_bytes"), train.get("peak_memory_processes", 1), facts.run.attempts
    wanted = (
        (
            "validation loss",
            metrics.get("validation/loss"),
            number,
            f"best at step {count(step)}" if step is not None else "nats per token",
        ),
        (f"{split} perplexity", metrics.get(f"{split}/perplexity"), number, "per token"),
        (f"{split} word perplexity", metrics.get(f"{split}/word_perplexity"), number, "per word"),
        (f"{split} bits per byte", metrics.get(f"{split}/bits_per_byte"), number, "whatever the tokenizer"),
        (f"{split} accuracy", metrics.get(f"{split}/accuracy"), percent, "of tokens predicted right"),
        ("training speed", speed, short_count, "tokens per second"),
        ("duration", seconds_taken(facts), duration, "wall time" + (f" of {attempts} attempts" if attempts > 1 else "")),
        ("trained on", tokens or None, short_count, f"tokens in {plural(train['steps'], 'step')}" if train.get("steps") else "tokens"),
        ("parameters", parameters, short_count, _trained(train)),
        ("peak memory", memory, size, "of the training process" if processes == 1 else f"of {processes} training processes together"),
    )
    return tuple(Fact(label, write(value), note) for label, value, write, note in wanted if isinstance(value, int | float))
