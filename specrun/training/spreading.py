"""Spreads a model over the processes that train it: every one holds it all (DDP), or a share of each parameter (FSDP2).

Not imported by a process on its own: torch's part for it takes a second and 30 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.parallel import Parallel

Result = TypeVar("Result")


class Inside(nn.Module):
    """Calls a function of the model in a forward pass of its own, where the hooks of DDP and FSDP see it: a task asks a model for more
    than its forward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, call: Callable[[nn.Module], Result]) -> Result:
        return call(self.model)


def spread(model: nn.Module, workers: Workers, *, strategy: str, device: Device) -> Parallel:
    """Make a model on the host part of several processes' training, in place; its names stay. Before the optimizer is made: fsdp puts
    parameters in the place of others, a block at a time, so that no device ever holds all of them.

    strategy: ddp (Li et al. 2020) or fsdp (Zhao et al. 2023, per parameter as in torch's `fully_shard`): the parameters of one of
    `model.blocks` at a time are whole, and those outside of them, which several may use, for the length of a pass.
    """
    inside = Inside(model)
    if strategy == "fsdp":
        # Said, for left alone, torch takes the machine's accelerator, which a profile may leave unused. Sharding moves to it.
        mesh = init_device_mesh(device.kind, (workers.size,))
        blocks = getattr(model, "blocks", None)
        for block in blocks if isinstance(blocks, nn.ModuleList) else ():
            _shard(block, mesh)
        return Parallel(workers, inside, fsdp=_shard(inside, mesh))
    model.to(device.place)
    # Weights are drawn alike everywhere and buffers computed alike: there is nothing to send.
    ignored = [name for name, _ in inside.named_buffers()]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(inside, ignored)  # type: ignore[no-untyped-call] # noqa: SLF001 - torch's name for it
    ddp = DistributedDataParallel(inside, gradient_as_bucket_view=True, init_sync=False)
    ddp.register_comm_hook(None, _sum)
    return Parallel(workers, ddp, ddp=ddp)


def _shard(module: nn.Module, mesh: DeviceMesh) -> FSDPModule:
    sharded = fully_shard(module, mesh=mesh)
    # Each worker divides its loss by the weight of the whole batch, so that gradients are summed, not averaged.
    sharded.set_gradient_divide_factor(1.0)
    sharded.set_force_sum_reduction_for_comms(True)
    return sharded


def _sum(state: Any, bucket: Any) -> Any:  # noqa: ARG001 - DDP's form of a hook
    """Sum gradients over the workers, for the same reason."""
    work: Any = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


_sum.__annotations__.clear()  # DDP compares them with its own, and takes none for right
