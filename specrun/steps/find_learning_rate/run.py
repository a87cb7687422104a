"""Runs the `find_learning_rate` step: a range test on the training's own model, data and optimizer, from its first step.

A fork is tested with the weights that it begins with: a rate for drawn ones would undo what they have learned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from specrun.errors import SpecrunError
from specrun.events import Message, Progress
from specrun.plan import figures
from specrun.plan.start import start_of
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.train.trial import open_trial, usual_rate
from specrun.training.finders.learning_rate import Range, Suggestion, range_test, suggest

CURVE = "range_test.json"


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Find the base learning rate. values: found, lowest, tenth_of_lowest, and the range and the number of steps tested.

    Raises: SpecrunError where no rate lowers the loss.
    """
    settings = context.step.options["settings"]
    span = Range(low=settings["low"], high=settings["high"], steps=settings["steps"])
    state, schedule = open_trial(context, spec, inputs)

    def tell(done: int, rate: float, loss: float) -> None:
        context.emit(Progress(context.step.id, done, span.steps, "step", {"loss": loss, "learning_rate": rate}))

    curve = range_test(
        state, span, on_step=tell,
        next_batch=lambda position: state.task.train_batch(position * schedule.batch_size, count=schedule.batch_size),
    )  # fmt: skip
    suggestion = suggest(curve)
    if suggestion is None and context.smoke:
        # Two samples a step need not show anything: that the test runs is all that is asked of it.
        suggestion = Suggestion(usual_rate(spec), usual_rate(spec))
    if suggestion is None:
        low, high = figures.learning_rate(span.low), figures.learning_rate(span.high)
        start = start_of(context.step.label)
        such_as = "3e-4" if start is None else f"a tenth of what {start.run_id} has"
        hint = f"give schedule.optimizer.learning_rate a number, such as {such_as}"
        raise SpecrunError(f"the range test found no learning rate from {low} to {high} that lowers the loss",
                           code="no-learning-rate-found", hint=hint)  # fmt: skip
    context.emit(Message(f"{context.step.id}: {figures.learning_rate(suggestion.rate)}, where the loss falls steepest"))
    (context.folder / CURVE).write_text(json.dumps(asdict(curve)) + "\n")
    values = {
        "found": suggestion.rate,
        "lowest": suggestion.lowest,
        "tenth_of_lowest": suggestion.tenth_of_lowest,
        "steps": len(curve.rates),
        "diverged": curve.diverged,
        **{name: settings[name] for name in ("low", "high")},
    }
    return StepOutput(values, {CURVE: "learning_rate_curve"})
