"""The canary: credentials stand wherever a run could pick one up, and no file or stream of any command holds one afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.errors import DataError
from specrun.events import Alert
from specrun.steps.contract import StepOutput
from tests.engine.conftest import TINY

CANARIES = {
    "environment": "hf_" + "EnvironmentCanary" * 2,
    "environment, without a mark": "7c6f5e4d3c2b1a09f8e7d6c5b4a3928170615243",
    "command line": "ghp_" + "CommandLineCanary" * 2,
    "reference": "AKIA" + "REFERENCECANARY1",
    "patch": "sk-proj-" + "PatchCanary" * 3,
    "message": "glpat-" + "MessageCanary" * 2,
}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], check=True, capture_output=True)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository with an uncommitted credential, an environment full of them, and a spec that refers to one."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "settings.py").write_text("token = None\n")
    (folder / "tiny.yaml").write_text(TINY.replace("report: {", "report: {title: 'env:CANARY_KEY_ID', "))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "settings.py").write_text(f"token = '{CANARIES['patch']}'\nother = '{CANARIES['environment, without a mark']}'\n")
    monkeypatch.setenv("HF_TOKEN", CANARIES["environment"])
    monkeypatch.setenv("WANDB_API_KEY", CANARIES["environment, without a mark"])
    monkeypatch.setenv("CANARY_KEY_ID", CANARIES["reference"])
    monkeypatch.chdir(folder)
    return folder


def found_in(folder: Path) -> list[str]:
    """Where a canary is: `which canary: file`."""
    return [
        f"{name}: {path.relative_to(folder)}"
        for path in sorted(folder.rglob("*"))
        for name, canary in CANARIES.items()
        if canary in str(path.relative_to(folder)) or (path.is_file() and canary.encode() in path.read_bytes())
    ]


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    text = "".join(capfd.readouterr())
    return [name for name, canary in CANARIES.items() if canary in text]


@pytest.mark.slow
def test_no_output_of_a_run_and_of_what_asks_for_it_holds_a_credential(place, tmp_path, capfd):
    root = tmp_path / f"of-{CANARIES['command line']}"
    root.mkdir()
    assert run(["apply", "tiny.yaml", "--store", "store", "--data-root", str(root)]) == 0
    run_id = next((place / "store" / "runs").iterdir()).name
    for command in (
        ["runs", "show", run_id, "--json"],
        ["runs", "show", run_id],
        ["runs", "list", "--json"],
        ["report", run_id, "-o", "again", "--format", "md,html"],
        ["sql", "select * from runs", "--json"],
        ["store", "rebuild"],
        ["plan", "tiny.yaml", "-o", "plan.json", "--json"],
        ["explain", "tiny.yaml", "--json"],
        ["doctor", "--json"],
    ):
        store = [] if command[0] in ("explain", "doctor") else ["--store", "store"]
        assert run([*command, *store]) == 0, command
    assert "*" * 10 in (place / "store" / "runs" / run_id / "run.json").read_text()
    assert said(capfd) == []
    assert [line for line in found_in(place) if not line.endswith(": settings.py")] == []


@pytest.mark.parametrize("code", ["no-text", None], ids=["expected", "unexpected"])
def test_what_ends_a_run_is_recorded_and_said_without_the_credential_in_its_words(place, monkeypatch, capfd, code):
    words = f"https://user:{CANARIES['message']}@host refused {CANARIES['environment, without a mark']}"

    def fail(context, spec, inputs) -> StepOutput:
        context.emit(Alert("warning", "w", words))
        raise DataError(words, code=code, hint=words) if code else RuntimeError(words)

    monkeypatch.setattr("specrun.steps.data.run.run", fail)
    assert run(["apply", "tiny.yaml", "--store", "store", "--json"]) == 1
    assert run(["runs", "list", "--store", "store", "--json"]) == 0
    assert said(capfd) == []
    assert found_in(place / "store") == []


@pytest.mark.parametrize(
    "words",
    [
        ["apply", "tiny.yaml", "--set", f"name={CANARIES['command line']}"],
        ["apply", "tiny.yaml", f"--token={CANARIES['command line']}"],
        ["apply", "tiny.yaml", "--set", CANARIES["command line"]],
        ["apply", f"{CANARIES['command line']}.yaml"],
        [CANARIES["command line"]],
        ["explain", "tiny.yaml", CANARIES["environment, without a mark"], "--json"],
    ],
)
@pytest.mark.usefixtures("place")
def test_a_refused_command_line_is_not_repeated_with_its_credential(words, capfd):
    assert run(words) in (2, 3)
    assert said(capfd) == []


def test_the_canaries_are_found_where_nothing_is_masked(place, monkeypatch, capfd):
    def fail(context, spec, inputs) -> StepOutput:
        raise DataError(CANARIES["message"])

    monkeypatch.setattr("specrun.steps.data.run.run", fail)
    monkeypatch.setattr("specrun.engine.secrecy.Mask.text", lambda mask, given: given)
    assert run(["apply", "tiny.yaml", "--store", "store"]) == 1
    assert {line.partition(":")[0] for line in found_in(place / "store")} == {"patch", "message", "environment, without a mark"}
    assert said(capfd) == ["message"]
