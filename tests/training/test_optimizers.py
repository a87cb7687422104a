"""What holds for every optimizer: a skipped step changes nothing, saved state goes on bit for bit, and the same weights decay."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.runtime.factory import load_factory
from specrun.spec.parts import kinds, options_class
from specrun.training.checkpoints import load_step, optimizer_tensors
from specrun.training.loop import TrainState
from specrun.training.optimizers.groups import by_decay
from specrun.training.saving import Saver
from tests.waits import all_waits

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
OPTIONS: dict[str, Any] = {
    "adamw": {}, "sgd": {"momentum": 0.9, "nesterov": True}, "lion": {"weight_decay": 0.5}, "adafactor": {"weight_decay": 0.1}, "muon": {},
}  # fmt: skip
KINDS = sorted(OPTIONS)


def new_model() -> GPT:
    torch.manual_seed(3)
    return build(Gpt(kind="gpt", num_layers=2, width=16, num_heads=2, tie_embeddings=False), vocab_size=17, sequence_length=8)


def new_optimizer(kind: str, model: nn.Module, **changes: Any) -> torch.optim.Optimizer:
    options: Any = options_class("optimizer", kind)(kind=kind, **(OPTIONS[kind] | changes))
    optimizer: torch.optim.Optimizer = load_factory(options.factory)(options, model=model)
    return optimizer


def set_gradients(model: nn.Module, step: int, *, broken: float | None = None) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        if broken is not None:
            parameter.grad.view(-1)[0] = broken


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return copy.deepcopy({**model.state_dict(), **optimizer_tensors(model, optimizer)})


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor.view(torch.int32), other[name].view(torch.int32)), name


def test_every_kind_is_held_to_the_laws() -> None:
    assert kinds("optimizer") == tuple(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf"), None])
@pytest.mark.parametrize("done", [0, 3])
def test_a_skipped_step_changes_no_bit_of_weights_and_state(kind: str, broken: float | None, done: int) -> None:
    model = new_model()
    optimizer = new_optimizer(kind, model)
    for step in range(done):
        set_gradients(model, step)
        optimizer.step()
    before = everything(model, optimizer)
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    set_gradients(model, 9, broken=broken)
    optimizer.step()
    after = everything(model, optimizer)
    for name in after.keys() - before.keys():  # torch's AdamW makes its moments in the first step
        before[name] = torch.zeros_like(after[name])
    assert_same_bits(after, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_goes_on_after_a_skipped_one_as_if_that_had_not_been(kind: str) -> None:
    one, other = new_model(), new_model()
    with_skips, without = new_optimizer(kind, one), new_optimizer(kind, other)
    for step in range(6):
        with_skips.found_inf = torch.tensor(float(step in (0, 3)))  # type: ignore[attr-defined]
        set_gradients(one, step, broken=float("nan") if step in (0, 3) else None)
        with_skips.step()
        if step not in (0, 3):
            set_gradients(other, step)
            without.step()
    assert_same_bits(everything(one, with_skips), everything(other, without))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_asks_the_device_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model()
    optimizer = new_optimizer(kind, model)
    optimizer.found_inf = torch.zeros(())  # type: ignore[attr-defined]
    set_gradients(model, 0)
    with all_waits(monkeypatch) as waits:
        optimizer.step()
    assert waits.count == 0


@pytest.mark.parametrize("kind", KINDS)
def test_saved_state_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    def new_state() -> TrainState:
        model, task = new_model(), None
        return TrainState(model, new_optimizer(kind, model), task, DEVICE, lambda _: 1e-3, None, 4, 0)  # type: ignore[arg-type]

    before, after = new_state(), new_state()
    for step in range(3):
        set_gradients(before.model, step)
        before.optimizer.step()
    with Saver(tmp_path, key="k", device=DEVICE, keep_last=2, keep_best=1) as saver:
        saver.save_step(before, {}, metrics={}, best_step=None)
    load_step(saver.collect()[0].info, after)
    for step in range(3, 6):
        for state in (before, after):
            set_gradients(state.model, step)
            state.optimizer.step()
    assert_same_bits(everything(after.model, after.optimizer), everything(before.model, before.optimizer))


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_state_an_optimizer_begins_anew(kind: str) -> None:
    """As where training goes back to before its first step."""
    used, fresh = new_model(), new_model()
    optimizer, anew = new_optimizer(kind, used), new_optimizer(kind, fresh)
    set_gradients(used, 0)
    optimizer.step()
    used.load_state_dict(fresh.state_dict())
    optimizer.state.clear()
    for step in range(1, 3):
        for model, it in ((used, optimizer), (fresh, anew)):
            set_gradients(model, step)
            it.step()
    assert_same_bits(everything(used, optimizer), everything(fresh, anew))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_weights_decay_whatever_the_optimizer(kind: str) -> None:
    model = new_model()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = new_optimizer(kind, model, weight_decay=0.5).param_groups
    decayed = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {name for name, p in model.named_parameters() if p.dim() == 2 and name != "position_embedding.weight"}
    assert sorted(names[id(p)] for group in groups for p in group["params"]) == sorted(names.values())


class Foreign(nn.Module):
    """Somebody's model, with names of its own."""

    def __init__(self, *undecayed: str) -> None:
        super().__init__()
        self.wte, self.wpe, self.layer = nn.Embedding(5, 4), nn.Embedding(6, 4), nn.Linear(4, 4)
        self.undecayed = undecayed


@pytest.mark.parametrize("undecayed", [(), ("wpe.weight",), ("wpe.weight", "layer.weight")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_says_by_its_own_names_what_does_not_decay(kind: str, undecayed: tuple[str, ...]) -> None:
    model = Foreign(*undecayed)
    found = by_decay(model)
    assert {id(p) for p in found.decayed} == {id(p) for n, p in model.named_parameters() if p.dim() == 2 and n not in undecayed}
    assert len(found.decayed) + len(found.plain) == len(list(model.parameters()))


def test_a_name_that_is_no_parameters_does_not_pass_for_one() -> None:
    with pytest.raises(AssertionError, match=r"undecayed names no parameter by \['wpe'\]"):
        by_decay(Foreign("wpe"))


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_are_left_out(kind: str) -> None:
    model = new_model()
    model.token_embedding.weight.requires_grad_(False)
    optimizer = new_optimizer(kind, model)
    assert not any(p is model.token_embedding.weight for group in optimizer.param_groups for p in group["params"])
    assert model.token_embedding.weight not in optimizer.state


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_with_its_defaults(kind: str) -> None:
    """A small network, full batches: those whose default rate is meant for long trainings go down too."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 12))
    options: Any = options_class("optimizer", kind)(kind=kind)
    optimizer = load_factory(options.factory)(options, model=model)
    x = torch.randn(64, 12)
    target = x.flip(1)
    losses = []
    for _ in range(60):
        loss = (model(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] * (0.98 if kind in ("lion", "adamw") else 0.8)


def twins() -> tuple[GPT, GPT]:
    return new_model(), new_model()


def by_hand(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    decayed = [p for n, p in model.named_parameters() if p.dim() == 2 and "position" not in n]
    plain = [p for n, p in model.named_parameters() if not (p.dim() == 2 and "position" not in n)]
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


@pytest.mark.parametrize(("kind", "changes", "reference"), [
    ("sgd", {"momentum": 0.0}, lambda groups: torch.optim.SGD(groups, lr=0.1)),
    ("sgd", {"momentum": 0.8}, lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.8)),
    ("sgd", {"nesterov": True}, lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)),
    ("adafactor", {}, lambda groups: torch.optim.Adafactor(groups, foreach=False)),
    ("adafactor", {"learning_rate": 1.0, "beta2_decay": -0.5, "clip_threshold": 1.5},
     lambda groups: torch.optim.Adafactor(groups, lr=1.0, beta2_decay=-0.5, d=1.5, foreach=False)),
])  # fmt: skip
def test_several_steps_are_those_of_torch(kind: str, changes: dict[str, Any], reference: Any) -> None:
    ours, theirs = twins()
    one = new_optimizer(kind, ours, **({"nesterov": False, "weight_decay": 0.2} if kind == "sgd" else {"weight_decay": 0.2}) | changes)
    other = reference(by_hand(theirs, 0.2))
    for step in range(6):
        for model, optimizer in ((ours, one), (theirs, other)):
            set_gradients(model, step)
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


def test_several_steps_of_lion_are_those_of_its_paper() -> None:
    """Algorithm 2 of Chen et al. 2023, in float64."""
    ours, theirs = twins()
    optimizer = new_optimizer("lion", ours, learning_rate=1e-3, betas=(0.8, 0.95), weight_decay=0.5)
    weights = {name: p.detach().double() for name, p in theirs.named_parameters()}
    momenta = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for step in range(6):
        set_gradients(ours, step)
        gradients = {name: p.grad.double() for name, p in ours.named_parameters() if p.grad is not None}
        optimizer.step()
        for name, weight in weights.items():
            decay = 0.5 if weight.dim() == 2 and "position" not in name else 0.0
            direction = torch.sign(0.8 * momenta[name] + 0.2 * gradients[name])
            weights[name] = weight - 1e-3 * (direction + decay * weight)
            momenta[name] = 0.95 * momenta[name] + 0.05 * gradients[name]
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.detach().double(), weights[name], atol=1e-6, rtol=0)
        torch.testing.assert_close(optimizer.state[parameter]["exp_avg"].double(), momenta[name], atol=1e-6, rtol=0)
