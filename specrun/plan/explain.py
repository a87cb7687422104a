"""A plan in words and as JSON. Reads the same decisions that the engine executes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from specrun.plan import figures
from specrun.plan.cost import ModelCost
from specrun.plan.predict import Forecast
from specrun.plan.step import Decision

_INDENT = 2
WIDTH = 118
"""Columns of a plan where no terminal is narrower."""
_NARROWEST = 24
"""A text keeps so many columns, however narrow the terminal."""


def step_lines(
    *, name: str, place: str, decisions: Sequence[Decision], forecast: Forecast, memory_bytes: int, columns: int = WIDTH,
    found: Mapping[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """The plan without its closing sentence: a line for the whole, then those of each step.

    name: empty where another plan on the device has told of it; place: the device with its reasons; memory_bytes: what the device has;
    found: by step id, what a finished step found.
    """
    width = max(len(d.step.id) for d in decisions)
    lines = textwrap.wrap(f"{name} on {place}", max(_NARROWEST, columns), subsequent_indent=" " * 2 * _INDENT) if name else []
    for decision in decisions:
        head = f"{'':{_INDENT}}{decision.step.id:<{width}}  {decision.action:<6}  {decision.step.key[:6]}  "
        first = _first_text(decision, forecast) or (found or {}).get(decision.step.id, "")
        texts = [text for text in (first, _cost_text(decision, forecast, memory_bytes)) if text]
        wrapped = [line for text in texts for line in textwrap.wrap(text, max(_NARROWEST, columns - len(head)))] or [""]
        lines.append(head + wrapped[0])
        lines += [" " * len(head) + line for line in wrapped[1:]]
    return [line.rstrip() for line in lines]


def summary(decisions: Sequence[Decision]) -> str:
    """One sentence: how much would run."""
    working = [d for d in decisions if d.action in ("run", "resume")]
    if not working:
        return "Nothing to do: every step is finished. Nothing was run."
    kinds = list(dict.fromkeys(d.step.kind for d in working))
    known = [d.predicted.seconds for d in working if d.predicted.seconds is not None]
    about = f"about {figures.seconds(sum(known))}" if known else ""
    if any(d.step.kind == "train" and d.predicted.seconds is None for d in working):
        about = f"at least {figures.seconds(sum(known))}, and the training" if known else "the training's time is not known yet"
    about = f", {about}" if about else ""
    steps = f"{len(working)} step{'s' if len(working) > 1 else ''}"
    return f"{steps} to run ({', '.join(kinds)}){about}. Nothing was run."


def plan_document(*, spec_digest: str, decisions: Sequence[Decision], forecast: Forecast, device: dict[str, Any]) -> dict[str, Any]:
    """The `plan --json` document."""
    schedule, cost = forecast.schedule, forecast.cost
    return {
        "format_version": 1,
        "spec_digest": spec_digest,
        "device": device,
        "steps": [_step_document(decision) for decision in decisions],
        "model": {
            "parameters": cost.parameters if cost else None,
            "trainable_parameters": cost.trainable_parameters if cost else None,
        },
        "training": {
            "optimizer_steps": schedule.total_steps if schedule else None,
            "samples": schedule.total_samples if schedule else None,
            "tokens": schedule.total_tokens if schedule else None,
            "flops": forecast.flops,
            "exact": forecast.facts.exact,
            "basis": forecast.facts.basis,
        },
        "changes": any(d.action in ("run", "resume") for d in decisions),
    }


def _step_document(decision: Decision) -> dict[str, Any]:
    predicted = decision.predicted
    return {
        "id": decision.step.id,
        "kind": decision.step.kind,
        "key": decision.step.key,
        "action": decision.action,
        "reason": decision.reason,
        "needs": list(decision.step.needs),
        "predicted": {
            "seconds": predicted.seconds,
            "memory_bytes": predicted.memory_bytes,
            "disk_bytes": predicted.disk_bytes,
            "basis": predicted.basis,
        },
    }


def _first_text(decision: Decision, forecast: Forecast) -> str:
    if decision.action != "cached":
        return decision.reason
    facts = forecast.facts
    if decision.step.kind == "tokens" and facts.exact and facts.train_tokens is not None:
        return figures.plural(facts.train_tokens, "training token")
    if decision.step.kind == "tokenizer" and facts.vocab_size:
        return f"{figures.plural(facts.vocab_size, 'token')} in the vocabulary"
    return ""


def _cost_text(decision: Decision, forecast: Forecast, memory_bytes: int) -> str:
    predicted = decision.predicted
    if decision.action not in ("run", "resume"):
        return ""
    parts = _training_parts(forecast) if decision.step.kind == "train" else []
    if predicted.seconds is not None:
        parts.append(f"~{figures.seconds(predicted.seconds)} ({predicted.basis})")
    if predicted.memory_bytes is not None:
        parts.append(f"{figures.size(predicted.memory_bytes)} of {figures.size(memory_bytes)} memory{_at_once(decision, forecast)}")
    if predicted.disk_bytes is not None:
        parts.append(f"{figures.size(predicted.disk_bytes)} on disk")
    return ", ".join(parts)


def _at_once(decision: Decision, forecast: Forecast) -> str:
    """The micro-batch that a training's memory is for."""
    schedule = forecast.schedule
    if decision.step.kind != "train" or schedule is None:
        return ""
    size = schedule.micro_batch_size
    return " with the whole batch at once" if size == schedule.batch_size else f" with {figures.plural(size, 'sample')} at once"


def _parameters(cost: ModelCost) -> str:
    if not cost.frozen_parameters:
        return f"{figures.count(cost.parameters)} parameters"
    return f"{figures.count(cost.trainable_parameters)} of {figures.count(cost.parameters)} parameters trained"


def _training_parts(forecast: Forecast) -> list[str]:
    schedule, cost = forecast.schedule, forecast.cost
    about = "" if forecast.facts.exact else "~"
    parts = []
    if cost is not None:
        parts.append(about + _parameters(cost))
    if schedule is not None:
        mark = "" if forecast.facts.exact or forecast.facts.train_tokens is None else about
        if schedule.duration_seconds is not None:
            mark = "about "
        tokens = f"{figures.count(schedule.total_tokens)} {forecast.counts}"
        if schedule.total_tokens == 1:
            tokens = tokens.removesuffix("s")
        parts.append(f"{mark}{figures.plural(schedule.total_steps, 'step')}, {mark}{tokens}")
    else:
        parts.append(f"steps and time {forecast.facts.basis}")
    return parts
