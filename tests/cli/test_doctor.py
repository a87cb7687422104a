"""`doctor` looks and changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from specrun.cli import doctor, doctor_installation, doctor_machine
from specrun.cli.main import run
from specrun.runtime import hardware, readings, torch_build
from tests.conftest import ROOT
from tests.engine.conftest import applied_store, store  # noqa: F401 - fixtures
from tests.runtime.fake_nvml import FakeDevice, FakeNvml


def checks(capsys: pytest.CaptureFixture[str], store: Path, *, code: int = 0) -> dict[str, dict[str, str]]:  # noqa: F811
    assert run(["doctor", "--store", str(store), "--json"]) == code
    return {check["check"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_doctor_finds_this_installation_usable(tmp_path, capsys):
    found = checks(capsys, tmp_path / "s")
    assert {found[name]["state"] for name in ("torch", "templates", "store")} == {"ok"}


def test_a_store_whose_parents_are_missing_is_one_that_does_not_exist_yet(tmp_path, capsys):
    store = tmp_path / "a" / "b" / "c"  # noqa: F811
    found = checks(capsys, store)["store"]
    assert found["state"] == "ok"
    assert found["detail"].startswith(f"{store} does not exist yet; ")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("place", ["there", "there/a", "there/a/b"])
def test_a_file_in_the_way_of_the_store_is_said(tmp_path, capsys, place):
    (tmp_path / "there").write_text("x")
    found = checks(capsys, tmp_path / place, code=1)["store"]
    assert found["state"] == "broken"
    assert f"{tmp_path / 'there'} is not a folder" in found["detail"]


def test_doctor_creates_nothing_in_the_store(tmp_path, capsys):
    found = checks(capsys, tmp_path)["store"]
    assert (found["state"], list(tmp_path.iterdir())) == ("ok", [])
    assert ", 0 runs, " in found["detail"]


def test_only_a_folder_with_a_run_document_counts_as_a_run(store, capsys):  # noqa: F811
    (store / "runs" / "begun-and-left").mkdir()
    (store / "runs" / "leftover").mkdir()
    (store / "runs" / "leftover" / "tokens.bin").write_text("x")
    (store / "runs" / "note.txt").write_text("x")
    before = sorted(store.rglob("*"))
    found = checks(capsys, store, code=1)
    assert ", 1 run, " in found["store"]["detail"]
    assert (found["records"]["state"], found["records"]["detail"].partition(";")[0]) == ("broken", "1 error")
    assert sorted(store.rglob("*")) == before


def test_a_store_of_a_newer_version_is_broken(tmp_path, capsys):
    (tmp_path / "store.json").write_text('{"format_version": 99}')
    found = checks(capsys, tmp_path, code=1)["store"]
    assert found["state"] == "broken"
    assert "newer-store" in found["detail"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0"])
def test_a_store_that_cannot_be_read_is_broken(tmp_path, capsys, content):
    (tmp_path / "store.json").write_text(content)
    assert checks(capsys, tmp_path, code=1)["store"]["state"] == "broken"


@pytest.mark.parametrize("exists", [True, False])
def test_a_store_that_cannot_be_written_is_broken(tmp_path, capsys, monkeypatch, exists):
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)
    found = checks(capsys, tmp_path if exists else tmp_path / "new" / "store", code=1)["store"]
    assert (found["state"], f"{tmp_path} cannot be written" in found["detail"]) == ("broken", True)


def test_a_device_that_is_hidden_is_told_from_one_that_is_not_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(doctor_machine, "probe", lambda: hardware.Machine("cpu", 1, 2**30, frozenset(), ()))
    assert "nvidia-smi" in checks(capsys, tmp_path)["CUDA device"]["detail"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES=''" in checks(capsys, tmp_path)["CUDA device"]["detail"]


def test_doctor_looks_at_every_package_that_specrun_needs(tmp_path, capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    assert needed <= checks(capsys, tmp_path / "s").keys()


def test_the_records_of_a_store_are_looked_at_where_that_takes_no_time(store, capsys, monkeypatch):  # noqa: F811
    assert checks(capsys, store)["records"]["detail"] == "every line of every journal is sound"
    monkeypatch.setattr(doctor, "_CHECKED_BYTES", 0)
    found = checks(capsys, store)["records"]
    assert (found["state"], "`specrun store doctor --store" in found["detail"]) == ("ok", True)


def test_every_finding_is_of_a_group_and_named_once(tmp_path, capsys):
    assert run(["doctor", "--store", str(tmp_path / "s"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["checks"]
    assert [list(finding) for finding in found] == [["group", "check", "state", "detail"]] * len(found)
    assert len({finding["check"] for finding in found}) == len(found)
    assert list(dict.fromkeys(finding["group"] for finding in found)) == ["machine", "training", "installation", "store"]


H200 = hardware.Gpu("NVIDIA H200", 141 * 2**30, (9, 0), "GPU-a")
MACHINE = hardware.Machine("Some CPU", 16, 128 * 2**30, frozenset({"avx2", "avx512f", "sse"}), (H200,))


@pytest.fixture
def with_gpu(monkeypatch):
    """A machine with one device, its driver, and a torch that can use it. To be changed through what it returns."""
    library = FakeNvml({"GPU-a": FakeDevice(utilization=3, memory=2**30, milliwatts=76_400, celsius=31)})
    library.nvmlSystemGetDriverVersion = lambda: "580.82"
    build = {"version": "2.13.0+cu130", "cuda": "13.0", "devices": 1, "backends": ("gloo", "nccl")}
    for module in (hardware, doctor_machine):
        monkeypatch.setattr(module, "probe", lambda: MACHINE)
    monkeypatch.setattr(doctor_machine, "open_library", lambda: library)
    monkeypatch.setattr(torch_build, "torch_build", lambda: torch_build.TorchBuild(**build))
    return build


def test_what_doctor_says_of_a_machine_with_a_gpu(with_gpu, monkeypatch, golden):
    monkeypatch.setattr(readings, "available_memory_bytes", lambda: 100 * 2**30)
    found = [*doctor_machine.machine_findings(), *doctor_machine.training_findings()]
    text = "".join(f"{finding.group} {finding.state} {finding.check}: {finding.detail}\n" for finding in found)
    golden("doctor_gpu.txt", text)


@pytest.mark.parametrize(("vendor", "told"), [("GenuineIntel", "by torch: its own choice"), ("AuthenticAMD", "by onednn: it multiplies")])
def test_what_multiplies_the_linear_layers_of_a_processor_is_told(capsys, tmp_path, monkeypatch, vendor, told):
    machine = hardware.Machine("Some CPU", 2, 2**34, frozenset({"avx512f"}), (), vendor=vendor)
    monkeypatch.setattr(doctor_machine, "probe", lambda: machine)
    assert told in checks(capsys, tmp_path)["linear layers"]["detail"]


def test_a_driver_without_its_library_gives_no_readings_and_no_zero(with_gpu, capsys, tmp_path, monkeypatch):
    def refuse():
        raise OSError("NVML: NVML Shared Library Not Found")

    monkeypatch.setattr(doctor_machine, "open_library", refuse)
    found = checks(capsys, tmp_path)
    assert (found["GPU readings"]["state"], found["gpu0"]["detail"]) == ("unavailable", "NVIDIA H200, 141 GiB, compute capability 9.0")


@pytest.mark.parametrize(("cuda", "remedy"), [(None, "install a CUDA build of torch"), ("13.0", "install a newer driver")])
def test_a_torch_that_cannot_use_the_device_is_broken(with_gpu, capsys, tmp_path, cuda, remedy):
    with_gpu.update(cuda=cuda, devices=0)
    found = checks(capsys, tmp_path, code=1)["torch build"]
    assert (found["state"], remedy in found["detail"]) == ("broken", True)


@pytest.mark.parametrize("packages", [("torch",), ("psutil", "pynvml")])
def test_doctor_survives_what_it_is_asked_about(packages, tmp_path):
    """In a process where the import fails."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({packages!r}))\n"
        "from specrun.runtime import hardware; from specrun.cli import doctor_machine\n"
        "from specrun.cli.main import run\n"
        "gpu = hardware.Gpu('NVIDIA H200', 2**37, (9, 0), 'GPU-a')\n"
        "doctor_machine.probe = lambda: hardware.Machine('cpu', 1, 2**30, frozenset(), (gpu,))\n"
        f"sys.exit(run(['doctor', '--store', {str(tmp_path)!r}, '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["checks"]}
    assert done.returncode == int(any(finding["state"] == "broken" for finding in found.values()))
    if "torch" in packages:
        assert (found["torch build"]["state"], "cannot be imported" in found["torch build"]["detail"]) == ("broken", True)
    else:
        assert (found["memory"]["detail"], found["GPU readings"]["state"]) == ("1 GiB", "unavailable")


def test_an_extra_names_what_it_lacks_and_what_brings_it(monkeypatch):
    lines = ["rich>=13", "ruff>=0.11; extra == 'dev'", "no-such-package; extra == 'dev'", 'ruff; extra == "lint"']
    monkeypatch.setattr(doctor_installation, "requires", lambda _: lines)
    found = {finding.check: finding for finding in doctor_installation.installation_findings()}
    assert (found["extra dev"].state, found["extra dev"].detail) == ("unavailable", "lacks no-such-package; pip install 'specrun[dev]'")
    assert found["extra lint"].state == "ok"
