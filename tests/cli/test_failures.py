"""With `--json`, every way a command can end prints one document: the answer, or what failed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import typer

from specrun.cli.commands import COMMANDS
from specrun.cli.main import run
from specrun.engine.locks import hold
from specrun.runtime.signals import StopNow
from specrun.spec.nearest import listed
from tests.engine.conftest import TINY, applied_store, store  # noqa: F401 - fixtures

USAGE_ERRORS = [
    ["aply"],
    ["init", "x.txt"],
    ["init", "--task", "casual_lm"],
    ["validate"],
    ["validate", "none.yaml"],
    ["validate", "spec.yaml", "--set", "name"],
    ["validate", "."],
    ["explain", "none.yaml"],
    ["explain", "spec.yaml", "schedul"],
    ["plan", "none.yaml"],
    ["plan", "spec.yaml", "-o", "-"],
    ["plan", "spec.yaml", "-o", "none/plan.json"],
    ["plan", "spec.yaml", "--nope"],
    ["apply", "none.yaml"],
    ["apply", "spec.yaml", "--preset", "best"],
    ["runs", "lst"],
    ["runs", "list", "--limit", "0"],
    ["runs", "remove"],
    ["report", "--format", "doc"],
    ["generate", "tiny"],
    ["schema", "more"],
    ["doctor", "more"],
    ["store", "doktor"],
]
INVALID_SPECS = [[command, "spec.yaml", "--set", "model.width=3"] for command in ("validate", "explain", "plan", "apply")]
NO_STORE = [
    ["runs", "show", "x"],
    ["runs", "best", "validation/loss"],
    ["sql", "select 1"],
    ["report"],
    ["generate", "x", "--prompt", "a"],
    ["store", "rebuild"],
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(TINY)
    return tmp_path


def answered(capsys, *arguments: str) -> tuple[int, dict]:
    """The exit code and the one document of a command line."""
    code = run([*arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["format_version"] == 1
    return code, document


def failed(capsys, *arguments: str) -> dict:
    """The document of a command line that fails; its own account of the exit code is true."""
    code, document = answered(capsys, *arguments)
    assert code == document["exit_code"] != 0
    error = document["error"]
    assert error["code"]
    assert error["message"]
    assert "hint" in error
    return document


@pytest.mark.parametrize("arguments", USAGE_ERRORS, ids=" ".join)
def test_a_wrong_command_line_is_a_document(folder, capsys, arguments):
    if arguments == ["validate", "."]:
        (folder / "spec.yaml").unlink()
    assert failed(capsys, *arguments)["exit_code"] == 2


@pytest.mark.parametrize("arguments", INVALID_SPECS, ids=lambda arguments: arguments[0])
def test_an_invalid_spec_is_the_document_of_validate(folder, capsys, arguments):
    code, document = answered(capsys, *arguments)
    assert (code, document["exit_code"], document["valid"], document["error_count"]) == (3, 3, False, 1)
    assert document["diagnostics"][0]["path"] == "model.width"


@pytest.mark.parametrize("arguments", NO_STORE, ids=" ".join)
def test_what_has_no_records_to_answer_from_is_a_document(folder, capsys, arguments):
    failed(capsys, *arguments, "--store", "none")


def test_a_gate_that_fails_has_its_exit_code_in_the_answer(folder, store, capsys):  # noqa: F811
    sets = ["--set", "expect=['validation/loss < 0.001']"]
    code, document = answered(capsys, "apply", "spec.yaml", "--store", str(store), *sets)
    assert code == document["exit_code"] == 4
    assert document["runs"][0]["gates"][0]["passed"] is False


def test_a_second_apply_is_a_document(folder, capsys, monkeypatch):
    from specrun.engine.prepare import Request, prepare

    prepared = prepare(Request("spec.yaml", folder / "s"))
    prepared.workspace.prepare()
    with hold(prepared.workspace.lock_file(prepared.decision("train").step), what="the test"):
        assert failed(capsys, "apply", "spec.yaml", "--store", "s")["exit_code"] == 5


def test_changes_are_in_the_answer_of_a_plan(folder, capsys):
    code, document = answered(capsys, "plan", "spec.yaml", "--store", "s", "--detailed-exitcode")
    assert code == document["exit_code"] == 6
    assert document["changes"] is True


def test_a_stale_plan_is_a_document(folder, capsys):
    assert answered(capsys, "plan", "spec.yaml", "--store", "s", "-o", "plan.json")[0] == 0
    (folder / "spec.yaml").write_text(TINY.replace("12 steps", "13 steps"))
    assert failed(capsys, "apply", "plan.json", "--store", "s")["error"]["code"] == "stale-plan"


def test_a_step_that_fails_before_there_is_a_run_is_a_document(folder, capsys):
    sets = ["--set", "data.source={kind: text, path: corpus.txt}"]
    (folder / "corpus.txt").write_bytes(b"")
    code, document = answered(capsys, "apply", "spec.yaml", "--store", "s", *sets)
    assert code == document["exit_code"] == 1


@pytest.mark.parametrize(
    ("failure", "code"),
    [(KeyboardInterrupt(), 130), (StopNow(15), 143), (typer.Abort(), 130), (RuntimeError("boom"), 1), (MemoryError(), 1)],
    ids=repr,
)
def test_an_interruption_or_a_bug_is_a_document(folder, capsys, monkeypatch, failure, code):
    def broken(request):
        raise failure

    monkeypatch.setattr("specrun.engine.prepare.prepare", broken)
    assert failed(capsys, "plan", "spec.yaml")["exit_code"] == code


def test_broken_findings_of_the_doctor_have_their_exit_code_in_the_answer(folder, capsys):
    code, document = answered(capsys, "doctor", "--store", "spec.yaml")
    assert code == document["exit_code"] == 1


def test_an_unhealthy_store_has_its_exit_code_in_the_answer(folder, store, capsys):  # noqa: F811
    next((store / "runs").glob("*/run.json")).write_text("{")
    code, document = answered(capsys, "store", "doctor", "--store", str(store))
    assert code == document["exit_code"] == 1


def test_without_json_a_failure_leaves_standard_output_empty(folder, capsys):
    assert run(["plan", "none.yaml"]) == 2
    assert capsys.readouterr().out == ""


def test_a_word_after_the_end_of_options_asks_for_no_document(folder, capsys):
    assert run(["plan", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["aply"], "did you mean apply?"),
        (["runs", "lst"], "did you mean list?"),
        (["plan", "x.yaml", "--jsn"], "did you mean --json?"),
        (["plan", "x.yaml", "--stor=x"], "did you mean --store?"),
        (["runs", "list", "--ordr", "x"], "did you mean --order?"),
        (["zzz"], f"use {listed(COMMANDS)}"),
        (["plan", "x.yaml", "--zzzzzz"], "specrun plan --help shows what it takes"),
        (["plan"], "specrun plan --help shows what it takes"),
    ],
)
def test_a_mistyped_command_or_option_names_the_nearest(arguments, hint, capsys):
    assert run(arguments) == 2
    assert capsys.readouterr().err.endswith(f"\n  {hint}\n")


def test_every_failure_has_one_document_though_an_answer_was_begun(tmp_path):
    code = (
        "import sys; from specrun.cli import commands, main\n"
        "def answer(arguments):\n    print('{}', flush=True)\n    raise KeyboardInterrupt\n"
        "commands.invoke = answer; main.main(['plan', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "{}\n", "interrupted\n")


SLOW_START = """
import importlib.abc, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "typer":
            print("importing", file=sys.__stderr__, flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
from specrun.cli.main import main
main(["plan", "spec.yaml", "--json"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_command_line_is_imported_ends_it_quietly(number, code):
    with subprocess.Popen([sys.executable, "-c", SLOW_START], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "importing\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "interrupted\n")
    assert json.loads(out)["exit_code"] == code


EVIL = "\x1b[2J\x9b\u202e.yaml"


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", EVIL], ["validate", "."], ["explain", EVIL], ["explain", EVIL, "description"], ["plan", EVIL, "--store", EVIL],
        ["plan", EVIL, "-o", EVIL + ".json"], ["runs", "list", "--store", "no" + EVIL],
        *([command, EVIL, "--set", "model.width=3"] for command in ("validate", "explain", "plan", "apply")),
        *([command, "gone" + EVIL] for command in ("validate", "explain", "plan", "apply")),
    ],
)  # fmt: skip
def test_no_name_and_no_text_of_a_spec_steers_the_terminal(folder, capsys, arguments):
    (folder / EVIL).write_text(TINY.replace("version: 1", 'version: 1\ndescription: "a\\x1b\\u202e"'))
    (folder / f"skipped{EVIL}").write_text("services: {}")
    run(arguments)
    out, err = capsys.readouterr()
    assert out or err
    assert not {"\x1b", "\x9b", "\u202e"} & {*out, *err}


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["generate", "tiny", "--temperature", "nan"], "use a number from 0 to 100"),
        (["generate", "tiny", "--top-k", "0"], "use 1 or more"),
    ],
)
def test_a_number_out_of_bounds_is_told_both_bounds(words, remedy, capsys):
    assert run(words) == 2
    assert capsys.readouterr().err.splitlines()[-1].strip() == remedy
