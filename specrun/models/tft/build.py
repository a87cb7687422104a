"""The Temporal Fusion Transformer (Lim et al. 2021), for several targets at once.

Positions are in the order of time, of each the B samples, and lie side by side: an array is (C, N), N = T B, so that a processor's vector
units work along the positions. Shapes: B samples, L steps of the context, H of the horizon, T = L + H; R numbers, G categories, V variables
together; C width, Y targets, Q quantiles of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from specrun.models.columns import Columns
from specrun.models.forecast_sizes import ForecastSizes
from specrun.models.quantiles import ascending
from specrun.models.tft.attention import Attention
from specrun.models.tft.gating import GatedNorm, GatedResidual
from specrun.models.tft.noise import Noise
from specrun.models.tft.options import Options
from specrun.models.tft.parameters import STATIC_VECTORS, static_variables
from specrun.models.tft.selection import Embeddings, Selection, Values
from specrun.runtime.interfaces import ForecastInputs


def build(options: Options, **sizes: Unpack[ForecastSizes]) -> TFT:
    """The network with random weights from torch's generator."""
    return TFT(options, sizes)


class Static(nn.Module):
    """What is known of a series as four vectors: for the selection of variables, the enrichment, and the LSTM's hidden and cell state."""

    def __init__(self, numbers: int, categories: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(numbers, categories, width)
        self.selection = Selection(numbers + len(categories), width)
        self.encoders = GatedResidual(width, maps=STATIC_VECTORS)

    def forward(self, inputs: ForecastInputs, noise: Noise | None) -> tuple[Tensor, Tensor]:
        """The vectors (4, C, B) and the weights of the variables (V, B)."""
        values = self.embeddings(inputs.static.t(), inputs.static_categories.t())
        chosen_CB, shares_VB = self.selection(values, noise)
        return self.encoders(chosen_CB, noise), shares_VB


class TFT(nn.Module):
    """Forecasts of all targets at once; numbers that are not known enter the context alone."""

    def __init__(self, options: Options, sizes: ForecastSizes) -> None:
        super().__init__()
        width, layers, known = options.width, options.num_lstm_layers, sizes["known"]
        categories, static_categories = tuple(sizes["known_categories"]), tuple(sizes["static_categories"])
        past = sizes["targets"] + sizes["observed"] + known
        self.rate, self.context, self.horizon = options.dropout, sizes["context"], sizes["horizon"]
        self.outputs = sizes["targets"], sizes["quantiles"]
        has_static = bool(static_variables(sizes))
        self.static = Static(sizes["static"], static_categories, width) if has_static else None
        self.embeddings = Embeddings(past, categories, width)
        self.past_selection = Selection(past + len(categories), width, context=has_static)
        ahead = known + len(categories)
        self.future_selection = Selection(ahead, width, context=has_static) if ahead else None
        dropout = options.dropout if layers > 1 else 0.0
        self.encoder = nn.LSTM(width, width, num_layers=layers, dropout=dropout)
        self.decoder = nn.LSTM(width, width, num_layers=layers, dropout=dropout)
        self.lstm_gate = GatedNorm(width, width)
        self.enrichment = GatedResidual(width, context=has_static)
        self.attention = Attention(width, options.num_heads, context=self.context, horizon=self.horizon)
        self.attention_gate = GatedNorm(width, width)
        self.position_wise = GatedResidual(width)
        self.output_gate = GatedNorm(width, width)
        self.head = Columns(width, sizes["targets"] * sizes["quantiles"])

    def forward(self, inputs: ForecastInputs) -> Tensor:
        """Predictions (B, H, Y, Q), quantiles ascending."""
        return self._predict(inputs)[0]

    @torch.no_grad()
    def interpret(self, inputs: ForecastInputs) -> Mapping[str, Tensor]:
        """Sums over the batch: `attention` (H, T), mean over heads; `past_variables`, `future_variables`, `static_variables` (V), mean
        weight of each over time."""
        attention_BHT, weights = self._predict(inputs)[1:]
        samples = len(inputs.past)
        return {"attention": attention_BHT.sum(0)} | {name: found.mean(1) * samples for name, found in weights.items()}

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several projections, one below the other, with the rows of each."""
        rows = {f"{name}.weight": module.rows for name, module in self.named_modules() if isinstance(module, Columns)}
        for name, module in self.named_modules():
            if isinstance(module, nn.LSTM):
                gates = (module.hidden_size,) * 4
                rows |= {f"{name}.{part}": gates for part, weight in module.named_parameters() if weight.dim() == 2}
        return rows

    def _predict(self, inputs: ForecastInputs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Predictions, attention (B, H, T) and the weights (V, N) of variables."""
        noise = Noise(self.rate) if self.training and self.rate else None
        samples, shares = len(inputs.past), {}
        series: Sequence[Tensor | None] = (None,) * STATIC_VECTORS
        if self.static is not None:
            series_4CB, shares["static_variables"] = self.static(inputs, noise)
            series = series_4CB.unbind()
        past_CN, shares["past_variables"] = self.past_selection(self._past(inputs), noise, series[0])
        future_CN = past_CN.new_zeros(len(past_CN), self.horizon * samples)
        if self.future_selection is not None:
            future_CN, shares["future_variables"] = self.future_selection(self._future(inputs), noise, series[0])
        chosen_CN = torch.cat((past_CN, future_CN), 1)
        steps_CN = self.lstm_gate(self._remembered(chosen_CN, series[2], series[3], samples=samples), chosen_CN, noise)
        enriched_CN = self.enrichment(steps_CN, noise, series[1])
        read_CN, attention_BHT = self.attention(enriched_CN, samples=samples)
        asked = slice(-self.horizon * samples, None)
        read_CN = self.attention_gate(read_CN, enriched_CN[:, asked], noise)
        out_CN = self.output_gate(self.position_wise(read_CN, noise), steps_CN[:, asked], None)
        predictions = self.head(out_CN).view(*self.outputs, self.horizon, samples).permute(3, 2, 0, 1)
        return ascending(predictions), attention_BHT, shares

    def _past(self, inputs: ForecastInputs) -> Values:
        numbers_BLR = torch.cat((inputs.past, inputs.known[:, : self.context]), 2)
        return self.embeddings(_columns(numbers_BLR), _columns(inputs.known_categories[:, : self.context]))  # type: ignore[no-any-return]

    def _future(self, inputs: ForecastInputs) -> Values:
        known, categories = inputs.known[:, self.context :], inputs.known_categories[:, self.context :]
        return self.embeddings(_columns(known), _columns(categories))  # type: ignore[no-any-return]

    def _remembered(self, chosen_CN: Tensor, hidden_CB: Tensor | None, cell_CB: Tensor | None, *, samples: int) -> Tensor:
        """What the LSTMs make of it: one over the context, from a state that the series gives, and one over the horizon, from its last."""
        width = len(chosen_CN)
        chosen_TBC = chosen_CN.view(width, -1, samples).permute(1, 2, 0).contiguous()
        state = None
        if hidden_CB is not None and cell_CB is not None:
            first, second = (part.t().expand(self.encoder.num_layers, samples, width).contiguous() for part in (hidden_CB, cell_CB))
            state = first, second
        past_LBC, state = self.encoder(chosen_TBC[: self.context], state)
        future_HBC, _ = self.decoder(chosen_TBC[self.context :], state)
        return torch.cat((past_LBC, future_HBC)).permute(2, 0, 1).reshape(width, -1)


def _columns(values_BTR: Tensor) -> Tensor:
    """(B, T, R) to (R, T B)."""
    return values_BTR.permute(2, 1, 0).flatten(1)
