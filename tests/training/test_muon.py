"""Muon: torch's own update on every projection, AdamW on the rest, and no more arithmetic than that takes."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.optimizers.groups import hidden_matrices
from specrun.training.optimizers.muon.build import build as build_muon
from specrun.training.optimizers.muon.newton_schulz import orthogonalize
from specrun.training.optimizers.muon.options import Options as Muon

GROUPED: dict[str, Any] = {"architecture": "llama", "num_kv_heads": 1, "tie_embeddings": False}


def new_model(**more: Any) -> GPT:
    torch.manual_seed(3)
    return build(Gpt(kind="gpt", **({"num_layers": 2, "width": 24, "num_heads": 3} | more)), vocab_size=17, sequence_length=8)


def set_gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def pieces(model: GPT, name: str, weight: Tensor) -> list[Tensor]:
    """The projections of a weight, written down by hand."""
    attention = model.blocks[0].attention
    if name.endswith("qkv.weight"):
        keys = attention.kv_heads * attention.head_size
        return list(weight.split((attention.heads * attention.head_size, keys, keys)))
    return list(weight.chunk(2)) if name.endswith("gate_up.weight") else [weight]


def is_hidden(name: str) -> bool:
    return name.startswith("blocks.") and name.endswith(("qkv.weight", "out.weight", "up.weight"))


@pytest.mark.parametrize("model_options", [{}, GROUPED])
@pytest.mark.parametrize("changes", [{}, {"nesterov": False, "momentum": 0.8}, {"adjust": "match_rms_adamw", "newton_schulz_steps": 3},
                                     {"weight_decay": 0.0}])  # fmt: skip
def test_every_projection_moves_as_torchs_muon_moves_it_and_the_rest_as_adamw(
    model_options: dict[str, Any], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "bfloat16", lambda self: self.clone())  # so that theirs iterates in float32 as well
    options = Muon(kind="muon", **changes)
    model = new_model(**model_options)
    ours = build_muon(options, model=model)
    named = dict(model.named_parameters())
    theirs = {name: [nn.Parameter(piece.detach().clone()) for piece in pieces(model, name, p)] for name, p in named.items()}
    matrices = [p for name, parts in theirs.items() if is_hidden(name) for p in parts]
    decayed = [p for name, parts in theirs.items() if name in ("token_embedding.weight", "head.weight") for p in parts]
    plain = [p for parts in theirs.values() for p in parts if not any(p is other for other in (*matrices, *decayed))]
    muon = torch.optim.Muon(matrices, lr=options.learning_rate, weight_decay=options.weight_decay, momentum=options.momentum,
                            nesterov=options.nesterov, ns_steps=options.newton_schulz_steps, adjust_lr_fn=options.adjust)  # fmt: skip
    adamw = torch.optim.AdamW([{"params": decayed, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}],
                              lr=options.rest_learning_rate, betas=options.betas, eps=options.epsilon)  # fmt: skip
    for step in range(5):
        set_gradients(model, step)
        for name, parts in theirs.items():
            for part, gradient in zip(parts, pieces(model, name, named[name].grad), strict=True):
                part.grad = gradient.clone()
        for optimizer in (ours, muon, adamw):
            optimizer.step()
    for name, parts in theirs.items():
        torch.testing.assert_close(named[name].detach(), torch.cat([p.detach() for p in parts]), atol=2e-5, rtol=0)


@pytest.mark.parametrize(("asked", "computed"), [("auto", torch.bfloat16), ("bfloat16", torch.float32)])
def test_iterated_in_bfloat16_the_first_move_is_torchs_own_to_its_rounding(asked: Any, computed: torch.dtype) -> None:
    model = new_model()
    theirs = copy.deepcopy(model.blocks[0].mlp.up.weight)
    set_gradients(model, 0)
    theirs.grad = model.blocks[0].mlp.up.weight.grad.clone()
    before = theirs.detach().clone()
    build_muon(Muon(kind="muon", newton_schulz_precision=asked), model=model, compute_dtype=computed).step()
    torch.optim.Muon([theirs], lr=0.02).step()
    moved, expected = model.blocks[0].mlp.up.weight.detach() - before, theirs.detach() - before
    assert (moved - expected).norm() < 0.01 * expected.norm()
    assert model.blocks[0].mlp.up.weight.dtype is torch.float32


@pytest.mark.parametrize(("asked", "computed"), [("auto", torch.float16), ("float32", torch.bfloat16)])
def test_iterated_in_float32_a_move_is_the_same_whatever_the_model_is_computed_in(asked: Any, computed: torch.dtype) -> None:
    def moved(**more: Any) -> list[Tensor]:
        model = new_model()
        set_gradients(model, 0)
        build_muon(Muon(kind="muon", **more), model=model, compute_dtype=computed if more else torch.float32).step()
        return [parameter.detach() for parameter in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(moved(), moved(newton_schulz_precision=asked), strict=True))


@pytest.mark.parametrize(("rows", "columns"), [(24, 24), (24, 36), (24, 40), (24, 96), (1, 9)])
def test_singular_values_come_near_one_in_either_form(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, rows, columns), 9))
    assert values.min() > 0.6
    assert values.max() < 1.3


@pytest.mark.parametrize("decades", [0, 2, 4, 6])
def test_the_short_form_for_wide_matrices_is_the_published_iteration(decades: int) -> None:
    """On matrices whose singular values span so many decades: rounding acts on their squares, less than a bfloat16 would by far."""
    torch.manual_seed(1)
    left, right = torch.linalg.qr(torch.randn(32, 32))[0], torch.linalg.qr(torch.randn(128, 32))[0]
    x = (left * torch.logspace(0, -decades, 32)) @ right.T
    expected = x.double() / x.double().norm()
    for _ in range(5):
        gram = expected @ expected.T
        expected = 3.4445 * expected + (-4.7750 * gram + 2.0315 * gram @ gram) @ expected
    assert (orthogonalize(x[None], 5)[0].double() - expected).abs().max() < 5e-4


def rounded_to_tf32(x: Tensor) -> Tensor:
    """To the nearest of 10 bits, as a tensor core takes its inputs in TF32."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize("decades", [0, 2, 3])
def test_with_products_in_tf32_a_wide_matrix_moves_as_with_exact_ones(decades: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    left, right = torch.linalg.qr(torch.randn(32, 32))[0], torch.linalg.qr(torch.randn(128, 32))[0]
    weight = nn.Linear(128, 32, bias=False)
    model = nn.Sequential(weight)
    gradient = (left * torch.logspace(0, -decades, 32)) @ right.T

    def moved() -> Tensor:
        before, weight.weight.grad = weight.weight.detach().clone(), gradient.clone()
        build_muon(Muon(kind="muon", weight_decay=0.0), model=model).step()
        return weight.weight.detach() - before

    exact = moved()
    bmm, baddbmm = torch.bmm, torch.baddbmm
    monkeypatch.setattr(torch, "bmm", lambda a, b: bmm(rounded_to_tf32(a), rounded_to_tf32(b)))
    monkeypatch.setattr(torch, "baddbmm", lambda c, a, b, **k: baddbmm(c, rounded_to_tf32(a), rounded_to_tf32(b), **k))
    torch.set_float32_matmul_precision("high")
    try:
        found = moved()
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (found - exact).norm() < 5e-3 * exact.norm()


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not orthogonalize(torch.zeros(2, 4, 16), 5).any()


@pytest.mark.parametrize("model_options", [{}, {"tie_embeddings": False}, GROUPED])
def test_hidden_matrices_are_those_inside_the_blocks(model_options: dict[str, Any]) -> None:
    model = new_model(**model_options)
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = hidden_matrices(model)
    assert {names[parameter] for parameter in found} == {name for name in names.values() if is_hidden(name)}
    assert all(sum(rows) == parameter.shape[0] for parameter, rows in found.items())
    assert {len(rows) for parameter, rows in found.items() if names[parameter].endswith("qkv.weight")} == {3}


def test_frozen_weights_and_those_without_a_gradient_do_not_move() -> None:
    model = new_model()
    model.blocks[0].attention.qkv.weight.requires_grad_(False)
    optimizer = build_muon(Muon(kind="muon"), model=model)
    set_gradients(model, 0)
    model.blocks[0].attention.qkv.weight.grad = None
    model.blocks[1].mlp.up.weight.grad = None
    before = copy.deepcopy(model.state_dict())
    optimizer.step()
    unmoved = {name for name, weight in model.state_dict().items() if torch.equal(weight, before[name])}
    assert unmoved == {"blocks.0.attention.qkv.weight", "blocks.1.mlp.up.weight"}
    assert model.blocks[0].attention.qkv.weight not in optimizer.state


@pytest.mark.slow
def test_of_shared_matrices_one_at_a_time_is_whole_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from specrun.training.optimizers.muon import build
    from specrun.training.spreading import spread

    gathered: list[weakref.ref[Tensor]] = []
    most = 0

    def whole(tensor: Tensor) -> Tensor:
        nonlocal most
        found = torch.zeros(tensor.shape)  # a group that only pretends to be one sends nothing
        gathered.append(weakref.ref(found))
        most = max(most, sum(it() is not None for it in gathered))
        return found

    monkeypatch.setattr(build, "whole", whole)
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        model = new_model()
        spread(model, Workers(0, 2), strategy="fsdp", device=Device("cpu", torch.device("cpu"), torch.float32))
        optimizer = build_muon(Muon(kind="muon"), model=model)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    finally:
        dist.destroy_process_group()
    assert len(gathered) == len(hidden_matrices(model)) > 4
    assert most == 1
