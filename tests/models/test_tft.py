"""The TFT: batched and fused as it is, it computes what one module a variable would, and it never looks ahead."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.tft import variable_networks
from specrun.models.tft.build import TFT, build
from specrun.models.tft.noise import Noise
from specrun.models.tft.options import Options
from specrun.runtime.interfaces import ForecastInputs

CONTEXT, HORIZON = 7, 4
SIZES: dict[str, Any] = {
    "context": CONTEXT, "horizon": HORIZON, "targets": 2, "observed": 1, "known": 2, "static": 1,
    "known_categories": (3,), "static_categories": (2, 4), "quantiles": 3,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "everything": {},
    "numbers alone": {"static": 0, "known_categories": (), "static_categories": ()},
    "nothing known": {"known": 0, "static": 0, "known_categories": (), "static_categories": ()},
    "one variable": {"targets": 1, "observed": 0, "known": 0, "static": 0, "known_categories": (), "static_categories": (3,)},
    "categories alone known": {"known": 0, "known_categories": (3, 2), "static": 2, "static_categories": ()},
}


def tiny(sizes: dict[str, Any] = SIZES, **options: Any) -> TFT:
    torch.manual_seed(0)
    model = build(Options(**{"kind": "tft", "width": 8, "num_heads": 2, "dropout": 0.0} | options), **sizes)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def some_inputs(sizes: dict[str, Any] = SIZES, samples: int = 5) -> ForecastInputs:
    length = sizes["context"] + sizes["horizon"]

    def ids(cardinalities: tuple[int, ...], *shape: int) -> Tensor:
        found = [torch.randint(rows, (*shape, 1)) for rows in cardinalities]
        return torch.cat(found, -1) if found else torch.zeros(*shape, 0, dtype=torch.int64)

    return ForecastInputs(
        torch.randn(samples, sizes["context"], sizes["targets"] + sizes["observed"]), torch.randn(samples, length, sizes["known"]),
        ids(sizes["known_categories"], samples, length), torch.randn(samples, sizes["static"]), ids(sizes["static_categories"], samples),
    )  # fmt: skip


class Reference:
    """The equations of the paper with one network a variable and one position's row a vector, nothing batched but rows."""

    def __init__(self, model: TFT, sizes: dict[str, Any], width: int, heads: int, layers: int) -> None:
        self.w, self.sizes, self.width, self.heads, self.layers = dict(model.named_parameters()), sizes, width, heads, layers

    def map(self, name: str, x: Tensor, variable: int = 0, outputs: int | None = None) -> Tensor:
        weight, bias = self.w[f"{name}.weight"], self.w.get(f"{name}.bias")
        rows = slice(variable * outputs, (variable + 1) * outputs) if outputs else slice(None)
        return F.linear(x, weight[rows], None if bias is None else bias[rows])

    def gate(self, name: str, x: Tensor, skip: Tensor, variable: int = 0) -> Tensor:
        width = skip.shape[-1]
        value, gate = self.map(f"{name}.gate", x, variable, 2 * width).chunk(2, -1)
        rows = slice(variable * width, (variable + 1) * width)
        return F.layer_norm(skip + value * gate.sigmoid(), (width,), self.w[f"{name}.norm_weight"][rows], self.w[f"{name}.norm_bias"][rows])

    def grn(self, name: str, x: Tensor, variable: int = 0, context: Tensor | None = None) -> Tensor:
        hidden = self.map(f"{name}.first", x, variable, self.width)
        if context is not None:
            hidden = hidden + self.map(f"{name}.context", context)
        return self.gate(f"{name}.gated", self.map(f"{name}.second", F.elu(hidden), variable, self.width), x, variable)

    def vectors(self, name: str, numbers: Tensor, categories: Tensor, skipped: int = 0) -> list[Tensor]:
        width, found = self.width, []
        for number in range(numbers.shape[-1]):
            rows = slice((skipped + number) * width, (skipped + number + 1) * width)
            found.append(numbers[..., number : number + 1] * self.w[f"{name}.slope"][rows] + self.w[f"{name}.offset"][rows])
        return found + [self.w[f"{name}.tables.{place}.weight"][categories[..., place]] for place in range(categories.shape[-1])]

    def select(self, name: str, vectors: list[Tensor], context: Tensor | None) -> tuple[Tensor, Tensor]:
        outputs = [self.grn(name, vector, variable) for variable, vector in enumerate(vectors)]
        if len(vectors) == 1:
            return outputs[0], torch.ones_like(outputs[0][..., :1])
        entered = self.map(f"{name}.choice.enter", torch.cat(vectors, -1))
        hidden, skip = entered[..., : self.width], entered[..., self.width :]
        if context is not None:
            hidden = hidden + self.map(f"{name}.choice.context", context)
        shares = self.gate(f"{name}.choice.gated", self.map(f"{name}.choice.second", F.elu(hidden)), skip).softmax(-1)
        return sum((share[..., None] * out for share, out in zip(shares.unbind(-1), outputs, strict=True)), torch.zeros(())), shares

    def lstm(self, name: str, x: Tensor, state: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        after = []
        for layer, before in enumerate(state):
            hidden, cell = before
            steps = []
            for step in x.unbind(1):
                gates = F.linear(step, self.w[f"{name}.weight_ih_l{layer}"], self.w[f"{name}.bias_ih_l{layer}"])
                gates = gates + F.linear(hidden, self.w[f"{name}.weight_hh_l{layer}"], self.w[f"{name}.bias_hh_l{layer}"])
                enter, forget, new, out = gates.chunk(4, -1)
                cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
                hidden = out.sigmoid() * cell.tanh()
                steps.append(hidden)
            x = torch.stack(steps, 1)
            after.append((hidden, cell))
        return x, after

    def attention(self, x: Tensor) -> tuple[Tensor, Tensor]:
        context, size = self.sizes["context"], self.width // self.heads
        queries = self.map("attention.queries", x[:, context:])
        keys, value = self.map("attention.keys_value", x).split((self.width, size), -1)
        unseen = torch.ones(x.shape[1], x.shape[1]).triu(1)[context:].bool()
        heads, seen = [], []
        for head in range(self.heads):
            part = slice(head * size, (head + 1) * size)
            scores = queries[..., part] @ keys[..., part].mT / math.sqrt(size)
            seen.append(scores.masked_fill(unseen, -math.inf).softmax(-1))
            heads.append(seen[-1] @ value)
        return self.map("attention.out", sum(heads, torch.zeros(())) / self.heads), sum(seen, torch.zeros(())) / self.heads

    def __call__(self, inputs: ForecastInputs) -> tuple[Tensor, dict[str, Tensor]]:
        context, samples, told = self.sizes["context"], len(inputs.past), {}
        zero = torch.zeros(samples, self.width)
        encoded: list[Any] = [None, None, zero, zero]
        if self.sizes["static"] or self.sizes["static_categories"]:
            vectors = self.vectors("static.embeddings", inputs.static, inputs.static_categories)
            static, told["static_variables"] = self.select("static.selection", vectors, None)
            encoded = [self.grn("static.encoders", static, place) for place in range(4)]
        per_step = None if encoded[0] is None else encoded[0][:, None]
        numbers = torch.cat((inputs.past, inputs.known[:, :context]), -1)
        past = self.vectors("embeddings", numbers, inputs.known_categories[:, :context])
        chosen, told["past_variables"] = self.select("past_selection", past, per_step)
        ahead = torch.zeros(samples, self.sizes["horizon"], self.width)
        known = self.vectors("embeddings", inputs.known[:, context:], inputs.known_categories[:, context:], inputs.past.shape[-1])
        if known:
            ahead, told["future_variables"] = self.select("future_selection", known, per_step)
        state = [(encoded[2], encoded[3])] * self.layers
        before, state = self.lstm("encoder", chosen, state)
        after, _ = self.lstm("decoder", ahead, state)
        steps = self.gate("lstm_gate", torch.cat((before, after), 1), torch.cat((chosen, ahead), 1))
        enriched = self.grn("enrichment", steps, context=None if encoded[1] is None else encoded[1][:, None])
        read, attention = self.attention(enriched)
        read = self.gate("attention_gate", read, enriched[:, context:])
        out = self.map("head", self.gate("output_gate", self.grn("position_wise", read), steps[:, context:]))
        predictions = out.view(samples, self.sizes["horizon"], self.sizes["targets"], -1).sort(-1).values
        return predictions, {"attention": attention.sum(0)} | {
            name: shares.reshape(samples, -1, shares.shape[-1]).mean(1).sum(0) for name, shares in told.items()
        }


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_the_network_of_one_module_a_variable_and_so_are_its_gradients(
    variant: str, layers: int, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = SIZES | VARIANTS[variant]
    model, inputs = tiny(sizes, num_lstm_layers=layers), some_inputs(sizes)
    if not fused:
        unfuse(monkeypatch)
    monkeypatch.setattr(variable_networks, "_AT_ONCE", 80)  # several parts, the last one shorter
    expected, told = Reference(model, sizes, width=8, heads=2, layers=layers)(inputs)
    found = model(inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    wanted = torch.randn(found.shape)
    gradients = [torch.autograd.grad((out * wanted).sum(), list(model.parameters()), allow_unused=True) for out in (found, expected)]
    for (name, parameter), one, other in zip(model.named_parameters(), *gradients, strict=True):
        both = [torch.zeros_like(parameter) if grad is None else grad for grad in (one, other)]
        assert torch.allclose(*both, rtol=1e-3, atol=2e-4), name
    seen = model.interpret(inputs)
    assert seen.keys() == told.keys()
    for name, weights in seen.items():
        torch.testing.assert_close(weights, told[name], rtol=1e-4, atol=1e-5)


def unfuse(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("attention", "gating", "selection"):
        monkeypatch.setattr(f"specrun.models.tft.{module}.fusable", lambda _: False)


def test_fused_dropout_is_the_plain_one_with_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noise, "dropout", lambda self, x: x * self.mask(self.draw(tuple(x.shape))) * self.scale)
    model, inputs, found = tiny(dropout=0.3).train(), some_inputs(), []
    for fused in (True, False):
        if not fused:
            unfuse(monkeypatch)
        torch.manual_seed(5)
        out = model(inputs)
        found.append((out, torch.autograd.grad(out.square().sum(), list(model.parameters()))))
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(found[0][0], model.eval()(inputs))
