"""How one process's training takes part in that of several: its share of a batch, and sums over all.

The law: however many processes there are, the sums are those of one process with the same micro-batches; only their order may differ.
A process on its own does nothing here. How a model is spread over processes is `spreading`'s, what they say `runtime.distributed`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.protocols import Batch

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.nn.parallel import DistributedDataParallel

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Parallel:
    """This process's part. root: what calls a function of the model where gradients are watched and parameters are whole; ddp or fsdp is
    the same, as what it is. None: on its own."""

    workers: Workers = ALONE
    root: nn.Module | None = None
    ddp: DistributedDataParallel | None = None
    fsdp: FSDPModule | None = None

    @property
    def first(self) -> bool:
        """Whether this process records and saves."""
        return self.workers.first

    def parts(self, batch: Batch, size: int) -> Iterator[tuple[int, Batch, AbstractContextManager[Any]]]:
        """This worker's micro-batches of at most `size` samples, in order: each with its number among those of the whole batch, which
        random numbers are drawn by, and what forward and backward are done in: gradients are summed over workers with the last alone
        by ddp; by fsdp with each, for until they are summed every device holds them whole.
        """
        if self.root is None:
            for number, part in enumerate(batch.split(size)):
                yield number, part, nullcontext()
            return
        parts = list(batch.share(self.workers.rank, size=self.workers.size).split(size))
        before = self.workers.rank * len(parts)
        for number, part in enumerate(parts, start=1):
            yield before + number - 1, part, self._summing(last=number == len(parts))

    def loss_sum(self, model: nn.Module, call: Callable[[nn.Module], Tensor]) -> Tensor:
        """A loss of the model, to go backward from."""
        return call(model) if self.root is None else cast("Tensor", self.root(call))

    def judge(self, model: nn.Module, call: Callable[[nn.Module], Result]) -> Result:
        """What a function of the model gives, no backward pass to follow. All workers call the model equally often in it."""
        if self.root is None or self.fsdp is None:
            return call(model)
        with torch.no_grad():
            result, error = cast("tuple[Result, Exception | None]", self.root(partial(_outcome, call)))
        self.fsdp.reshard()
        if error is not None:
            raise error
        return result

    def _summing(self, *, last: bool) -> AbstractContextManager[Any]:
        return self.ddp.no_sync() if self.ddp is not None and not last else nullcontext()


def _outcome(call: Callable[[nn.Module], Result], model: nn.Module) -> tuple[Result | None, Exception | None]:
    """What a function of the model gives or fails by: a forward pass that an error leaves would have parameters stay whole."""
    try:
        return call(model), None
    except Exception as error:  # noqa: BLE001 - raised again behind the pass
        return None, error


ON_ITS_OWN = Parallel()
