"""A whole training of some parameters only: what is saved, how it goes on, and what is loaded from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import SIZES, Listener, context, hardware, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.runtime.device import Device, open_device
from specrun.spec.document import Spec
from specrun.spec.sections.hardware import Hardware
from specrun.spec.sections.parameters import Lora, Parameters
from specrun.steps.evaluate.load import load_model
from specrun.steps.train.run import build_model, draw_model, run
from specrun.steps.train.step import what_shapes_masks

LORA = Parameters(lora=Lora(rank=2, dropout=0.1))


def saved(folder: Path, values: Any) -> dict[str, dict[str, torch.Tensor]]:
    checkpoint = folder / values["last_checkpoint"]
    return {name: load_file(checkpoint / f"{name}.safetensors") for name in ("model", "optimizer")}


def with_checkpointing(settings: Spec) -> Spec:
    return settings.model_copy(update={"hardware": Hardware(activation_checkpointing=True)})


def test_a_model_is_drawn_and_loaded_on_the_host_whatever_it_is_for(tmp_path: Path) -> None:
    there = Device("cuda", torch.device("meta"), torch.float32)
    values = run(context(tmp_path / "run", Listener()), spec(), parents(tmp_path)).values
    drawn = draw_model(spec(), sizes=SIZES, seed=0, device=there)
    loaded = load_model(spec(), tmp_path / "run" / values["last_checkpoint"], sizes=SIZES, device=there)
    assert {parameter.device.type for model in (drawn, loaded) for parameter in model.parameters()} == {"cpu"}
    assert {parameter.device for parameter in build_model(spec(), sizes=SIZES, seed=0, device=there).parameters()} == {there.place}


def test_a_checkpoint_holds_base_and_adapters_and_the_optimizer_adapters_alone(tmp_path: Path) -> None:
    settings = spec(parameters=LORA)
    values = run(context(tmp_path / "run", Listener()), settings, parents(tmp_path)).values
    tensors = saved(tmp_path / "run", values)
    first = build_model(settings, sizes=SIZES, seed=0, device=open_device(hardware())).state_dict()
    assert tensors["model"].keys() == first.keys()
    for name, tensor in tensors["model"].items():
        assert torch.equal(tensor, first[name]) == ("lora" not in name)
    assert {name.rpartition("/")[0] for name in tensors["optimizer"]} == {name for name in first if "lora" in name}
    assert values["trainable_parameters"] == sum(tensor.numel() for name, tensor in first.items() if "lora" in name)


def test_training_with_adapters_goes_on_bit_for_bit(tmp_path: Path) -> None:
    data, settings = parents(tmp_path), spec(parameters=LORA, model={"dropout": 0.1})
    straight = run(context(tmp_path / "straight", Listener()), settings, data).values
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "cut", Listener(), stop=stop_after(11)), settings, data)
    resumed = run(context(tmp_path / "cut", Listener()), settings, data).values
    one, other = saved(tmp_path / "straight", straight), saved(tmp_path / "cut", resumed)
    assert all(torch.equal(tensor, other[file][name]) for file in one for name, tensor in one[file].items())


def test_what_is_loaded_is_merged_and_computes_what_was_trained(tmp_path: Path) -> None:
    settings = spec(parameters=LORA)
    values = run(context(tmp_path / "run", Listener()), settings, parents(tmp_path)).values
    device = open_device(hardware())
    adapted: Any = build_model(settings, sizes=SIZES, seed=0, device=device).eval()
    adapted.load_state_dict(load_file(tmp_path / "run" / values["last_checkpoint"] / "model.safetensors"))
    loaded: Any = load_model(settings, tmp_path / "run" / values["last_checkpoint"], sizes=SIZES, device=device)
    assert not any("lora" in name for name in loaded.state_dict())
    ids = torch.arange(8)[None]
    torch.testing.assert_close(loaded(ids), adapted(ids), atol=1e-6, rtol=1e-5)


def test_frozen_parameters_are_saved_as_they_were_drawn(tmp_path: Path) -> None:
    settings = spec(parameters=Parameters(frozen=("token_embedding.*", "blocks.0.*")), duration=q("8 steps"))
    values = run(context(tmp_path / "run", Listener()), settings, parents(tmp_path)).values
    tensors = saved(tmp_path / "run", values)
    first = build_model(settings, sizes=SIZES, seed=0, device=open_device(hardware())).state_dict()
    still = {name for name, tensor in tensors["model"].items() if torch.equal(tensor, first[name])}
    assert still == {name for name in first if name.startswith(("token_embedding.", "blocks.0."))}
    assert not {name.rpartition("/")[0] for name in tensors["optimizer"]} & still


@pytest.mark.parametrize("model", [{"dropout": 0.2}, {"architecture": "llama"}])
def test_checkpointed_activations_change_no_bit_of_a_training(tmp_path: Path, model: dict[str, Any]) -> None:
    data, settings = parents(tmp_path), spec(model=model, micro_batch_size=2)
    plain = run(context(tmp_path / "plain", Listener()), settings, data).values
    twice = run(context(tmp_path / "twice", Listener()), with_checkpointing(settings), data).values
    one, other = saved(tmp_path / "plain", plain), saved(tmp_path / "twice", twice)
    assert all(torch.equal(tensor, other[file][name]) for file in one for name, tensor in one[file].items())
    assert plain["metrics"]["validation/loss"] == twice["metrics"]["validation/loss"]


def test_the_base_weights_are_those_of_a_training_without_adapters() -> None:
    device = open_device(hardware())
    plain, adapted = (
        build_model(settings, sizes=SIZES, seed=3, device=device).state_dict() for settings in (spec(), spec(parameters=LORA))
    )
    assert all(torch.equal(tensor, adapted[name]) for name, tensor in plain.items())


@pytest.mark.parametrize(("dropout", "counts"), [(0.0, False), (0.1, True)])
def test_dropout_of_adapters_makes_the_micro_batch_part_of_the_training(dropout: float, counts: bool) -> None:
    found = what_shapes_masks(spec(parameters=Parameters(lora=Lora(dropout=dropout)), micro_batch_size=2))
    assert found["micro_batch_size"] == (2 if counts else None)
