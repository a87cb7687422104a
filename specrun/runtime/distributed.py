"""The processes that train together: which of them this one is, and what they say to one another.

Numbers of the host travel over gloo, tensors of a CUDA device over NCCL. One process alone is `ALONE`: it says nothing and waits for
no one. How a model is spread over them is `training.parallel`'s business, who starts them `engine.executors`'.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from specrun.errors import SpecrunError

Item = TypeVar("Item")
PATIENCE = timedelta(minutes=30)
"""How long a worker waits for the others: longer than the first of them may take to write a checkpoint."""
PATIENCE_AGAIN = timedelta(minutes=5)
"""How long after all were started again: as long as another machine may take to notice, between two exchanges, that one was lost."""


@dataclass(frozen=True, slots=True)
class Workers:
    """This process among those that train together. rank: 0 records and saves; local_rank: on this machine, its device's number.
    restarts: how often all of them were started again.

    All of them call each method that speaks to others, in the same order.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restarts: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that records and saves."""
        return self.rank == 0

    def add(self, tensor: Tensor) -> Tensor:
        """The sum over all workers, on the device, without waiting for it. The tensor may be overwritten."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all workers, in float64; whole numbers are exact up to 2**53."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def largest(self, number: int) -> int:
        """The largest of all workers' numbers."""
        if self.size == 1:
            return number
        found = torch.tensor(number, dtype=torch.int64)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def largest_sum(self, number: int, *, together: int) -> int:
        """The largest of the sums over so many workers each, in the order of their ranks: those of a machine, or each for itself."""
        sums = [0.0] * (self.size // together)
        sums[self.rank // together] = float(number)
        return int(max(self.total(sums)))

    def told(self, document: Any) -> Any:
        """What the first worker says, as plain JSON, whatever the others would have said."""
        if self.size == 1:
            return document
        text = torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8) if self.first else torch.empty(0)
        length = torch.tensor(text.numel(), dtype=torch.int64)
        dist.broadcast(length, src=0)
        if not self.first:
            text = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(text, src=0)
        return json.loads(bytes(text.numpy()))

    def wait(self) -> None:
        """Until all are here."""
        self.largest(0)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """What the first worker does inside is done before another enters."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def share(self, items: Sequence[Item]) -> Iterator[tuple[Item, bool]]:
        """This worker's part of some items, equally many for each worker: where there is none left for this one, the last row's first
        takes its place, and does not count. Gives the item, and whether it counts."""
        for first in range(0, len(items), self.size):
            place = first + self.rank
            yield (items[place], True) if place < len(items) else (items[first], False)


ALONE = Workers()


def join_workers(kind: str) -> Workers:
    """Meet the others, as torchrun's environment names them. kind: cpu or cuda, whose device is that of the local rank.

    Raises: SpecrunError where others do not come back after all were started again: there is no point in starting once more.
    """
    local_rank = int(os.environ["LOCAL_RANK"])
    if kind == "cuda":
        torch.cuda.set_device(local_rank)
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    try:
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE_AGAIN if restarts else PATIENCE))
        store.set_timeout(PATIENCE)
        # torchrun keeps one store over all its starts, and an address that a dead worker left there would be called.
        store = PrefixStore(f"start-{restarts}", store)
        if restarts:
            _await_all(store, rank=rank, size=size)
    except dist.DistError as error:
        if not restarts:
            raise
        seconds = int(PATIENCE_AGAIN.total_seconds())
        raise SpecrunError(f"a machine was lost: the workers were started again, and within {seconds} seconds not all came back",
                           code="workers-lost", hint="apply again, on all machines, once they are well") from error  # fmt: skip
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "cpu:gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    return Workers(rank, size, local_rank, restarts)


def _await_all(store: Store, *, rank: int, size: int) -> None:
    """Until each has written that it is there. Raises: DistError where one has not in time, or the store is gone."""
    store.set(f"here-{rank}", "")
    store.wait([f"here-{other}" for other in range(size)], PATIENCE_AGAIN)


def leave_workers() -> None:
    """Part from the others, once nothing more is to be said."""
    if dist.is_initialized():
        dist.destroy_process_group()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each worker holds a share; any other as it is. All workers call it."""
    # By its method: to import the class of such tensors takes a second and 30 MB that a process alone can spare.
    full_tensor: Callable[[], Tensor] | None = getattr(tensor, "full_tensor", None)
    return tensor if full_tensor is None else full_tensor()


def own(tensor: Tensor) -> Tensor:
    """This worker's share of a tensor, in the same memory; all of any other."""
    to_local: Callable[[], Tensor] | None = getattr(tensor, "to_local", None)
    return tensor if to_local is None else to_local()


def share_like(tensor: Tensor, model: Tensor) -> Tensor:
    """Of a whole tensor this worker's share, where it has one of another tensor of the same shape; else all of it."""
    if not hasattr(model, "full_tensor") or tensor.shape != model.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(model, DTensor)
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)


def lost_worker(error: BaseException) -> bool:
    """Whether an error says that another worker has gone, not that this one did wrong."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
