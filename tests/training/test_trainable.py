"""Frozen parameters and adapters: what is trained, what is kept as it was, and what merging gives."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import SpecrunError
from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options
from specrun.plan.start import Start
from specrun.runtime.compilation import compile_blocks
from specrun.runtime.products import multiply_by
from specrun.spec.sections.parameters import Lora, Parameters
from specrun.training import checkpoint_files
from specrun.training.checkpoints import put_weights, safetensors_head
from specrun.training.lora import LoraLinear, add_adapters, merged, scale
from specrun.training.optimizers.adamw.build import build as build_adamw
from specrun.training.optimizers.adamw.options import Options as AdamW
from specrun.training.starting import forked_weights
from specrun.training.trainable import checkpoint_activations, choose_trainable

VOCAB, LENGTH = 23, 8


def gpt(**more: Any) -> GPT:
    torch.manual_seed(0)
    options = Options(kind="gpt", **({"num_layers": 2, "width": 16, "num_heads": 2} | more))
    return build(options, vocab_size=VOCAB, sequence_length=LENGTH).train()


def train(model: GPT, *, steps: int = 3) -> torch.optim.Optimizer:
    """A few steps of AdamW, with decay."""
    optimizer = build_adamw(AdamW(kind="adamw", learning_rate=1e-2, weight_decay=0.5), model=model, compute_dtype=torch.float32)
    for step in range(steps):
        ids = torch.randint(VOCAB, (3, LENGTH + 1), generator=torch.Generator().manual_seed(step))
        F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def trainable(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def names(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_parameters()}


@settings(max_examples=25)
@given(patterns=st.lists(st.sampled_from(["*.bias", "blocks.0.*", "token_embedding.*", "*norm*", "*.mlp.out.weight"]), min_size=1))
def test_frozen_parameters_keep_every_bit_and_have_no_optimizer_state(patterns: list[str]) -> None:
    model = gpt()
    choose_trainable(model, Parameters(frozen=tuple(patterns)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = train(model)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == trainable(model) < names(model)
    assert len(optimizer.state) == len(moved)


def test_nothing_named_is_everything_trained() -> None:
    model = gpt()
    choose_trainable(model, Parameters())
    assert trainable(model) == names(model)


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        (Parameters(frozen=("blocks.0.*", "block.1.*")), "pattern-matches-nothing", "blocks.1.*|blocks.*"),
        (Parameters(frozen=("*",)), "nothing-to-train", "leave some out"),
        (Parameters(lora=Lora(targets=("*.attention.query",))), "pattern-matches-nothing", "did you mean *.attention."),
        (Parameters(lora=Lora(targets=("head",))), "pattern-matches-nothing", "there are"),
    ],
)
def test_a_choice_that_leaves_nothing_or_misses_is_refused(options: Parameters, code: str, hint: str) -> None:
    with pytest.raises(SpecrunError) as caught:
        choose_trainable(gpt(tie_embeddings=False), options)
    assert caught.value.code == code
    assert any(part in str(caught.value.hint) for part in hint.split("|"))


def test_adapters_change_nothing_before_their_first_update() -> None:
    plain, adapted = gpt(), gpt()
    add_adapters(adapted, Lora(rank=3))
    ids = torch.randint(VOCAB, (2, LENGTH))
    assert torch.equal(plain(ids), adapted(ids))
    assert names(plain) == {name for name in names(adapted) if "lora" not in name}


def test_only_adapters_are_trained_and_only_where_they_are_wanted() -> None:
    model = gpt()
    add_adapters(model, Lora(rank=3, targets=("*.attention.qkv", "blocks.1.mlp.*")))
    layers = ["blocks.0.attention.qkv", "blocks.1.attention.qkv", "blocks.1.mlp.up", "blocks.1.mlp.out"]
    assert trainable(model) == {f"{layer}.{part}" for layer in layers for part in ("lora_A", "lora_B")}
    before = copy.deepcopy(model.state_dict())
    train(model)
    assert {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])} == trainable(model)


@settings(max_examples=15)
@given(
    rank=st.integers(1, 20), alpha=st.floats(0.5, 64), llama=st.booleans(),
    targets=st.sampled_from([("*",), ("*.attention.*",), ("blocks.1.*", "*.mlp.out")]),
)  # fmt: skip
def test_merged_weights_give_what_adapters_give(rank: int, alpha: float, llama: bool, targets: tuple[str, ...]) -> None:
    form = {"architecture": "llama"} if llama else {}
    model, options = gpt(**form), Lora(rank=rank, alpha=alpha, targets=targets)
    add_adapters(model, options)
    train(model)
    plain = gpt(**form)
    plain.load_state_dict(merged(model.state_dict(), scale=scale(options)))
    ids = torch.randint(VOCAB, (2, LENGTH))
    torch.testing.assert_close(plain.eval()(ids), model.eval()(ids), atol=1e-6, rtol=1e-5)


def test_an_adapter_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = LoraLinear(nn.Linear(5, 7), Lora(rank=2, alpha=6.0))
    nn.init.normal_(layer.lora_B)
    x = torch.randn(4, 5)
    wanted = x @ layer.weight.T + layer.bias + 3.0 * (x @ layer.lora_A.T) @ layer.lora_B.T
    torch.testing.assert_close(layer(x), wanted)


def test_layers_below_adapters_are_multiplied_as_the_models_others_are() -> None:
    model, seen = gpt(), set()
    add_adapters(model, Lora(rank=2))

    def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None, /) -> Tensor:
        seen.add(id(weight))
        return F.linear(x, weight, bias)

    multiply_by(multiply, model)
    model(torch.randint(VOCAB, (2, LENGTH)))
    below = {id(module.weight) for module in model.modules() if isinstance(module, LoraLinear)}
    assert below
    assert below <= seen


def test_dropout_acts_on_the_adapter_alone_and_in_training_only() -> None:
    torch.manual_seed(0)
    layer = LoraLinear(nn.Linear(50, 7), Lora(rank=2, dropout=0.5))
    x = torch.randn(4, 50)
    assert torch.equal(layer.train()(x), F.linear(x, layer.weight, layer.bias)), "B is zero yet"
    nn.init.normal_(layer.lora_B)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_base_weights_go_into_a_model_with_adapters_and_others_do_not(tmp_path: Path) -> None:
    trained = gpt()
    train(trained)
    tensors = trained.state_dict()
    chunks = [safetensors_head(tensors), *(tensors[name].numpy().tobytes() for name in sorted(tensors))]
    info = checkpoint_files.save(tmp_path, step=3, key="key", files={"model.safetensors": chunks})
    start = Start("fork", "parent", 3, hashlib.sha256((info.path / "manifest.json").read_bytes()).hexdigest())
    model = gpt()
    add_adapters(model, Lora(rank=2))
    adapters = {name: tensor.clone() for name, tensor in model.state_dict().items() if "lora" in name}
    put_weights(model, forked_weights(start, tmp_path, model).tensors)
    ids = torch.randint(VOCAB, (2, LENGTH))
    assert torch.equal(model(ids), trained(ids))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in adapters.items())
    for other in (gpt(num_layers=1), gpt(num_layers=3), gpt(width=32)):
        add_adapters(other, Lora(rank=2))
        with pytest.raises(SpecrunError, match="checkpoint-does-not-fit"):
            forked_weights(start, tmp_path, other)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_checkpointed_blocks_with_adapters_train_the_same_bits(dropout: float) -> None:
    found = []
    for enabled in (False, True):
        model = gpt(dropout=dropout)
        add_adapters(model, Lora(rank=2, dropout=dropout))
        model.checkpoint_activations(enabled=enabled)
        torch.manual_seed(1)
        train(model)
        found.append(model.state_dict())
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's compiler looks at it
@pytest.mark.parametrize("checkpointed", [False, True])
def test_compiled_blocks_with_adapters_train_the_same_bits(checkpointed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    found = []
    for compiled in (False, True):
        model = gpt()
        add_adapters(model, Lora(rank=2))
        model.checkpoint_activations(enabled=checkpointed)
        before = names(model)
        if compiled:
            compile_blocks(model, mode="default", cache_folder=tmp_path, backend="eager")
        train(model)
        assert names(model) == before
        found.append(model.state_dict())
    torch.compiler.reset()
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())


def test_a_model_that_cannot_compute_twice_says_so() -> None:
    with pytest.raises(SpecrunError, match="cannot-checkpoint-activations"):
        checkpoint_activations(nn.Linear(2, 2))
