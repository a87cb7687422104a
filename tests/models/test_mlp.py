"""The `mlp` model: its sizes are told exactly, embedded numbers are piecewise linear between quantiles, and unseen categories are zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.models.mlp.build import MLP, PiecewiseLinear, build
from specrun.models.mlp.layers import thinned
from specrun.models.mlp.options import Options
from tests.models.made import saved_bytes

SIZES: dict[str, Any] = {"numbers": 3, "categories": [4, 7], "edges": [[-1.0, 0.0, 2.0], [0.0, 1.0], [-2.0, -1.0, 0.5, 3.0]], "outputs": 2}


def inputs(rows: int, sizes: dict[str, Any], *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(size, (rows, 1), generator=generator) for size in sizes["categories"]]
    return torch.randn(rows, sizes["numbers"], generator=generator), torch.cat([torch.empty(rows, 0, dtype=torch.int64), *codes], dim=1)


def made(options: Options, sizes: dict[str, Any]) -> MLP:
    torch.manual_seed(0)
    return build(options, **sizes)


@st.composite
def sizes_of_any(draw: st.DrawFn) -> dict[str, Any]:
    edges = [sorted(draw(st.sets(st.integers(-50, 50), min_size=2, max_size=12))) for _ in range(draw(st.integers(0, 4)))]
    categories = draw(st.lists(st.integers(2, 9), min_size=0 if edges else 1, max_size=3))
    return {"numbers": len(edges), "categories": categories, "edges": edges, "outputs": draw(st.integers(1, 4))}


@settings(max_examples=25)
@given(sizes_of_any(), st.integers(1, 3), st.integers(1, 8), st.sampled_from(["piecewise_linear", "standardized"]))
def test_the_parameters_are_told_without_building_the_model_and_each_learns(
    sizes: dict[str, Any], layers: int, bins: int, numbers: Any
) -> None:
    options = Options(kind="mlp", width=5, num_layers=layers, bins=bins, numbers=numbers, number_width=3, category_width=2)
    model = made(options, sizes)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert options.parameter_shapes(**sizes) == shapes
    assert options.cost(**sizes).parameters == sum(parameter.numel() for parameter in model.parameters())
    assert {f"{layer}.weight" for layer in options.linear_layers} <= shapes.keys()
    assert set(model.undecayed) <= shapes.keys()
    outputs = model(*inputs(6, sizes))
    assert outputs.shape == (6, sizes["outputs"])
    outputs.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("changed", [{}, {"dropout": 0.2}, {"activation": "gelu"}, {"numbers": "standardized"}])
def test_predicted_activations_are_what_autograd_keeps(changed: dict[str, Any]) -> None:
    options = Options(kind="mlp", width=64, num_layers=3, **changed)
    edges = [np.linspace(-2, 2, 17).tolist()] * 8
    sizes = {"numbers": 8, "categories": [5, 9], "edges": edges, "outputs": 3}
    model = made(options, sizes).train()
    found = saved_bytes(model, lambda: model(*inputs(512, sizes)))
    assert options.cost(**sizes).activation_bytes_per_token * 512 == pytest.approx(found, rel=0.1)


def test_an_embedded_number_is_the_interpolation_of_its_values_at_the_edges() -> None:
    edges = [-1.0, 0.0, 0.5, 2.0]
    embedding = PiecewiseLinear([edges, [0.0, 1.0]], bins=8, width=2)
    with torch.no_grad():
        embedding.bias += 100.0  # so that nothing is below 0
        x = torch.linspace(-1, 2, 50)
        found = embedding(torch.stack((x, torch.zeros(50)), dim=1))[:, :2]
        at_edges = embedding(torch.stack((torch.tensor(edges), torch.zeros(4)), dim=1))[:, :2]
        beyond = embedding(torch.tensor([[-2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))[:, :2]
    for column in range(2):
        expected = np.interp(x.numpy(), edges, at_edges[:, column].numpy())
        assert found[:, column].numpy() == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(beyond[0], 2 * beyond[1] - beyond[2], rtol=1e-5)


@given(st.integers(2, 65), st.integers(1, 64))
def test_thinned_edges_keep_the_outermost_and_are_no_more_than_asked(count: int, bins: int) -> None:
    edges = [float(edge) for edge in range(count)]
    kept = thinned(edges, bins)
    assert (kept[0], kept[-1]) == (edges[0], edges[-1])
    assert len(kept) == min(count, bins + 1)
    assert kept == sorted(set(kept))


def test_a_category_that_training_has_not_seen_is_zero_and_stays_zero() -> None:
    model = made(Options(kind="mlp", width=4), SIZES)
    numbers, categories = inputs(50, SIZES)
    model(numbers, categories.clamp(min=1)).square().sum().backward()
    weight = model.get_parameter("category_embedding.weight")
    assert (weight[[0, 4]] == 0).all()
    assert (weight.grad[[0, 4]] == 0).all()
    assert (weight.grad[[1, 5]] != 0).all()


def test_sizes_of_embeddings_have_no_effect_on_numbers_that_are_not_embedded() -> None:
    spec: Any = None
    found = list(Options(kind="mlp", numbers="standardized", bins=8).problems(spec, ("model",)))
    assert [(p.path, p.code, p.severity) for p in found] == [(("model", "bins"), "option-without-effect", "warning")]
    assert not list(Options(kind="mlp", bins=8).problems(spec, ("model",)))
