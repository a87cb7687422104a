"""`doctor` looks and changes nothing."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.runtime import hardware
from tests.conftest import ROOT
from tests.engine.conftest import applied_store, store  # noqa: F401 - fixtures


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
    (store / "runs" / "leftover").mkdir()
    (store / "runs" / "note.txt").write_text("x")
    before = sorted(store.rglob("*"))
    assert ", 1 run, " in checks(capsys, store)["store"]["detail"]
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
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine("cpu", 1, 2**30, frozenset(), ()))
    assert "nvidia-smi" in checks(capsys, tmp_path)["CUDA device"]["detail"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES=''" in checks(capsys, tmp_path)["CUDA device"]["detail"]


def test_doctor_looks_at_every_package_that_specrun_needs(tmp_path, capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    assert needed <= checks(capsys, tmp_path / "s").keys()
