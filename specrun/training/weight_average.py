"""An exponential moving average of the weights (Polyak & Juditsky 1992; as of Tarvainen & Valpola 2017): what is judged and kept as best.

Training goes on with the weights themselves. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import own, share_like
from specrun.training.running_statistics import running_statistics


class WeightAverage:
    """The average of a model's trainable weights, and of its running statistics, beside them on the device. decay: share of the old
    average that a step leaves.

    While few steps are done it is less, (1 + steps) / (10 + steps), so that the initial weights soon count for nothing.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._decay = decay
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        # Running means belong to the weights that they were counted with.
        counted = {name: tensor for name, tensor in running_statistics(model).items() if tensor.is_floating_point()}
        self._weights: dict[str, Tensor] = {**weights, **counted}
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, *, steps: int, skip: Tensor | None = None) -> None:
        """Take the weights in. steps: optimizer steps done, at least 1. skip: 1.0 on the device where the last of them was left out,
        which then leaves the average out too."""
        share = 1 - min(self._decay, (1 + steps) / (10 + steps))
        averages, weights = self._own_averages(), [own(weight) for weight in self._weights.values()]
        if skip is None:
            torch._foreach_lerp_(averages, weights, share)
        elif skip.is_cuda:
            _move(averages, weights, torch.where(skip > 0, 0.0, share))
        else:
            torch._foreach_lerp_(averages, weights, [torch.where(skip > 0, 0.0, share)] * len(weights))

    @torch.no_grad()
    def reset(self) -> None:
        """Begin again with the weights as they are."""
        torch._foreach_copy_(self._own_averages(), [own(weight) for weight in self._weights.values()])

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's state with the averages in place of what is averaged."""
        averages = {id(weight): self._averages[name] for name, weight in self._weights.items()}
        return {name: averages.get(id(tensor), tensor.detach()) for name, tensor in model.state_dict(keep_vars=True).items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` gave."""
        for name, average in self._averages.items():
            own(average).copy_(own(share_like(tensors[name], average)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averages in place of the weights, in the weights' own memory, and the weights back afterwards, bit for bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for average, weight in zip(self._own_averages(), self._weights.values(), strict=True):
            kept = own(weight).clone()
            own(weight).copy_(average)
            average.copy_(kept)

    def _own_averages(self) -> list[Tensor]:
        return [own(average) for average in self._averages.values()]


def _move(averages: list[Tensor], weights: list[Tensor], share: Tensor) -> None:
    """Averages towards the weights by a share on the device, in three launches for all: lerp takes one for each such share."""
    ways = torch._foreach_sub(weights, averages)  # noqa: SLF001 - torch documents it
    torch._foreach_mul_(ways, share)
    torch._foreach_add_(averages, ways)


def judged(average: WeightAverage | None) -> AbstractContextManager[None]:
    """The model as it is to be judged: with its average, where there is one."""
    return nullcontext() if average is None else average.applied()
