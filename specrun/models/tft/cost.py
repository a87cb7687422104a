"""What a `tft` model costs, in closed form. A test holds its parameters against the model; activations are an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.models.forecast_sizes import ForecastSizes, cost_of
from specrun.models.tft.parameters import parameter_shapes, past_variables
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.tft.options import Options


def model_cost(options: Options, sizes: ForecastSizes) -> ModelCost:
    """Of a step of context or horizon."""
    width, heads, layers = options.width, options.num_heads, options.num_lstm_layers
    context, horizon = sizes["context"], sizes["horizon"]
    steps, known = context + horizon, sizes["known"] + len(sizes["known_categories"])
    entries = context * past_variables(sizes) + horizon * known
    square = width * width
    # Of each variable its second layer and its gate; of each step the choice, LSTM, gate, enrichment, queries, keys; ahead the rest.
    products = square * (3 * entries + steps * (8 * layers + 9) + 7 * horizon) + 3 * width * entries
    products += horizon * steps * heads * (2 * width // heads)
    drawn = 0.5 if options.dropout else 0.0
    # A variable's network keeps two vectors, two halves of gates and the random bits of a vector; a gate its input, two halves, its
    # output and these bits.
    gate = (4 + drawn) * width
    kept = entries * (4 + drawn) * width + steps * (3 * width + 8 * layers * width + 2 * (gate + 4 * width) + 3 * width)
    kept += horizon * (steps + 3 * gate + 6 * width)
    return cost_of(parameter_shapes(options, sizes), sizes, products=products, kept=kept, made=2 * width * max(entries, 4 * steps))
