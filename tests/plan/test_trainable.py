"""What a plan says of a training of some parameters only, held against the model that is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from specrun.models.gpt.build import build
from specrun.plan.memory import predict_memory
from specrun.plan.predict import Facts, Forecast, forecast, training_signature
from specrun.plan.trainable import as_trained
from specrun.runtime.factory import load_factory
from specrun.spec.document import Spec
from specrun.training.trainable import choose_trainable

from .conftest import DOCUMENT, spec_of

FACTS = Facts(3000, 50, exact=True, basis="counted")


def spec_with(parameters: dict[str, Any], **hardware: Any) -> Spec:
    schedule: Any = DOCUMENT["schedule"]
    return spec_of({**DOCUMENT, "schedule": {**schedule, "parameters": parameters}, "hardware": hardware})


def expected(spec: Spec) -> Forecast:
    return forecast(spec, facts=FACTS, history=(), device="d", kind="cpu", cores=2, signature="s")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"frozen": ["token_embedding.*", "*norm*"]},
        {"frozen": ["blocks.0.*"]},
        {"lora": {"rank": 3}},
        {"lora": {"rank": 2, "targets": ["*.attention.*", "blocks.1.mlp.out"]}},
    ],
)
def test_what_is_trained_and_what_is_not_is_counted_as_it_is_built(parameters: dict[str, Any]) -> None:
    spec = spec_with(parameters)
    model = build(spec.model, vocab_size=50, sequence_length=16)  # type: ignore[arg-type]
    choose_trainable(model, spec.schedule.parameters)
    cost = expected(spec).cost
    assert cost is not None
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.trainable_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_a_frozen_parameter_takes_its_weight_and_nothing_more() -> None:
    whole, frozen = expected(spec_with({})), expected(spec_with({"frozen": ["blocks.*"]}))
    assert whole.memory is not None
    assert frozen.memory is not None
    assert frozen.cost is not None
    gradient_and_moments, moments_in_snapshot = 12, 8
    assert whole.memory.state - frozen.memory.state == (gradient_and_moments + moments_in_snapshot) * frozen.cost.frozen_parameters
    before, after = whole.steps["train"].disk_bytes, frozen.steps["train"].disk_bytes
    assert before is not None
    assert after is not None
    assert after < before


def test_activations_that_are_computed_twice_are_kept_once() -> None:
    plain, checkpointed = expected(spec_with({})), expected(spec_with({}, activation_checkpointing=True))
    assert plain.memory is not None
    assert checkpointed.memory is not None
    assert checkpointed.memory.activations < plain.memory.activations
    assert checkpointed.memory.state == plain.memory.state
    assert plain.memory.could_checkpoint
    assert not checkpointed.memory.could_checkpoint


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_predicted_activations_of_checkpointed_blocks_are_what_autograd_keeps(architecture: str) -> None:
    sizes = {"architecture": architecture, "num_layers": 6, "width": 64, "num_heads": 4}
    spec = spec_of({**DOCUMENT, "model": {"kind": "gpt", **sizes}, "hardware": {"activation_checkpointing": True}})
    model = build(spec.model, vocab_size=50, sequence_length=16).train()  # type: ignore[arg-type]
    model.checkpoint_activations(enabled=True)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.hidden(torch.randint(0, 50, (4, 16)))
    found = sum(size for place, size in kept.items() if place not in own)
    cost = expected(spec).cost
    assert cost is not None
    one_block = cost.layer_bytes_per_token * 64
    assert cost.activation_bytes_per_token * 64 == pytest.approx(found + one_block, rel=0.1)


def test_a_model_that_names_no_parameters_is_taken_to_train_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_with({"frozen": ["blocks.*"]})
    cost = spec.model.cost(vocab_size=50, sequence_length=16)  # type: ignore[attr-defined]
    monkeypatch.delattr(type(spec.model), "parameter_shapes")
    assert as_trained(cost, spec, sizes={"vocab_size": 50, "sequence_length": 16}) == cost


@pytest.mark.parametrize("kind", ["adamw", "sgd", "lion", "muon", "adafactor"])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_the_numbers_that_an_optimizer_keeps_are_counted(kind: str, momentum: float) -> None:
    more = {"momentum": momentum} if kind == "sgd" else {}
    optimizer: dict[str, Any] = {"kind": kind, **more}
    schedule: Any = DOCUMENT["schedule"]
    spec = spec_of({**DOCUMENT, "schedule": {**schedule, "optimizer": optimizer}})
    model = build(spec.model, vocab_size=50, sequence_length=16)  # type: ignore[arg-type]
    options: Any = spec.schedule.optimizer
    stepping = load_factory(options.factory)(options, model=model, compute_dtype=torch.float32)
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    stepping.step()
    cost = expected(spec).cost
    assert cost is not None
    kept = [value for state in stepping.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    share = sum(tensor.numel() for tensor in kept if tensor.dim()) / cost.parameters
    assert {"muon": share <= cost.moments, "adafactor": share < 0.25}.get(kind, share == cost.moments)


def test_a_moving_average_is_one_number_more() -> None:
    plain, average = expected(spec_with({})).cost, expected(spec_with({"average": {}})).cost
    assert plain is not None
    assert average is not None
    assert average.moments == plain.moments + 1


def test_trainings_of_other_parameters_are_not_taken_for_one_another() -> None:
    specs = [spec_with({}), spec_with({"lora": {}}), spec_with({"frozen": ["blocks.0.*"]}), spec_with({}, activation_checkpointing=True)]
    assert len({training_signature({}, spec, 50) for spec in specs}) == len(specs)


def test_memory_of_adapters_fits_where_that_of_the_weights_does_not() -> None:
    schedule = expected(spec_with({})).schedule
    assert schedule is not None
    whole = expected(spec_with({})).cost
    adapters = expected(spec_with({"lora": {"rank": 1, "targets": ["blocks.0.mlp.out"]}})).cost
    assert whole is not None
    assert adapters is not None
    states = [predict_memory(cost, schedule, evaluation_tokens=0, kind="cuda").state for cost in (whole, adapters)]
    assert states[1] < states[0] / 3
