"""The contract of models: every built-in model keeps it, and each check finds the model that does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn

from specrun.spec.model_options import ModelOptions
from specrun.spec.own_modules import module_options
from specrun.spec.parts import options_class
from specrun.testing import MODEL_CHECKS, ModelCase, check_model
from specrun.testing import models as laws

SMALL = {
    "bag_of_ngrams": {"buckets": 100, "width": 8},
    "cnn": {"widths": (4, 8), "norm": "group", "groups": 2},
    "dlinear": {},
    "encoder": {"num_layers": 1, "width": 8, "num_heads": 2},
    "encoder_decoder": {"num_encoder_layers": 1, "num_decoder_layers": 1, "width": 8, "num_heads": 2},
    "gpt": {"num_layers": 1, "width": 8, "num_heads": 2},
    "mlp": {"width": 8},
    "patchtst": {"patch_length": 4, "patch_stride": 2, "num_layers": 1, "width": 8, "num_heads": 2},
    "resnet": {"block": "basic", "blocks": (1, 1, 1, 1), "width": 4},
    "tft": {"width": 8, "num_heads": 2},
    "vit": {"patch_size": 8, "num_layers": 1, "width": 8, "num_heads": 2},
}


def cases() -> list[ModelCase]:
    found = []
    for kind in SMALL:
        options = options_class("model", kind)
        assert issubclass(options, ModelOptions)
        found += [ModelCase(options(kind=kind, **SMALL[kind]), interface=interface) for interface in options.serves]
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.made.kind}-{case.interface}")
def test_a_built_in_model_keeps_the_contract(case: ModelCase) -> None:
    torch.set_num_threads(1)
    check_model(case)


class Sound(nn.Module):
    """A classifier of small images that keeps every law; each subclass breaks one."""

    serves = ("image_classifier",)

    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(images_BCHW.mean(dim=(2, 3)))
        return found


class ServesAnother(Sound):
    serves = ("table",)  # type: ignore[assignment]
    sizes = ("channels", "num_classes")


class DrawsElsewhere(Sound):
    generator = torch.Generator().manual_seed(0)

    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__(channels=channels, num_classes=num_classes)
        nn.init.normal_(self.head.weight, generator=self.generator)


class OneClassLess(Sound):
    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__(channels=channels, num_classes=num_classes - 1)


class Idle(Sound):
    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__(channels=channels, num_classes=num_classes)
        self.unused = nn.Linear(2, 2)


class Mixes(Sound):
    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return super().forward(images_BCHW - images_BCHW.mean(dim=0))


class AlwaysDraws(Sound):
    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return super().forward(images_BCHW + torch.randn(3, 1, 1))


class HiddenState(Sound):
    def __init__(self, *, channels: int, num_classes: int) -> None:
        super().__init__(channels=channels, num_classes=num_classes)
        self.shift = torch.randn(())

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return super().forward(images_BCHW) + self.shift


class SeesPadding(nn.Module):
    serves = ("text_classifier",)

    def __init__(self, *, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, num_classes)

    def forward(self, ids_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.embedding(ids_BT).mean(dim=1)
        return found


BROKEN: list[tuple[type[nn.Module], Callable[[ModelCase], None]]] = [
    (ServesAnother, laws.serves_its_interface),
    (DrawsElsewhere, laws.is_drawn_from_the_seed),
    (OneClassLess, laws.gives_the_shape_of_its_interface),
    (Idle, laws.learns_with_every_parameter),
    (Mixes, laws.judges_each_sample_by_itself),
    (SeesPadding, laws.sees_nothing_that_it_may_not),
    (AlwaysDraws, laws.evaluates_without_chance),
    (HiddenState, laws.is_all_in_its_state),
]


def case_of(model: type[nn.Module], interface: str) -> ModelCase:
    return ModelCase(module_options(f"here:{model.__name__}", model, interface)(kind="here"), interface=interface)


@pytest.mark.parametrize(("model", "law"), BROKEN, ids=lambda it: it.__name__)
def test_each_law_finds_the_model_that_breaks_it(model: type[nn.Module], law: Callable[[ModelCase], None]) -> None:
    check_model(case_of(Sound, "image_classifier"))
    with pytest.raises(AssertionError):
        law(case_of(model, "text_classifier" if model is SeesPadding else "image_classifier"))


def test_a_wrong_count_of_parameters_is_found() -> None:
    options = options_class("model", "mlp")

    class Wrong(options):  # type: ignore[misc, valid-type]
        def cost(self, **sizes: object) -> object:
            return dataclasses.replace(super().cost(**sizes), parameters=1)

    with pytest.raises(AssertionError, match="cost says 1 parameters"):
        laws.costs_what_it_says(ModelCase(Wrong(kind="mlp", width=8), interface="table"))


def test_every_law_is_broken_by_some_model_here() -> None:
    assert {law for _, law in BROKEN} | {laws.costs_what_it_says} == set(MODEL_CHECKS)
