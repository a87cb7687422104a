"""What every model must keep, whatever it is: a check a law, each a function of a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from specrun.runtime.factory import load_factory
from specrun.spec.model_options import ModelOptions
from specrun.spec.own_parts import own_options
from specrun.spec.own_path import Permission
from specrun.testing.inputs import INPUTS, Inputs

SAMPLES = 4


@dataclass(frozen=True)
class ModelCase:
    """A model to be checked. model: `package.module:Name`, whose code this allows to run, or options that are made already. options:
    keys of the spec. inputs, sizes: other ones than `INPUTS` has for the interface. tolerance: of float32 that is summed otherwise."""

    model: str | ModelOptions
    interface: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Any] | None = None
    inputs: Inputs | None = None
    tolerance: float = 1e-4

    @property
    def made(self) -> ModelOptions:
        """The model's options."""
        if isinstance(self.model, ModelOptions):
            return self.model
        module = self.model.partition(":")[0]
        options: Any = own_options("model", self.model, Permission((module,)), interface=self.interface)
        made: ModelOptions = options(kind=self.model, **self.options)
        return made

    @property
    def of_interface(self) -> Inputs:
        return self.inputs or INPUTS[self.interface]

    @property
    def all_sizes(self) -> dict[str, Any]:
        return {**self.of_interface.sizes, **(self.sizes or {})}

    def build(self, seed: int = 0) -> nn.Module:
        """The model with weights of a seed."""
        torch.manual_seed(seed)
        model: nn.Module = load_factory(self.made.factory)(self.made, **self.all_sizes)
        return model

    def batch(self, seed: int = 0) -> tuple[Any, ...]:
        torch.manual_seed(seed + 1)
        return self.of_interface.draw(SAMPLES)

    def outputs(self, model: nn.Module, batch: tuple[Any, ...]) -> Tensor:
        """As an evaluation computes them."""
        with torch.no_grad():
            return self.of_interface.call(model.eval(), batch)

    def assert_close(self, first: Tensor, second: Tensor, what: str) -> None:
        """Fail, saying what, where two outputs are not the same up to rounding."""
        apart = float((first - second).abs().max()) if first.numel() else 0.0
        assert apart <= self.tolerance * (1 + float(second.abs().max())), f"{what}: outputs are up to {apart:.3g} apart"


def serves_its_interface(case: ModelCase) -> None:
    """Its options name the interface, so that a spec can bring model and task together."""
    assert case.interface in case.made.serves, f"serves is {case.made.serves}, and a task asks for {case.interface}"


def is_drawn_from_the_seed(case: ModelCase) -> None:
    """The same seed gives the same weights: nothing else is drawn from."""
    for (name, first), second in zip(case.build().state_dict().items(), case.build().state_dict().values(), strict=True):
        assert torch.equal(first, second), f"{name} differs between two models of the same seed; draw it with torch alone"


def gives_the_shape_of_its_interface(case: ModelCase) -> None:
    """Numbers of the right shape, all of them finite."""
    model = case.build()
    found = case.outputs(model, case.batch())
    wanted = (SAMPLES, *case.of_interface.shape(model))
    assert tuple(found.shape) == wanted, f"the output has the shape {tuple(found.shape)}, and the task reads {wanted}"
    assert found.is_floating_point(), f"the output is {found.dtype}, and not floating point"
    assert bool(found.isfinite().all()), "the output of a new model is not finite"


def learns_with_every_parameter(case: ModelCase) -> None:
    """Every parameter that is to be trained gets a gradient, some of them not zero."""
    model = case.build().train()
    found = case.of_interface.call(model, case.batch())
    (found * torch.randn_like(found)).sum().backward()  # type: ignore[no-untyped-call]
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    idle = [name for name, parameter in trained.items() if parameter.grad is None]
    assert not idle, f"no gradient reaches {', '.join(idle)}: use them, or do not make them"
    gradients = [parameter.grad for parameter in trained.values() if parameter.grad is not None]
    assert any(bool(gradient.any()) for gradient in gradients), "every gradient is zero"
    assert all(bool(gradient.isfinite().all()) for gradient in gradients), "a gradient is not finite"


def judges_each_sample_by_itself(case: ModelCase) -> None:
    """In evaluation a sample's output does not depend on the others of its batch."""
    model, batch = case.build(), case.batch()
    together = case.outputs(model, batch)
    for number in range(SAMPLES):
        alone = case.outputs(model, case.of_interface.row(batch, number))
        case.assert_close(alone[0], together[number], f"sample {number} alone and among others")


def sees_nothing_that_it_may_not(case: ModelCase) -> None:
    """Padding and later tokens change nothing, where its interface has such."""
    beyond = case.of_interface.beyond
    if beyond is None:
        return
    model, batch = case.build(), case.batch()
    changed, kept = beyond(batch)
    case.assert_close(kept(case.outputs(model, changed)), kept(case.outputs(model, batch)), "with other padding, or other later tokens")


def evaluates_without_chance(case: ModelCase) -> None:
    """Dropout and the like draw in training alone."""
    model, batch = case.build(), case.batch()
    assert torch.equal(case.outputs(model, batch), case.outputs(model, batch)), "two evaluations of the same batch differ"


def is_all_in_its_state(case: ModelCase) -> None:
    """A model of another seed that is given its state is the same model: nothing that counts is left out of a checkpoint."""
    model, other, batch = case.build(seed=0), case.build(seed=1), case.batch()
    other.load_state_dict(model.state_dict())
    assert torch.equal(case.outputs(model, batch), case.outputs(other, batch)), "what its state_dict holds does not decide its outputs"


def costs_what_it_says(case: ModelCase) -> None:
    """Its `cost`, where it tells one, counts its parameters exactly, each once."""
    cost = getattr(case.made, "cost", None)
    if cost is None:
        return
    told, there = cost(**case.all_sizes).parameters, sum(parameter.numel() for parameter in case.build().parameters())
    assert told == there, f"cost says {told:,} parameters, and the model has {there:,}"


MODEL_CHECKS: tuple[Callable[[ModelCase], None], ...] = (
    serves_its_interface,
    is_drawn_from_the_seed,
    gives_the_shape_of_its_interface,
    learns_with_every_parameter,
    judges_each_sample_by_itself,
    sees_nothing_that_it_may_not,
    evaluates_without_chance,
    is_all_in_its_state,
    costs_what_it_says,
)
"""Each raises AssertionError with a sentence on what is wrong."""


def check_model(case: ModelCase) -> None:
    """All of them."""
    for check in MODEL_CHECKS:
        check(case)
