"""Every model of forecasts: its size is told without building it, its quantiles ascend, and it reads what it says it reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.columns import Columns
from specrun.runtime.factory import load_factory
from specrun.runtime.interfaces import ForecastInputs
from specrun.spec.parts import options_class
from specrun.training.optimizers.groups import by_decay, hidden_matrices

SIZES: dict[str, Any] = {
    "context": 12, "horizon": 5, "targets": 2, "observed": 1, "known": 2, "static": 1,
    "known_categories": (3,), "static_categories": (2, 4), "quantiles": 3,
}  # fmt: skip
BARE = SIZES | {"targets": 1, "observed": 0, "known": 0, "static": 0, "known_categories": (), "static_categories": (), "quantiles": 1}
MODELS: dict[str, dict[str, Any]] = {
    "tft": {"kind": "tft", "width": 8, "num_heads": 2},
    "tft, two layers": {"kind": "tft", "width": 8, "num_heads": 4, "num_lstm_layers": 2},
    "dlinear": {"kind": "dlinear", "trend_window": 4},
    "dlinear, individual": {"kind": "dlinear", "individual": True},
    "patchtst": {"kind": "patchtst", "patch_length": 4, "patch_stride": 3, "num_layers": 2, "width": 8, "num_heads": 2},
}


def options(name: str, **more: Any) -> Any:
    values = MODELS[name] | more
    return options_class("model", values["kind"])(**values)


def built(name: str, sizes: dict[str, Any] = SIZES, **more: Any) -> Any:
    torch.manual_seed(0)
    return load_factory(options_class("model", MODELS[name]["kind"]).factory)(options(name, **more), **sizes)


def some_inputs(sizes: dict[str, Any] = SIZES, samples: int = 3) -> ForecastInputs:
    length = sizes["context"] + sizes["horizon"]
    known = [torch.randint(rows, (samples, length)) for rows in sizes["known_categories"]]
    static = [torch.randint(rows, (samples,)) for rows in sizes["static_categories"]]
    return ForecastInputs(
        torch.randn(samples, sizes["context"], sizes["targets"] + sizes["observed"]), torch.randn(samples, length, sizes["known"]),
        torch.stack(known, -1) if known else torch.zeros(samples, length, 0, dtype=torch.int64), torch.randn(samples, sizes["static"]),
        torch.stack(static, -1) if static else torch.zeros(samples, 0, dtype=torch.int64),
    )  # fmt: skip


@pytest.mark.parametrize("sizes", [SIZES, BARE], ids=["everything", "bare"])
@pytest.mark.parametrize("name", MODELS)
def test_its_parameters_are_told_without_building_it_and_all_of_them_learn(name: str, sizes: dict[str, Any]) -> None:
    model = built(name, sizes)
    shapes = {own: tuple(parameter.shape) for own, parameter in model.named_parameters()}
    assert dict(options(name).parameter_shapes(**sizes)) == shapes
    assert options(name).cost(**sizes).parameters == sum(parameter.numel() for parameter in model.parameters())
    found = model.train()(some_inputs(sizes))
    assert found.shape == (3, 5, sizes["targets"], sizes["quantiles"])
    (found * torch.randn(found.shape)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_quantiles_ascend_and_optimizers_see_each_projection(name: str) -> None:
    model = built(name)
    found = model(some_inputs())
    assert (found.diff(dim=-1) >= 0).all()
    by_decay(model)
    assert all(sum(rows) == len(matrix) for matrix, rows in hidden_matrices(model).items())


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_what_it_draws_and_the_same_seed_draws_the_same(name: str) -> None:
    model, inputs, found = built(name).train(), some_inputs(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(model(inputs))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2]) is not getattr(options(name), "draws_in_training", False)


def test_the_tft_sees_known_values_no_sooner_than_their_step() -> None:
    model, inputs = built("tft", dropout=0.0), some_inputs()
    for step in range(5):
        after = SIZES["context"] + step
        known, categories = inputs.known.clone(), inputs.known_categories.clone()
        known[:, after:] += 1.0
        categories[:, after:] = (categories[:, after:] + 1) % 3
        one = model(inputs)
        other = model(ForecastInputs(inputs.past, known, categories, inputs.static, inputs.static_categories))
        torch.testing.assert_close(one[:, :step], other[:, :step], rtol=0, atol=1e-6)
        assert (one[:, step:] != other[:, step:]).any(dim=(0, 2, 3)).all()


@pytest.mark.parametrize("name", ["dlinear", "dlinear, individual", "patchtst"])
def test_a_model_of_targets_alone_reads_nothing_else_and_each_for_itself(name: str) -> None:
    model, inputs = built(name).eval(), some_inputs()
    past = inputs.past.clone()
    past[..., 1:] += torch.randn(past[..., 1:].shape)
    other = model(ForecastInputs(past, torch.zeros(3, 17, 0), torch.zeros(3, 17, 0), torch.zeros(3, 0), torch.zeros(3, 0)))
    torch.testing.assert_close(model(inputs)[:, :, 0], other[:, :, 0])
    assert not torch.allclose(model(inputs)[:, :, 1], other[:, :, 1])


@pytest.mark.parametrize("name", ["dlinear", "patchtst", "tft"])
def test_columns_that_a_model_does_not_read_warn(name: str) -> None:
    columns = SimpleNamespace(known=("price",), observed=("rain",), static=("shop",))
    spec: Any = SimpleNamespace(data=SimpleNamespace(columns=columns), task=SimpleNamespace(context=12, calendar=("hour",)))
    found = {".".join(map(str, problem.path)): problem for problem in options(name).problems(spec, ("model",))}
    expected = set() if name == "tft" else {"data.columns.known", "data.columns.observed", "data.columns.static", "task.calendar"}
    assert found.keys() == expected
    assert {(problem.code, problem.severity) for problem in found.values()} <= {("option-without-effect", "warning")}


def test_patches_that_do_not_fit_are_refused_with_some_that_do() -> None:
    columns = SimpleNamespace(known=(), observed=(), static=())
    spec: Any = SimpleNamespace(data=SimpleNamespace(columns=columns), task=SimpleNamespace(context=12))
    values: dict[str, Any] = {"patch_length": 13, "patch_stride": 14, "num_heads": 3}
    found = {problem.code: str(problem.hint) for problem in options("patchtst", **values).problems(spec, ("model",))}
    assert found == {
        "patch-exceeds-context": "use patch_length 12 or task.context 13", "patches-leave-gaps": "use patch_stride 13",
        "heads-do-not-divide-width": "use width 6 or 9",
    }  # fmt: skip


@pytest.mark.parametrize("individual", [False, True])
@pytest.mark.parametrize("window", [2, 3, 20])
def test_dlinear_maps_a_moving_average_and_what_is_left_of_it(individual: bool, window: int) -> None:
    model, inputs = built("dlinear", individual=individual, trend_window=window), some_inputs()
    steps, before = SIZES["context"], (window - 1) // 2
    for target in range(2):
        past = inputs.past[..., target]
        inside = [[past[:, min(max(step - before + place, 0), steps - 1)] for place in range(window)] for step in range(steps)]
        trend = torch.stack([torch.stack(one).mean(0) for one in inside], 1)

        def mapped(columns: Columns, x: Tensor, target: int = target) -> Tensor:
            rows = slice(15 * target, 15 * target + 15) if individual else slice(15)
            assert columns.bias is not None
            return F.linear(x, columns.weight[rows], columns.bias[rows])

        expected = (mapped(model.remainder, past - trend) + mapped(model.trend, trend)).view(3, 5, 3).sort(-1).values
        torch.testing.assert_close(model(inputs)[:, :, target], expected, rtol=1e-4, atol=1e-5)


def test_patchtst_follows_the_level_and_the_scale_of_a_series() -> None:
    model, inputs = built("patchtst").eval(), some_inputs()
    moved = ForecastInputs(5 + 3 * inputs.past, inputs.known, inputs.known_categories, inputs.static, inputs.static_categories)
    torch.testing.assert_close(model(moved), 5 + 3 * model(inputs), rtol=1e-3, atol=1e-3)


def test_patches_reach_to_the_last_step_of_the_context() -> None:
    for context in range(4, 20):
        model = built("patchtst", SIZES | {"context": context}).eval()
        inputs = some_inputs(SIZES | {"context": context})
        inputs.past.requires_grad_()
        model(inputs).square().sum().backward()
        assert inputs.past.grad is not None
        assert (inputs.past.grad[..., :2].abs().sum((0, 2)) > 0).all()
