"""The device: made once from the resolved hardware, with the only way from the device to the host."""

from __future__ import annotations

import os
import platform

import numpy as np
import psutil
import pytest
import torch

from specrun.errors import SpecrunError
from specrun.runtime.allocation import keep_freed_memory
from specrun.runtime.device import Device, open_device
from specrun.runtime.factory import load_factory
from specrun.runtime.hardware import Choice, ResolvedHardware


def resolved(kind: str = "cpu", precision: str = "float32", threads: int = 1) -> ResolvedHardware:
    choice = Choice(kind, "asked for")
    return ResolvedHardware(kind, "some device", 2, 2**30, choice, Choice(precision, "a test"), Choice("eager", "a test"), threads)  # type: ignore[arg-type]


def test_threads_and_precision_come_from_the_resolved_hardware_with_its_reasons() -> None:
    device = open_device(resolved(precision="bfloat16"))
    assert torch.get_num_threads() == 1
    assert device.compute_dtype is torch.bfloat16
    assert device.reasons[1] == "bfloat16: a test"


def test_a_gpu_that_torch_cannot_use_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SpecrunError, match="torch-without-cuda: some device is present") as caught:
        open_device(resolved("cuda"))
    assert "hardware.profile: cpu" in str(caught.value.hint)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA that numbers a fast device first unless it is told otherwise; what plans are made for is the other."""

    def first(number: int) -> str:
        assert number == 0
        return "some device" if os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" else "a faster device"

    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", first)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)


@pytest.mark.usefixtures("two_gpus")
def test_cuda_is_told_to_number_devices_as_the_plan_does_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID")
    assert open_device(resolved("cuda")).place == torch.device("cuda", 0)
    assert torch.cuda.get_device_name(0) == "some device"


@pytest.mark.usefixtures("two_gpus")
def test_an_order_of_the_users_own_is_kept_and_another_device_than_was_planned_with_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ["CUDA_DEVICE_ORDER"] = "FASTEST_FIRST"
    with pytest.raises(SpecrunError, match="device-order: the first CUDA device is a faster device by CUDA_DEVICE_ORDER=FASTEST_FIRST"):
        open_device(resolved("cuda"))
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "some device")
    open_device(resolved("cuda"), number=1)


def test_a_cpu_changes_nothing_about_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    open_device(resolved())
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_matrix_products_are_computed_in_the_asked_precision() -> None:
    matrix = torch.ones(2, 2)
    with open_device(resolved(precision="bfloat16")).autocast():
        assert (matrix @ matrix).dtype is torch.bfloat16
    with open_device(resolved()).autocast():
        assert (matrix @ matrix).dtype is torch.float32


def test_reading_any_number_of_scalars_is_one_wait() -> None:
    device = open_device(resolved())
    assert device.read([torch.tensor(1.5), torch.tensor(2, dtype=torch.int64)]) == [1.5, 2.0]
    assert device.read([]) == []
    assert device.syncs == 1
    device.to_host(torch.ones(3))
    assert device.syncs == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_values_reach_the_host_in_the_bytes_of_their_type(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1], [1, 1]]).to(dtype).t()
    found = torch.from_numpy(open_device(resolved()).to_host(tensor)).view(dtype)
    assert torch.equal(found, tensor.reshape(-1))


def test_arrays_go_to_the_device_unchanged() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert open_device(resolved()).transfer(array).tolist() == array.tolist()


@pytest.mark.slow
def test_the_peak_of_memory_grows_with_what_is_held() -> None:
    device = open_device(resolved())
    before = device.peak_memory_bytes
    held = np.ones(before // 4, dtype=np.float64)
    assert device.peak_memory_bytes > before
    assert held[0] == 1


def test_a_device_cannot_be_changed() -> None:
    device = Device("cpu", torch.device("cpu"), torch.float32)
    with pytest.raises(AttributeError):
        device.kind = "cuda"  # type: ignore[misc]


def test_a_factory_string_names_a_function() -> None:
    assert load_factory("specrun.runtime.device:open_device") is open_device


@pytest.mark.gpu
def test_a_gpu_computes_what_the_cpu_computes() -> None:
    device = open_device(resolved("cuda"))
    array = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    tensor = device.transfer(array)
    assert tensor.is_cuda
    assert device.read([(tensor @ tensor).sum()])[0] == pytest.approx(float((array @ array).sum()), rel=1e-3)
    assert device.peak_memory_bytes > 0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told to keep memory that is freed")
def test_on_a_cpu_memory_that_was_freed_and_kept_is_given_back_when_asked() -> None:
    if not keep_freed_memory(os.environ):
        pytest.skip("the user has said how memory is kept")
    device, used = Device("cpu", torch.device("cpu"), torch.float32), torch.ones(16 * 2**20)
    del used
    kept = psutil.Process().memory_info().rss
    device.free_cached_memory()
    assert kept - psutil.Process().memory_info().rss > 40 * 2**20
