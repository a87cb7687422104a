"""The parameters of a `tft` model by name and shape, known without building it. A test holds them against the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from specrun.models.forecast_sizes import ForecastSizes, Shape

if TYPE_CHECKING:
    from specrun.models.tft.options import Options

Named = Iterator[tuple[str, Shape]]
STATIC_VECTORS = 4
"""What is known of a series, for the selection of variables, the enrichment, and the LSTM's hidden and cell state."""


def parameter_shapes(options: Options, sizes: ForecastSizes) -> dict[str, Shape]:
    """Every parameter."""
    width, known = options.width, sizes["known"] + len(sizes["known_categories"])
    past, series = past_variables(sizes), static_variables(sizes)
    numbers = sizes["targets"] + sizes["observed"] + sizes["known"]
    found: dict[str, Shape] = {}
    if series:
        found |= dict(_embeddings("static.embeddings", sizes["static"], sizes["static_categories"], width))
        found |= dict(_selection("static.selection", series, width, context=False))
        found |= dict(_residual("static.encoders", width, maps=STATIC_VECTORS))
    found |= dict(_embeddings("embeddings", numbers, sizes["known_categories"], width))
    found |= dict(_selection("past_selection", past, width, context=bool(series)))
    if known:
        found |= dict(_selection("future_selection", known, width, context=bool(series)))
    for name in ("encoder", "decoder"):
        found |= dict(_lstm(name, width, options.num_lstm_layers))
    found |= dict(_gated("lstm_gate", width, width))
    found |= dict(_residual("enrichment", width, context=bool(series)))
    found |= dict(_attention(width, options.num_heads))
    found |= dict(_gated("attention_gate", width, width))
    found |= dict(_residual("position_wise", width))
    found |= dict(_gated("output_gate", width, width))
    return found | dict(_columns("head", width, sizes["targets"] * sizes["quantiles"]))


def past_variables(sizes: ForecastSizes) -> int:
    """Variables of a step of the context."""
    return sizes["targets"] + sizes["observed"] + sizes["known"] + len(sizes["known_categories"])


def static_variables(sizes: ForecastSizes) -> int:
    """Variables of a series."""
    return sizes["static"] + len(sizes["static_categories"])


def _columns(name: str, inputs: int, outputs: int, *, maps: int = 1, bias: bool = True) -> Named:
    yield f"{name}.weight", (maps * outputs, inputs)
    if bias:
        yield f"{name}.bias", (maps * outputs,)


def _gated(name: str, inputs: int, outputs: int, *, maps: int = 1) -> Named:
    yield from _columns(f"{name}.gate", inputs, 2 * outputs, maps=maps)
    yield f"{name}.norm_weight", (maps * outputs,)
    yield f"{name}.norm_bias", (maps * outputs,)


def _residual(name: str, width: int, *, maps: int = 1, context: bool = False) -> Named:
    yield from _columns(f"{name}.first", width, width, maps=maps)
    if context:
        yield from _columns(f"{name}.context", width, width, bias=False)
    yield from _columns(f"{name}.second", width, width, maps=maps)
    yield from _gated(f"{name}.gated", width, width, maps=maps)


def _selection(name: str, variables: int, width: int, *, context: bool) -> Named:
    yield from _residual(name, width, maps=variables)
    if variables > 1:
        yield from _columns(f"{name}.choice.enter", variables * width, width + variables)
        if context:
            yield from _columns(f"{name}.choice.context", width, width, bias=False)
        yield from _columns(f"{name}.choice.second", width, width)
        yield from _gated(f"{name}.choice.gated", width, variables)


def _embeddings(name: str, numbers: int, categories: Sequence[int], width: int) -> Named:
    if numbers:
        yield f"{name}.slope", (numbers * width,)
        yield f"{name}.offset", (numbers * width,)
    yield from ((f"{name}.tables.{place}.weight", (rows, width)) for place, rows in enumerate(categories))


def _lstm(name: str, width: int, layers: int) -> Named:
    for layer in range(layers):
        for matrix in ("ih", "hh"):
            yield f"{name}.weight_{matrix}_l{layer}", (4 * width, width)
            yield f"{name}.bias_{matrix}_l{layer}", (4 * width,)


def _attention(width: int, heads: int) -> Named:
    yield from _columns("attention.queries", width, width)
    yield from _columns("attention.keys_value", width, width + width // heads)
    yield from _columns("attention.out", width // heads, width)
