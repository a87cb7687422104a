"""Which parameters of a model are trained, the rest getting no gradient, no optimizer state and no decay; and what is kept for it."""

from __future__ import annotations

from typing import Any

from torch import nn

from specrun.errors import SpecrunError
from specrun.spec.patterns import idle, matched, remedy
from specrun.spec.sections.parameters import Parameters
from specrun.training.lora import add_adapters


def checkpoint_activations(model: nn.Module) -> None:
    """Let the model keep little for the backward pass and compute it there again. Raises: SpecrunError for one that cannot."""
    switch: Any = getattr(model, "checkpoint_activations", None)
    if switch is None:
        raise SpecrunError(f"hardware.activation_checkpointing: a {type(model).__name__} cannot compute its activations a second time",
                           code="cannot-checkpoint-activations", hint="set hardware.activation_checkpointing: false")  # fmt: skip
    switch(enabled=True)


def choose_trainable(model: nn.Module, options: Parameters) -> None:
    """Freeze what the patterns name, or all but the adapters where there are any, in place.

    Raises: SpecrunError for a pattern that nothing matches, and where nothing is left to train.
    """
    if options.lora is not None:
        add_adapters(model, options.lora)
        return
    parameters = dict(model.named_parameters())
    names = list(parameters)
    for place in idle(options.frozen, names):
        pattern = options.frozen[place]
        raise SpecrunError(f"schedule.parameters.frozen: no parameter of the model matches {pattern}",
                           code="pattern-matches-nothing", hint=remedy(pattern, names))  # fmt: skip
    for name in matched(options.frozen, names):
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise SpecrunError("schedule.parameters.frozen: every parameter of the model is frozen", code="nothing-to-train",
                           hint="leave some out, or add lora")  # fmt: skip
