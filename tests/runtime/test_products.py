"""Products by oneDNN: those of float64 within float32's rounding, forward and backward, and torch's own wherever oneDNN is not for it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from specrun.runtime import products
from specrun.runtime.device import Device
from specrun.runtime.products import Multiplies, OneDnnLinear, multiplication, multiply_by, onednn_linear
from specrun.runtime.torch_build import has_onednn

pytestmark = pytest.mark.skipif(not has_onednn(), reason="this torch is built without oneDNN")

PLAIN = Device("cpu", torch.device("cpu"), torch.float32)
FAST = Device("cpu", torch.device("cpu"), torch.float32, products="onednn")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that oneDNN was given."""
    seen: list[tuple[int, ...]] = []
    real = products._product

    def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append((*x.shape, len(weight)))
        return real(x, weight, bias)

    monkeypatch.setattr(products, "_product", product)
    return seen


def gradients(multiply: Any, x: Tensor, weight: Tensor, bias: Tensor | None, grad: Tensor) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, weight, *([] if bias is None else [bias]))]
    y = multiply(*leaves)
    y.backward(grad)
    return [y.detach(), *(leaf.grad for leaf in leaves)]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.sampled_from([(32,), (33,), (4, 17), (2, 3, 16), (96,)]), inputs=st.integers(1, 70), outputs=st.integers(1, 70),
    with_bias=st.booleans(), seed=st.integers(0, 9),
)  # fmt: skip
def test_values_and_gradients_are_those_of_float64(rows: tuple[int, ...], inputs: int, outputs: int, with_bias: bool, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x, weight, grad = (torch.randn(*shape, generator=draw) for shape in ((*rows, inputs), (outputs, inputs), (*rows, outputs)))
    bias = torch.randn(outputs, generator=draw) if with_bias else None
    ours = gradients(onednn_linear, x, weight, bias, grad)
    exact = gradients(F.linear, x.double(), weight.double(), None if bias is None else bias.double(), grad.double())
    for found, true in zip(ours, exact, strict=True):
        assert found.shape == true.shape
        torch.testing.assert_close(found.double(), true, rtol=1e-4, atol=1e-4)


def test_what_comes_transposed_is_read_as_it_lies(calls: list[tuple[int, ...]]) -> None:
    x, weight = torch.randn(40, 64).t(), torch.randn(40, 48).t()
    torch.testing.assert_close(onednn_linear(x, weight), F.linear(x, weight), rtol=1e-4, atol=1e-4)
    assert calls == [(64, 40, 48)]


def test_gradients_have_gradients() -> None:
    x, weight = torch.randn(32, 5, requires_grad=True), torch.randn(7, 5, requires_grad=True)

    def curvature(multiply: Any) -> Tensor:
        (slope,) = torch.autograd.grad(multiply(x, weight).pow(3).sum(), x, create_graph=True)
        (found,) = torch.autograd.grad(slope.pow(2).sum(), weight)
        return found

    torch.testing.assert_close(curvature(onednn_linear), curvature(F.linear), rtol=1e-3, atol=1e-2)


def test_functional_transforms_are_torchs_own(calls: list[tuple[int, ...]]) -> None:
    x, weight = torch.randn(32, 5), torch.randn(7, 5)
    slope = torch.func.grad(lambda it: onednn_linear(it, weight).square().sum())(x)
    torch.testing.assert_close(slope, 2 * x @ weight.t() @ weight)
    torch.testing.assert_close(torch.func.vmap(lambda row: onednn_linear(row, weight))(x[None]), F.linear(x, weight)[None])
    assert calls == []


@pytest.mark.parametrize("needs", [(True, False), (False, True)])
def test_only_gradients_that_are_wanted_are_computed(calls: list[tuple[int, ...]], needs: tuple[bool, bool]) -> None:
    x, weight = (torch.randn(32, 32, requires_grad=need) for need in needs)
    onednn_linear(x, weight).sum().backward()
    assert len(calls) == 2
    assert [tensor.grad is not None for tensor in (x, weight)] == list(needs)


def test_other_types_few_rows_and_autocast_are_torchs_own(calls: list[tuple[int, ...]]) -> None:
    weight = torch.randn(4, 8)
    rows = torch.randn(32, 8)
    for x, w in ((rows[:31], weight), (rows.double(), weight.double()), (rows.bfloat16(), weight.bfloat16())):
        assert torch.equal(onednn_linear(x, w), F.linear(x, w))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert onednn_linear(torch.randn(32, 8), weight).dtype is torch.bfloat16
    assert onednn_linear(torch.randn(32, 8, device="meta"), weight.to("meta")).shape == (32, 4)
    assert calls == []


def test_a_model_computes_the_same_with_the_same_names_of_weights(calls: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4, bias=False))
    fast, x = copy.deepcopy(plain), torch.randn(64, 8)
    multiply_by(multiplication(FAST, few_shapes=True), fast)
    assert [type(layer) for layer in fast if isinstance(layer, nn.Linear)] == [OneDnnLinear] * 2
    assert fast.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-5, atol=1e-5)
    assert len(calls) == 2


def test_a_device_without_it_or_batches_of_many_shapes_leave_a_model_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(8, 16))
    for device, few in ((PLAIN, True), (FAST, False)):
        assert multiplication(device, few_shapes=few) is F.linear
        multiply_by(multiplication(device, few_shapes=few), model)
    assert type(model[0]) is nn.Linear


def test_layers_take_part_by_their_class_and_not_by_a_name() -> None:
    """A model of another's making may have a `multiply` of its own that means something else."""

    class Gate(nn.Module):
        def multiply(self, x: Tensor, y: Tensor) -> Tensor:
            return x * y

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.multiply(x, y)

    class Own(Multiplies, nn.Module):
        pass

    gate, own, x = Gate(), Own(), torch.randn(64, 8)
    assert own.multiply is F.linear, "before anything is said"
    for multiply in (onednn_linear, F.linear):
        multiply_by(multiply, nn.ModuleList([gate, own]))
        assert torch.equal(gate(x, x), x * x)
        assert own.multiply is multiply


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Inductor's own imports
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's compiler looks at it
def test_compiled_code_goes_by_onednn_too() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 32))
    fast, x = copy.deepcopy(plain), torch.randn(64, 48)
    multiply_by(onednn_linear, fast)
    compiled = torch.compile(fast, dynamic=False)
    plain(x).square().sum().backward()
    compiled(x)
    with torch.profiler.profile() as seen:
        compiled(x).square().sum().backward()
    for theirs, ours in zip(plain.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-3)
    made = {row.key: row.count for row in seen.key_averages()}
    assert made["mkldnn::_linear_pointwise"] == 5  # two forward, two for weights, one for what is between the layers
    assert "aten::addmm" not in made
