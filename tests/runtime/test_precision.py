"""Which arithmetic a machine gets, why, and what is said where it cannot have what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from specrun.engine.machine_problems import machine_problems
from specrun.runtime.choice import Choice
from specrun.runtime.device import open_device
from specrun.runtime.hardware import Gpu, Machine, ResolvedHardware, abilities, resolve
from specrun.spec.sections.hardware import Hardware
from specrun.training.optimizers.muon.options import Options as Muon

CPU = Machine("some cpu", 4, 16 * 2**30, frozenset({"avx2"}), ())


def gpu(major: int, minor: int = 0) -> Machine:
    return replace(CPU, gpus=(Gpu("some gpu", 2**34, (major, minor)),))


class _Spec:
    def __init__(self, optimizer: Any = None, **hardware: Any) -> None:
        self.hardware = Hardware(**hardware)
        self.schedule = SimpleNamespace(optimizer=optimizer)


def problems(machine: Machine, **hardware: Any) -> list[tuple[str, str]]:
    spec: Any = _Spec(**hardware)
    return [(problem.code, problem.severity) for problem in machine_problems(spec, machine)]


@pytest.mark.parametrize(
    ("machine", "expected", "reason"),
    [
        (CPU, "float32", "no bf16 instructions here"),
        (replace(CPU, instructions=frozenset({"amx_bf16"})), "float32", "exact; bfloat16, which this CPU has, is taken when asked for"),
        (gpu(6, 1), "float32", "compute capability 6.1"),
        (gpu(7), "float16", "compute capability 7.0 has no bfloat16; the loss is scaled"),
        (gpu(7, 5), "float16", "compute capability 7.5 has no bfloat16; the loss is scaled"),
        (gpu(8), "bfloat16", "compute capability 8.0"),
        (gpu(12, 1), "bfloat16", "compute capability 12.1"),
    ],
)
def test_auto_takes_the_fastest_precision_that_the_device_has_and_says_why(machine: Machine, expected: str, reason: str) -> None:
    assert resolve(Hardware(), machine).precision == Choice(expected, reason)


AMD = replace(CPU, vendor="AuthenticAMD", instructions=frozenset({"avx2", "avx512f"}))


@pytest.mark.parametrize(
    ("machine", "precision", "expected"),
    [
        (AMD, "auto", "onednn"),
        (AMD, "bfloat16", "torch"),  # which torch multiplies by oneDNN itself
        (replace(AMD, vendor="GenuineIntel"), "auto", "torch"),  # MKL's own
        (replace(AMD, vendor=""), "auto", "torch"),  # no x86: no MKL
        (replace(AMD, instructions=frozenset({"avx2"})), "auto", "torch"),
        (replace(AMD, gpus=gpu(8).gpus), "float32", "torch"),
    ],
)
def test_linear_layers_go_by_onednn_where_mkl_keeps_to_half_the_width(machine: Machine, precision: Any, expected: str) -> None:
    resolved = resolve(Hardware(precision=precision), machine)
    assert resolved.products.value == expected
    assert any(reason.startswith("onednn: ") for reason in resolved.reasons) == (expected == "onednn")
    assert resolved.identity == replace(resolved, products=Choice("other", "")).identity


PRECISIONS = ("auto", "float32", "tf32", "bfloat16", "float16")


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (CPU, {"tf32": "error", "bfloat16": "warning", "float16": "warning"}),
        (replace(CPU, instructions=frozenset({"avx512_bf16"})), {"tf32": "error", "float16": "warning"}),
        (gpu(6), {"tf32": "error", "bfloat16": "warning", "float16": "warning"}),
        (gpu(7, 5), {"tf32": "error", "bfloat16": "warning"}),
        (gpu(8), {}),
    ],
)
def test_what_the_device_lacks_is_told_and_nothing_else(machine: Machine, told: dict[str, str]) -> None:
    codes = {"error": "precision-without-device", "warning": "precision-slower-here"}
    expected = {name: [(codes[told[name]], told[name])] if name in told else [] for name in PRECISIONS}
    assert {name: problems(machine, precision=name) for name in PRECISIONS} == expected


@pytest.mark.parametrize(
    ("machine", "slower"), [(CPU, True), (replace(CPU, instructions=frozenset({"avx512_bf16"})), False), (gpu(8), False)]
)
@pytest.mark.parametrize("asked", ["auto", "float32", "bfloat16"])
def test_an_optimizer_that_iterates_in_bfloat16_wants_a_device_that_has_it(machine: Machine, slower: bool, asked: Any) -> None:
    expected = [("precision-slower-here", "warning")] if slower and asked == "bfloat16" else []
    assert problems(machine, optimizer=Muon(kind="muon", newton_schulz_precision=asked)) == expected


def test_a_profile_of_the_processor_has_not_what_the_gpu_beside_it_has() -> None:
    assert problems(gpu(9), profile="cpu", precision="tf32") == [("precision-without-device", "error")]


def test_the_words_auto_and_float32_are_one_identity_and_every_other_precision_its_own() -> None:
    found = [resolve(Hardware(precision=name), CPU).identity["precision"] for name in PRECISIONS]  # type: ignore[arg-type]
    assert found == ["float32", "float32", "tf32", "bfloat16", "float16"]


def test_doctor_is_told_what_the_hardware_can_do() -> None:
    assert {name: able.value for name, able in abilities(gpu(7, 5)).items()} == {
        "bfloat16": "no", "float16": "yes", "tf32": "no", "compile": "yes",
    }  # fmt: skip
    assert all(able.value == "no" and able.reason for name, able in abilities(CPU).items() if name != "compile")


@pytest.fixture
def _float32_products(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CUDA device as far as opening one asks for it, and torch's settings put back."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.usefixtures("_float32_products")
def test_tf32_is_on_for_the_device_that_asks_and_off_for_the_next() -> None:
    def settings(kind: str, precision: str) -> tuple[str, str, bool]:
        choice = Choice(kind, "a test")
        hardware = ResolvedHardware(kind, "x", 1, 1, choice, Choice(precision, ""), Choice("eager", ""), torch.get_num_threads())  # type: ignore[arg-type]
        assert open_device(hardware).compute_dtype is torch.float32
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        return torch.get_float32_matmul_precision(), matmul.fp32_precision, cudnn.allow_tf32

    on, off = ("high", "tf32", True), ("highest", "ieee", False)
    assert [settings("cuda", "tf32"), settings("cuda", "float32"), settings("cuda", "tf32"), settings("cpu", "tf32")] == [on, off, on, off]
