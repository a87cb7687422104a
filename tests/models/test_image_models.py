"""The models for images: their sizes are told exactly, residual networks are the published ones, and what cannot be is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import SpecrunError
from specrun.models.cnn.build import build as build_cnn
from specrun.models.cnn.options import Options as Cnn
from specrun.models.resnet.build import build as build_resnet
from specrun.models.resnet.options import Options as ResNet
from specrun.models.vit.build import build as build_vit
from specrun.models.vit.options import Options as ViT

BUILD: dict[str, Any] = {"cnn": build_cnn, "resnet": build_resnet, "vit": build_vit}
GREY: dict[str, int] = {"channels": 1, "height": 16, "width": 12, "num_classes": 5}
NORMS = st.sampled_from(["batch", "group"])


def build(options: Any, **sizes: int) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = BUILD[options.kind](options, **{**GREY, **sizes})
    return model


@st.composite
def options_of_any(draw: st.DrawFn) -> Any:
    if draw(st.booleans()):
        norm, groups = draw(st.sampled_from(["batch", "group", "none"])), draw(st.integers(1, 3))
        return Cnn(
            kind="cnn", widths=tuple(groups * width for width in draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))),
            convolutions=draw(st.integers(1, 3)), kernel_size=draw(st.sampled_from([1, 3, 5])), norm=norm, groups=groups,
            activation=draw(st.sampled_from(["relu", "gelu", "silu"])), dropout=draw(st.sampled_from([0.0, 0.5])),
        )  # fmt: skip
    return ResNet(
        kind="resnet", block=draw(st.sampled_from(["basic", "bottleneck"])),
        blocks=tuple(draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))),
        width=2 * draw(st.integers(1, 3)), stem=draw(st.sampled_from([None, "small", "large"])), norm=draw(NORMS), groups=2,
    )  # fmt: skip


@settings(max_examples=50)
@given(options=options_of_any(), channels=st.integers(1, 3), height=st.integers(8, 20), width=st.integers(8, 20), classes=st.integers(2, 7))
def test_the_parameters_are_told_without_building_the_model_and_each_learns(
    options: Any, channels: int, height: int, width: int, classes: int
) -> None:
    sizes = {"channels": channels, "height": height, "width": width, "num_classes": classes}
    model = build(options, **sizes)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.parameter_shapes(**sizes) == shapes
    assert sorted(options.parameter_names) == sorted(shapes)
    assert options.cost(**sizes).parameters == sum(parameter.numel() for parameter in model.parameters())
    logits = model(torch.randn(3, channels, height, width))
    assert logits.shape == (3, classes)
    logits.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "classes", "parameters"),
    [(18, 1000, 11_689_512), (34, 1000, 21_797_672), (50, 1000, 25_557_032), (101, 1000, 44_549_160), (152, 1000, 60_192_808),
     (20, 10, 272_474)],
)  # fmt: skip
def test_the_published_networks_have_their_published_sizes(depth: Any, classes: int, parameters: int) -> None:
    side = 32 if depth == 20 else 224
    cost = ResNet(kind="resnet", depth=depth).cost(channels=3, height=side, width=side, num_classes=classes)
    assert cost.parameters == parameters


def test_a_resnet_of_fifty_layers_computes_four_billion_products_an_image() -> None:
    cost = ResNet(kind="resnet").model_copy(update={"depth": 50}).cost(channels=3, height=224, width=224, num_classes=1000)
    assert cost.flops_per_token / 6 == pytest.approx(4.09e9, rel=0.005)  # torchvision's table says 4.09 GFLOPS, of multiply-adds


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_resnet_is_that_of_transformers(block: Any) -> None:
    transformers = pytest.importorskip("transformers")
    widths = [8 * 2**stage * (4 if block == "bottleneck" else 1) for stage in range(3)]
    theirs = transformers.ResNetForImageClassification(
        transformers.ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=widths, depths=[2, 1, 2], layer_type=block, num_labels=5)
    ).eval()
    for buffer in theirs.buffers():
        if buffer.is_floating_point():
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
    ours = build(ResNet(kind="resnet", block=block, blocks=(2, 1, 2), width=8, stem="large"), channels=3).eval()
    # Both list their layers in the order of computation, but for the shortcut, which transformers has first.
    state = theirs.state_dict()
    renamed = {}
    for name, tensor in state.items():
        renamed[_our_name(name, (2, 1, 2))] = tensor
    ours.load_state_dict(renamed)
    images = torch.randn(2, 3, 37, 45)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images).logits, atol=1e-4, rtol=1e-4)


def _our_name(name: str, blocks: tuple[int, ...]) -> str:
    parts = name.removeprefix("resnet.").replace("normalization", "norm").split(".")
    match parts:
        case ["embedder", "embedder", *rest]:
            return ".".join(["stem", *rest])
        case ["classifier", "1", rest]:
            return f"head.{rest}"
        case ["encoder", "stages", stage, "layers", layer, "shortcut", *rest]:
            return ".".join(["blocks", str(sum(blocks[: int(stage)]) + int(layer)), "shortcut", *rest])
        case ["encoder", "stages", stage, "layers", layer, "layer", conv, *rest]:
            return ".".join(["blocks", str(sum(blocks[: int(stage)]) + int(layer)), "path", conv, *rest])
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    "options",
    [
        *(Cnn(kind="cnn", widths=(8, 16), activation=activation, norm=norm)
          for activation, norm in (("relu", "batch"), ("silu", "batch"), ("relu", "group"), ("gelu", "none"))),
        ResNet(kind="resnet", blocks=(2, 1), width=8),
        ResNet(kind="resnet", blocks=(1, 1), width=8, block="bottleneck", stem="large"),
        ViT(kind="vit", num_layers=2, width=48),
    ],
    ids=lambda options: "-".join(str(value) for value in (options.kind, getattr(options, "activation", ""), getattr(options, "norm", ""))),
)  # fmt: skip
def test_predicted_activations_are_what_autograd_keeps(options: Any) -> None:
    model, batch = build(options, height=32, width=32).train(), 4
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(torch.randn(batch, 1, 32, 32))
    found = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
    predicted = options.cost(**{**GREY, "height": 32, "width": 32}).activation_bytes_per_token * batch
    assert predicted == pytest.approx(found, rel=0.1)


@settings(max_examples=15)
@given(
    side=st.integers(1, 5),
    high=st.integers(1, 4),
    wide=st.integers(1, 4),
    layers=st.integers(1, 2),
    pooling=st.sampled_from(["mean", "cls"]),
)
def test_the_parameters_of_a_vision_transformer_are_told_and_each_learns(
    side: int, high: int, wide: int, layers: int, pooling: Any
) -> None:
    options = ViT(kind="vit", patch_size=side, num_layers=layers, width=12, num_heads=3, pooling=pooling)
    sizes = {"channels": 2, "height": side * high, "width": side * wide, "num_classes": 4}
    model = build(options, **sizes)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.parameter_shapes(**sizes) == shapes
    assert sorted(options.parameter_names) == sorted(shapes)
    assert options.cost(**sizes).parameters == sum(parameter.numel() for parameter in model.parameters())
    model(torch.randn(3, 2, side * high, side * wide)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_published_vision_transformer_has_its_published_size() -> None:
    options = ViT(kind="vit", patch_size=16, num_layers=12, width=768, num_heads=12, pooling="cls")
    cost = options.cost(channels=3, height=224, width=224, num_classes=1000)
    assert cost.parameters == 86_567_656
    assert cost.flops_per_token / 6 == pytest.approx(17.56e9, rel=0.01)  # multiply-adds, as torchvision's table has them


def test_a_vision_transformer_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.ViTForImageClassification(transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96, image_size=[8, 12], patch_size=4, num_channels=2,
        num_labels=5, layer_norm_eps=1e-5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )).eval()  # fmt: skip
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    w, ours = theirs.state_dict(), {}
    ours["class_vector"] = w["vit.embeddings.cls_token"][0, 0]
    ours["position_embedding.weight"] = w["vit.embeddings.position_embeddings"][0]
    for part in ("weight", "bias"):
        ours[f"patches.{part}"] = w[f"vit.embeddings.patch_embeddings.projection.{part}"]
        ours[f"final_norm.{part}"], ours[f"head.{part}"] = w[f"vit.layernorm.{part}"], w[f"classifier.{part}"]
        for layer in range(2):
            its = f"vit.layers.{layer}"
            ours[f"blocks.{layer}.attention.qkv.{part}"] = torch.cat([w[f"{its}.attention.{one}_proj.{part}"] for one in "qkv"])
            for mine, theirs_name in _VIT_NAMES.items():
                ours[f"blocks.{layer}.{mine}.{part}"] = w[f"{its}.{theirs_name}.{part}"]
    model = build(ViT(kind="vit", patch_size=4, num_layers=2, width=24, num_heads=3, pooling="cls"), channels=2, height=8, width=12).eval()
    model.load_state_dict(ours)
    images = torch.randn(3, 2, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(model(images), theirs(images).logits, atol=1e-4, rtol=1e-4)


_VIT_NAMES = {
    "attention.out": "attention.o_proj", "mlp.up": "mlp.fc1", "mlp.out": "mlp.fc2", "attention_norm": "layernorm_before",
    "mlp_norm": "layernorm_after",
}  # fmt: skip


def test_batch_norm_alone_makes_a_model_depend_on_its_micro_batch() -> None:
    assert [Cnn(kind="cnn", norm=norm).depends_on_micro_batch for norm in ("batch", "group", "none")] == [True, False, False]
    assert [ResNet(kind="resnet", norm=norm).depends_on_micro_batch for norm in ("batch", "group")] == [True, False]
    for options in (Cnn(kind="cnn", norm="batch", widths=(8,)), Cnn(kind="cnn", norm="group", widths=(8,))):
        model, images = build(options).train(), torch.randn(4, 1, 16, 12)
        together, apart = model(images), torch.cat([model(half) for half in images.split(2)])
        assert torch.allclose(together, apart, atol=1e-5) != options.depends_on_micro_batch


@pytest.mark.parametrize(
    ("options", "code", "place", "remedy"),
    [
        (Cnn(kind="cnn", kernel_size=4), "even-kernel", "model.kernel_size", "3 or 5"),
        (Cnn(kind="cnn", widths=(8, 12), norm="group"), "groups-do-not-divide-width", "model.widths.1", "width of 16"),
        (Cnn(kind="cnn", groups=4), "option-without-effect", "model.groups", "norm: group"),
        (ResNet(kind="resnet", norm="group", width=12), "groups-do-not-divide-width", "model.norm", "width of 16"),
        (ResNet(kind="resnet", groups=4), "option-without-effect", "model.groups", "norm: group"),
        (ViT(kind="vit", width=50), "heads-do-not-divide-width", "model.width", "width 48 or 51"),
        (ResNet(kind="resnet", depth=34, block="basic", blocks=(1,), width=8), "option-without-effect", "model.depth", "remove depth"),
    ],
)
def test_each_mistake_has_its_code_its_place_and_a_value_that_works(options: Any, code: str, place: str, remedy: str) -> None:
    spec: Any = SimpleNamespace()
    (found,) = options.problems(spec, ("model",))
    assert (found.code, ".".join(map(str, found.path))) == (code, place)
    assert remedy in str(found.hint)


def test_images_that_are_gone_before_the_last_stage_are_refused_with_what_fits() -> None:
    with pytest.raises(SpecrunError, match="cannot be halved 3 times") as caught:
        build(Cnn(kind="cnn", widths=(4, 8, 16, 32)), height=7, width=9)
    assert caught.value.code == "image-too-small"
    assert "use 3 widths at most" in str(caught.value.hint)
    build(Cnn(kind="cnn", widths=(4, 8, 16)), height=7, width=9)(torch.randn(2, 1, 7, 9))


@pytest.mark.parametrize(
    ("height", "width", "hint"), [(28, 28, "model.patch_size: 4, or task.size: 30"), (9, 22, "model.patch_size: 1, or task.size: [10, 20]")]
)
def test_patches_that_do_not_divide_the_image_are_refused_with_what_does(height: int, width: int, hint: str) -> None:
    with pytest.raises(SpecrunError, match=f"{height} x {width} pixels") as caught:
        build(ViT(kind="vit", patch_size=5), height=height, width=width)
    assert caught.value.code == "patch-does-not-divide-image"
    assert hint in str(caught.value.hint)


def test_a_micro_batch_of_one_pixel_has_no_variance_and_says_so() -> None:
    model = build(Cnn(kind="cnn", widths=(4,)), height=1, width=1)
    with pytest.raises(SpecrunError, match="no variance") as caught:
        model.train()(torch.randn(1, 1, 1, 1))
    assert caught.value.code == "batch-norm-of-one"
    assert model.eval()(torch.randn(1, 1, 1, 1)).shape == (1, 5)
