"""Small inputs for models of each interface: the sizes they are built with, batches, and what comes out of them.

Shapes as in `runtime.interfaces`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from specrun.runtime.interfaces import ForecastInputs

VOCABULARY, LENGTH, CLASSES = 17, 12, 3
Batch = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of an interface. draw: a batch of so many samples; call: what the model makes of a batch, (B, ...); shape: of a sample's output.

    row: one sample of a batch. beyond: the same batch with other values where nothing may look, and which outputs must stay, or None
    where there is no such place.
    """

    sizes: Mapping[str, Any]
    draw: Callable[[int], Batch]
    call: Callable[[Any, Batch], Tensor]
    shape: Callable[[Any], tuple[int, ...]]
    row: Callable[[Batch, int], Batch]
    beyond: Callable[[Batch], tuple[Batch, Callable[[Tensor], Tensor]]] | None = None


def _row(batch: Batch, number: int) -> Batch:
    return tuple(tensor[number : number + 1] for tensor in batch)


def _all(outputs: Tensor) -> Tensor:
    return outputs


def _ids(samples: int, length: int = LENGTH) -> Tensor:
    return torch.randint(0, VOCABULARY, (samples, length))


def _lengths(samples: int) -> Tensor:
    """Of rows of several lengths, the first one full."""
    return LENGTH - torch.arange(samples) % (LENGTH // 2)


def _other_padding(ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
    padding_BT = torch.arange(ids_BT.shape[1]) >= lengths_B[:, None]
    return torch.where(padding_BT, (ids_BT + 1) % VOCABULARY, ids_BT)


def _logits(model: Any, hidden_BTC: Tensor) -> Tensor:
    head_VC: Tensor = model.head_VC
    return hidden_BTC @ head_VC.T


def _later(batch: Batch) -> tuple[Batch, Callable[[Tensor], Tensor]]:
    """A decoder sees no later token."""
    (ids_BT,) = batch
    half = LENGTH // 2
    return (torch.cat([ids_BT[:, :half], (ids_BT[:, half:] + 1) % VOCABULARY], dim=1),), lambda outputs: outputs[:, :half]


def _masked(batch: Batch) -> tuple[Batch, Callable[[Tensor], Tensor]]:
    ids_BT, lengths_B = batch
    shown_BT1 = (torch.arange(LENGTH) < lengths_B[:, None])[..., None]
    return (_other_padding(ids_BT, lengths_B), lengths_B), lambda outputs: outputs * shown_BT1


def _classified(batch: Batch) -> tuple[Batch, Callable[[Tensor], Tensor]]:
    ids_BT, lengths_B = batch
    return (_other_padding(ids_BT, lengths_B), lengths_B), _all


def _translated(batch: Batch) -> tuple[Batch, Callable[[Tensor], Tensor]]:
    """Neither padding of the source nor later tokens of the target."""
    source_BS, lengths_B, target_BT = batch
    (later_BT,), kept = _later((target_BT,))
    return (_other_padding(source_BS, lengths_B), lengths_B, later_BT), kept


def _translate(model: Any, batch: Batch) -> Tensor:
    source_BS, lengths_B, target_BT = batch
    return _logits(model, model.decode(target_BT, model.encode(source_BS, lengths_B), lengths_B))


def _forecast_inputs(samples: int) -> Batch:
    sizes = _FORECAST
    steps = sizes["context"] + sizes["horizon"]
    return (
        torch.randn(samples, sizes["context"], sizes["targets"] + sizes["observed"]),
        torch.randn(samples, steps, sizes["known"]),
        torch.stack([torch.randint(0, size, (samples, steps)) for size in sizes["known_categories"]], dim=-1),
        torch.randn(samples, sizes["static"]),
        torch.stack([torch.randint(0, size, (samples,)) for size in sizes["static_categories"]], dim=-1),
    )


_FORECAST: dict[str, Any] = {
    "context": 16, "horizon": 4, "targets": 2, "observed": 1, "known": 2, "static": 1, "known_categories": (5,), "static_categories": (3,),
    "quantiles": 3,
}  # fmt: skip
_TEXT = {"vocab_size": VOCABULARY, "sequence_length": LENGTH}
_EDGES = tuple(tuple(float(edge) for edge in torch.linspace(-2, 2, 9)) for _ in range(4))


def _forecast_shape(_: Any) -> tuple[int, ...]:
    return _FORECAST["horizon"], _FORECAST["targets"], _FORECAST["quantiles"]


INPUTS: Mapping[str, Inputs] = {
    "language_model": Inputs(
        _TEXT, lambda n: (_ids(n),), lambda model, batch: _logits(model, model.hidden(*batch)), lambda model: (LENGTH, len(model.head_VC)),
        _row, _later,
    ),
    "masked_language_model": Inputs(
        _TEXT, lambda n: (_ids(n), _lengths(n)), lambda model, batch: _logits(model, model.hidden(*batch)),
        lambda model: (LENGTH, len(model.head_VC)), _row, _masked,
    ),
    "seq2seq": Inputs(
        _TEXT, lambda n: (_ids(n), _lengths(n), _ids(n)), _translate, lambda model: (LENGTH, len(model.head_VC)), _row, _translated
    ),
    "text_classifier": Inputs(
        {**_TEXT, "num_classes": CLASSES}, lambda n: (_ids(n), _lengths(n)), lambda model, batch: model(*batch), lambda _: (CLASSES,), _row,
        _classified,
    ),
    "image_classifier": Inputs(
        {"channels": 3, "height": 32, "width": 32, "num_classes": CLASSES}, lambda n: (torch.randn(n, 3, 32, 32),),
        lambda model, batch: model(*batch), lambda _: (CLASSES,), _row,
    ),
    "table": Inputs(
        {"numbers": 4, "categories": (3, 5), "edges": _EDGES, "outputs": 2},
        lambda n: (torch.randn(n, 4), torch.stack([torch.randint(0, 3, (n,)), torch.randint(0, 5, (n,))], dim=1)),
        lambda model, batch: model(*batch), lambda _: (2,), _row,
    ),
    "forecaster": Inputs(
        _FORECAST, _forecast_inputs, lambda model, batch: model(ForecastInputs(*batch)), _forecast_shape, _row
    ),
}  # fmt: skip
"""By the name of the interface."""
