"""`plan` and `apply` on the command line: what is printed where, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.engine.outcome import Outcome, Run
from specrun.errors import DataError, InterruptedRun
from tests.engine.conftest import TINY, applied_store, store  # noqa: F401 - fixtures


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


def test_apply_says_metrics_and_where_the_report_is(spec, store, capsys):  # noqa: F811
    assert run(["apply", spec, "--store", str(store)]) == 0
    out, err = capsys.readouterr()
    assert "is finished already, nothing was run: test/loss" in out
    assert "report: " in out
    assert err == ""


def test_apply_shows_plan_and_progress_on_standard_error_and_the_outcome_on_standard_output(spec, tmp_path, capsys):
    assert run(["apply", spec, "--store", str(tmp_path / "s")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tiny-")
    assert "completed in" in out
    assert "(predicted ~" in out
    assert "train  step 12/12  100 %" in err
    assert "sample: " in err
    assert "no earlier result" in err


def test_apply_json_is_one_document(spec, store, capsys):  # noqa: F811
    assert run(["apply", spec, "--store", str(store), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 0
    assert [step["action"] for step in document["steps"]] == ["cached"] * 6


def test_a_failed_gate_is_printed_with_figure_and_bound(spec, store, capsys):  # noqa: F811
    assert run(["apply", spec, "--store", str(store), "--set", "expect=['validation/loss < 0.001']"]) == 4
    out = capsys.readouterr().out
    assert "gate failed: validation/loss is " in out
    assert "expected validation/loss < 0.001" in out


def test_plan_prints_actions_and_changes_nothing(spec, store, capsys):  # noqa: F811
    def files():
        return sorted(path for path in store.rglob("*") if path.name != "fingerprints.json")

    before = files()
    assert run(["plan", spec, "--store", str(store), "--set", "schedule.optimizer.learning_rate=2e-2"]) == 0
    out = capsys.readouterr().out
    assert "schedule.optimizer.learning_rate 0.01 -> 0.02 (--set" in out
    assert "3 steps to run (train, evaluate, report)" in out
    assert files() == before


def test_plan_json_has_every_step(spec, store, capsys):  # noqa: F811
    assert run(["plan", spec, "--store", str(store), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [step["id"] for step in document["steps"]] == ["data", "tokenizer", "tokens", "train", "evaluate", "report"]
    assert document["model"]["parameters"] > 0
    assert document["training"]["optimizer_steps"] == 12


@pytest.mark.parametrize(("more", "code"), [([], 0), (["--set", "schedule.batch_size=2"], 6)])
def test_the_detailed_exit_code_tells_whether_anything_would_run(spec, store, more, code):  # noqa: F811
    assert run(["plan", spec, "--store", str(store), "--detailed-exitcode", *more]) == code


def test_a_saved_plan_is_applied_and_refused_once_it_is_stale(spec, store, tmp_path, capsys, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    plan = str(tmp_path / "plan.json")
    assert run(["plan", spec, "--store", str(store), "--set", "report.title=Saved", "-o", plan]) == 0
    assert f"specrun apply {plan}" in capsys.readouterr().out
    assert run(["apply", plan, "--store", str(store)]) == 0
    with open(spec, "a") as file:
        file.write("seeds: [5]\n")
    assert run(["apply", plan, "--store", str(store)]) == 7
    assert "stale-plan" in capsys.readouterr().err
    assert run(["apply", plan, "--store", str(store), "--smoke"]) == 2


def test_a_saved_plan_keeps_its_own_data_root_whatever_the_environment_says(spec, store, tmp_path, capsys, monkeypatch):  # noqa: F811
    plan = str(tmp_path / "plan.json")
    assert run(["plan", spec, "--store", str(store), "-o", plan]) == 0
    monkeypatch.setenv("SPECRUN_DATA_ROOT", str(tmp_path))
    assert run(["apply", plan, "--store", str(store)]) == 0
    capsys.readouterr()
    assert run(["apply", plan, "--store", str(store), "--data-root", str(tmp_path)]) == 2
    assert "options-with-plan-file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["plan"], ["plan", "--json"], ["apply"]])
def test_a_step_that_will_not_fit_is_warned_of_on_standard_error(command, spec, tmp_path, capsys):
    small = ["--set", "hardware.memory=340300 kB", "--set", "schedule.micro_batch_size=4", "--store", str(tmp_path / "s")]
    run([*command, spec, *small])
    out, err = capsys.readouterr()
    assert re.search(r"memory-exceeds-device: training is expected to need 325 MiB of the 325 MiB that hardware.memory allows; "
                     r"the largest part of it, 324 MiB, is Python and torch\n.*\n.*set hardware.memory: 330 MiB", err)  # fmt: skip
    assert "warning:" not in out


@pytest.mark.slow
def test_a_spec_whose_name_is_no_text_is_planned_and_applied(tmp_path, capsys):
    path = tmp_path / "caf\udce9.yaml"
    path.write_text(TINY)
    assert run(["apply", str(path), "--store", str(tmp_path / "s"), "--json"]) == 0
    (document,) = (tmp_path / "s" / "runs").glob("*/run.json")
    assert json.loads(document.read_text(encoding="utf-8"))["spec_file"].endswith("caf\\xe9.yaml")


def test_a_place_with_spaces_can_be_pasted_from_what_plan_says(spec, store, tmp_path, capsys):  # noqa: F811
    plan = tmp_path / "my plan.json"
    assert run(["plan", spec, "--store", str(store), "-o", str(plan)]) == 0
    assert f"specrun apply '{plan}'\n" in capsys.readouterr().out


@pytest.mark.slow
def test_only_plan_says_that_nothing_was_run(spec, tmp_path, capsys):
    arguments = [spec, "--store", str(tmp_path / "s")]
    assert run(["plan", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("Nothing was run.")
    assert run(["apply", *arguments]) == 0
    out, err = capsys.readouterr()
    assert "Nothing was run." not in out + err
    assert "  train      run" in err


def test_a_plan_is_saved_over_an_older_plan_and_over_no_other_file(spec, store, tmp_path, capsys):  # noqa: F811
    plan, empty = tmp_path / "plan.json", tmp_path / "empty"
    empty.touch()
    for path in (plan, plan, empty):
        assert run(["plan", spec, "--store", str(store), "-o", str(path)]) == 0
    capsys.readouterr()
    assert run(["plan", spec, "--store", str(store), "-o", spec]) == 2
    assert f"would-overwrite: {spec} is not a saved plan" in capsys.readouterr().err
    assert Path(spec).read_text() == TINY


def test_a_folder_that_cannot_be_written_takes_no_plan_and_another_one_is_named(spec, store, tmp_path, capsys, monkeypatch):  # noqa: F811
    # Not by the folder's mode: root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.chdir(tmp_path)
    assert run(["plan", spec, "--store", str(store), "-o", "p.json"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("unwritable-folder: ")
    assert f"such as -o {tempfile.gettempdir()}" in err


@pytest.mark.parametrize(
    ("place", "code"), [("no/such/plan.json", "missing-folder"), ("", "would-overwrite"), ("file/plan", "missing-folder")]
)
def test_a_place_where_no_plan_can_be_saved_is_a_wrong_command_line(spec, store, tmp_path, capsys, place, code):  # noqa: F811
    (tmp_path / "file").write_text("x")
    assert run(["plan", spec, "--store", str(store), "-o", str(tmp_path / place)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"{code}: ")
    assert out == ""


def test_an_invalid_spec_exits_3_with_the_place(spec, capsys):
    with open(spec, "a") as file:
        file.write("modell: {}\n")
    assert run(["apply", spec]) == 3
    err = capsys.readouterr().err
    assert f"{spec}:20:1 unknown-key" in err
    assert "Traceback" not in err


def test_a_spec_that_does_not_exist_exits_2(tmp_path, capsys):
    assert run(["plan", str(tmp_path / "nothing.yaml")]) == 2
    assert "nothing.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["aply"], ["apply"], ["plan", "x.yaml", "--nope"], ["apply", "--store"]])
def test_a_wrong_command_line_exits_2(arguments, capsys):
    assert run(arguments) == 2
    assert capsys.readouterr().err


def test_what_failed_several_runs_is_told_once(spec, tmp_path, monkeypatch, capsys):
    error = DataError("empty.txt is empty", code="empty-corpus")
    runs = tuple(Run(f"tiny-{seed}", "tiny", seed, "failed", tmp_path, {}, {}, (), None, False, 2.0, None, error) for seed in (0, 1))
    monkeypatch.setattr("specrun.engine.execute.execute", lambda prepared, *, show: Outcome(runs, ()))
    assert run(["apply", spec, "--store", str(tmp_path / "s")]) == 1
    assert capsys.readouterr().err.endswith("\ntiny-0, tiny-1: empty-corpus: empty.txt is empty\n")


def test_a_spec_on_standard_input_is_planned(store, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TINY.encode())))
    assert run(["plan", "-", "--store", str(store)]) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_an_unexpected_failure_is_said_to_be_a_bug_without_a_traceback(monkeypatch, spec, capsys):
    def broken(request):
        raise RuntimeError("boom")

    monkeypatch.setattr("specrun.engine.prepare.prepare", broken)
    assert run(["plan", spec]) == 1
    err = capsys.readouterr().err
    assert "internal-error: RuntimeError: boom" in err
    assert "Traceback" not in err


def test_closed_standard_output_is_no_failure(spec, store):  # noqa: F811
    command = f"{sys.executable} -m specrun plan {spec} --store {store} | head -c 0; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_every_command_has_a_module_and_help(capsys):
    from specrun.cli.commands import COMMANDS

    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"Usage: specrun {name} ")
        assert "[[" not in said
        assert not re.search(r"<(str|path)>\s", said.partition("Options:")[2])
        assert run([name, "-h"]) == 0
        assert capsys.readouterr().out == said


def test_the_help_has_every_exit_code(capsys):
    from specrun import errors

    assert run(["--help"]) == 0
    said = " ".join(capsys.readouterr().out.split()).partition("Exit codes:")[2]
    codes = {cls.exit_code for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.SpecrunError)}
    for code in codes - {errors.ExportError.exit_code} | {errors.EXIT_OK, errors.EXIT_CHANGES, 130, 143}:
        assert re.search(rf"[ ,]{code}[ ,]", said), code


@pytest.mark.parametrize(
    ("status", "out", "err"),
    [
        ("completed", "tiny-0 completed in 2.0 s\n  its report was interrupted; apply again", "the report of tiny-0: interrupted: stopped"),
        ("interrupted", "tiny-0 interrupted in 2.0 s\n", "tiny-0: interrupted: stopped"),
    ],
)
def test_a_run_that_ended_well_is_not_called_interrupted_for_its_report(spec, monkeypatch, capsys, status, out, err):
    error = InterruptedRun("stopped", signal_number=2)
    stopped = Outcome((Run("tiny-0", "tiny", 0, status, Path("f"), {}, {}, (), None, False, 2.0, None, error),), ())
    monkeypatch.setattr("specrun.engine.execute.execute", lambda prepared, *, show: stopped)
    assert run(["apply", spec]) == 130
    said = capsys.readouterr()
    assert said.out.startswith(out)
    assert f"\n{err}" in said.err
    assert "completed" not in said.err


TWO_MACHINES = ["--set", "hardware.engine=torchrun", "--set", "hardware.nodes=2"]


def test_a_machine_among_several_that_does_not_know_its_place_is_told_by_plan_and_refused_by_apply_before_anything(
    spec, tmp_path, capsys, monkeypatch
):
    for name in ("SPECRUN_RDZV_ENDPOINT", "MASTER_ADDR", "SPECRUN_NODE_RANK", "NODE_RANK", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    words = [spec, "--store", str(tmp_path / "s"), *TWO_MACHINES]
    assert run(["plan", *words]) == 0
    assert "warning: node-not-named: hardware.nodes is 2, but the environment does not say" in capsys.readouterr().err
    assert run(["apply", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("node-not-named"), "no earlier result" in err) == ("", 1, False)
    assert not (tmp_path / "s").exists()


def test_a_machine_that_lends_its_devices_does_not_show_the_plan_of_the_first(spec, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("specrun.engine.execute.help_first_node", lambda *_, **__: Outcome((), ()))
    monkeypatch.setattr("specrun.engine.execute._execute", lambda *_: Outcome((), ()))
    monkeypatch.setenv("SPECRUN_RDZV_ENDPOINT", "first:29500")
    for rank, shown in (("1", False), ("0", True)):
        monkeypatch.setenv("SPECRUN_NODE_RANK", rank)
        assert run(["apply", spec, "--store", str(tmp_path / "s"), *TWO_MACHINES]) == 0
        assert ("no earlier result" in capsys.readouterr().err) is shown
