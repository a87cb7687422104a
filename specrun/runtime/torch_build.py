"""What the installed torch can do on this machine, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """cuda: the version of CUDA it was built for, None for a build without; devices: CUDA devices that it can use.

    backends: what its processes can speak to each other through.
    """

    version: str
    cuda: str | None
    devices: int
    backends: tuple[str, ...]


def has_onednn() -> bool:
    """Whether it was built with oneDNN and has the operation that `runtime.products` calls."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def torch_build() -> TorchBuild:
    """Ask torch. Importing this module is what takes its time, and what fails where torch is broken."""
    found = {"gloo": dist.is_gloo_available, "nccl": dist.is_nccl_available, "mpi": dist.is_mpi_available} if dist.is_available() else {}
    return TorchBuild(
        version=torch.__version__,
        cuda=torch.version.cuda,
        devices=torch.cuda.device_count() if torch.cuda.is_available() else 0,
        backends=tuple(name for name, available in found.items() if available()),
    )
