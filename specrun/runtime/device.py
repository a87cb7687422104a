"""The device that training runs on: torch's objects made once from the resolved hardware, and the only way from it to the host.

Training code never names CUDA or the CPU: it receives a Device. Which device and why is decided in `runtime.hardware`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from specrun.errors import SpecrunError
from specrun.runtime.allocation import give_back_freed_memory, keep_freed_memory
from specrun.runtime.hardware import ResolvedHardware, number_by_bus
from specrun.runtime.memory import peak_memory_bytes, restart_peak
from specrun.runtime.torch_build import has_onednn

_DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Device:
    """Where tensors live and in what precision matrices are multiplied. reasons: why, in the order a person asks. compute_dtype: what
    autocast computes products in; float32 where it is not used. products: "onednn" where linear layers go past torch's own choice.

    Each `read` and `to_host` makes the host wait for the device; `syncs` counts them, so that a test can bound them.
    """

    kind: str
    place: torch.device
    compute_dtype: torch.dtype
    reasons: tuple[str, ...] = ()
    products: str = "torch"
    _counts: dict[str, int] = field(default_factory=lambda: {"syncs": 0, "unpinned": 0})

    @property
    def syncs(self) -> int:
        """How often the host has waited for the device."""
        return self._counts["syncs"]

    @property
    def unpinned_bytes(self) -> int:
        """Bytes of `host_buffer`s that the system would not pin, though copies from the device ask for that."""
        return self._counts["unpinned"]

    @property
    def peak_memory_bytes(self) -> int:
        """Most memory used so far: device memory on CUDA, memory of the process on a CPU."""
        return peak_memory_bytes(self.kind)

    def restart_peak(self) -> None:
        """Let go of memory that is free, and count the peak anew where the device can: on a CPU it is that of the process's life."""
        restart_peak(self.kind)

    def free_cached_memory(self) -> None:
        """Give back what is held of the device's memory for tensors that are gone."""
        if self.kind == "cuda":
            torch.cuda.empty_cache()
        else:
            give_back_freed_memory()

    def autocast(self) -> AbstractContextManager[Any]:
        """Matrix products in the compute precision; master weights stay float32."""
        if self.compute_dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.kind, dtype=self.compute_dtype)

    def transfer(self, array: np.ndarray[Any, Any]) -> Tensor:
        """A host array as a tensor on the device, without waiting for the device."""
        tensor = torch.from_numpy(array)
        if self.kind == "cpu":
            return tensor
        return tensor.pin_memory().to(self.place, non_blocking=True)

    def read(self, scalars: Sequence[Tensor]) -> list[float]:
        """Scalars of the device as numbers, all in one transfer."""
        if not scalars:
            return []
        self._counts["syncs"] += 1
        numbers: list[float] = torch.stack([scalar.detach().to(torch.float64) for scalar in scalars]).tolist()
        return numbers

    def to_host(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """A tensor's values on the host, flat, in the bytes of its type."""
        self._counts["syncs"] += 1
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        array: np.ndarray[Any, Any] = flat.to("cpu").numpy()
        return array

    def host_buffer(self, tensor: Tensor) -> Tensor:
        """Room on the host for a tensor's bytes, touched once, so that filling it later meets no page that is not there yet. For a CUDA
        device it is pinned; where the system refuses that, copies wait for the device, and arrive all the same.

        On a CPU numpy touches it: a parallel operation of torch, asked for by any thread but the one that trains, leaves OpenMP with a
        second set of threads. With more threads than cores it no longer lets them spin, and all of training goes a third slower.
        """
        size = tensor.numel() * tensor.element_size()
        if self.kind == "cuda":
            try:
                return torch.zeros(size, dtype=torch.uint8, pin_memory=True)
            except RuntimeError:  # of several kinds, by what is short; a device that is lost fails at the copy
                self._counts["unpinned"] += size
        room = np.empty(size, dtype=np.uint8)
        room.fill(0)
        return torch.from_numpy(room)

    def copy_to_host(self, tensors: Iterable[Tensor], buffers: Sequence[Tensor]) -> Callable[[], None]:
        """Start to copy the tensors' bytes into buffers of `host_buffer`. What the device does to the tensors later does not show in
        them. Returns what waits, in any thread, until they are there.

        On a CPU one thread copies: a parallel copy of many small tensors waits each time for whichever core is busy elsewhere.
        """
        for tensor, buffer in zip(tensors, buffers, strict=True):
            flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
            if flat.device.type == "cpu":
                np.copyto(buffer.numpy(), flat.numpy())
            else:
                buffer.copy_(flat, non_blocking=True)
        if self.kind == "cpu":
            return _nothing
        copied = torch.Event(self.place)
        copied.record()
        return copied.synchronize


def _nothing() -> None:
    """All is there."""


def _multiply_float32(*, in_tf32: bool) -> None:
    """Say for the whole process how float32 products are computed, convolutions included: torch has them in TF32 unless told.

    By the older of torch's two interfaces: where the newer one has spoken, 2.13 raises an error at each place that reads the older.
    """
    torch.set_float32_matmul_precision("high" if in_tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = in_tf32


def multiplies_float32_exactly() -> bool:
    """Whether this process computes float32 products in float32, as its device was opened, and not in TF32's 10 bits."""
    return torch.get_float32_matmul_precision() == "highest"


def open_device(hardware: ResolvedHardware, *, number: int = 0) -> Device:
    """Make the device ready. number: which of the visible ones. Raises: SpecrunError where torch cannot use the device that was found,
    or takes another one for the first."""
    torch.set_num_threads(hardware.threads)
    if hardware.kind == "cpu":
        keep_freed_memory(os.environ)
    if hardware.kind == "cuda":
        by_bus = number_by_bus(os.environ)
        if not torch.cuda.is_available():
            raise SpecrunError(
                f"{hardware.name} is present, but this installation of torch ({torch.__version__}) cannot use CUDA",
                code="torch-without-cuda",
                hint="install a CUDA build of torch, or set hardware.profile: cpu",
            )
        if not by_bus and (first := torch.cuda.get_device_name(0)) != hardware.name:
            raise SpecrunError(
                f"the first CUDA device is {first} by CUDA_DEVICE_ORDER={os.environ['CUDA_DEVICE_ORDER']}, and {hardware.name} by its "
                "place on the bus, which it was planned with",
                code="device-order",
                hint="set CUDA_DEVICE_ORDER=PCI_BUS_ID, and choose by CUDA_VISIBLE_DEVICES, such as CUDA_VISIBLE_DEVICES=1",
            )
        torch.cuda.reset_peak_memory_stats()
    _multiply_float32(in_tf32=hardware.kind == "cuda" and hardware.precision.value == "tf32")
    place = torch.device("cuda", number) if hardware.kind == "cuda" else torch.device("cpu")
    products = hardware.products.value if has_onednn() else "torch"
    return Device(hardware.kind, place, _DTYPES[hardware.precision.value], hardware.reasons, products)
