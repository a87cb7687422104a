"""`specrun runs`, as a person and as a script meet it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.cli.main import run as specrun
from specrun.cli.tables import table, trimmed
from specrun.engine.workspace import Workspace
from specrun.events import Alert, Artifact, Status, StepRecord
from specrun.plan.step import Step, StepResult
from specrun.records.check import check
from specrun.records.journal import Journal
from specrun.records.run_files import mark_active, read_final, unmark_active, write_final, write_run
from specrun.spec.visible import cells
from tests.golden_files import Compare

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command line against the test's store: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = specrun([*arguments, "--store", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def make_run(store: Path, run_id: str, *, loss: float, alive: bool = False, status: str = "completed", **description: Any) -> None:
    folder = store / "runs" / run_id
    folder.mkdir(parents=True)
    document = {
        "format_version": 1,
        "run_id": run_id,
        "name": "gpt",
        "task": "causal_lm",
        "seed": 0,
        "started_at": "2026-01-02T03:04:05Z",
        "spec": {"model": {"kind": "gpt"}},
        "plan": [{"id": "train", "kind": "train", "key": "9e12ab", "action": "run", "reason": "new", "predicted": {"seconds": 660}}],
        "hardware": {"kind": "cpu", "name": "2 cores", "precision": "float32"},
        "git": {"commit": "0123456789abcdef", "dirty": True},
        "command": "specrun apply specs/gpt.yaml",
        "comparable": True,
        **description,
    }
    write_run(folder, document)
    mark_active(store, run_id)
    with Journal.open(folder, run_id=run_id, attempt=1, clock=lambda: 1767323045.0) as journal:
        journal.emit(Status("running"))
        from specrun.events import Metrics

        journal.emit(Metrics(1, {"train/loss": loss + 1, "validation/loss": loss + 1}))
        journal.emit(Metrics(2, {"train/loss": loss, "validation/loss": loss}))
        journal.emit(Alert("warning", "slow-disk", "the disk is slow", step=2))
        journal.emit(Artifact("weights", f"runs/{run_id}/model.safetensors", "ab" * 32, 1234567, "train"))
        journal.emit(StepRecord("train", "train", "9e12ab", "run", "new", {"seconds": 660}, {"seconds": 652}))
    if not alive:
        gates = [{"expression": "test/perplexity < 60", "passed": True, "value": 58.3}]
        final = {"status": status, "reason": "", "finished_at": "2026-01-02T03:15:00Z", "duration_s": 652.0, "gates": gates}
        write_final(folder, {**final, "metrics": {"test/loss": loss, "test/perplexity": 58.3}})
        unmark_active(store, run_id)


def test_no_store_is_no_runs_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert specrun(["runs", "list", "--store", str(tmp_path / "absent")]) == 0
    assert capsys.readouterr().out == f"no runs yet in {tmp_path / 'absent'}\n"
    assert not (tmp_path / "absent").exists()
    assert specrun(["runs", "list", "--json", "--store", str(tmp_path / "absent")]) == 0
    assert json.loads(capsys.readouterr().out) == {"format_version": 1, "runs": [], "over_folds": [], "truncated": False}


def test_the_list_is_aligned_plain_text(tmp_path: Path, call: Call, golden: Compare) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["baseline", "a"])
    make_run(tmp_path, "gpt-longer-name-0002", loss=1.25, started_at="2026-01-03T00:00:00Z")
    code, out, err = call("runs", "list")
    assert (code, err) == (0, "")
    golden("runs_list.txt", out)


def test_the_json_of_the_list_is_what_other_tools_rely_on(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=float("nan"))
    document = json.loads(call("runs", "list", "--json")[1], parse_constant=pytest.fail)
    [run] = document["runs"]
    assert {"run_id", "name", "status", "started_at", "duration_s", "task", "metrics"} <= run.keys()
    assert run["metrics"]["train/loss"] is None
    assert [["runs", 0, "metrics", "train/loss"], "nan"] in document["non_finite"]


def test_a_longer_list_says_that_it_was_cut(tmp_path: Path, call: Call) -> None:
    for number in range(3):
        make_run(tmp_path, f"gpt-{number}", loss=1.0)
    code, out, err = call("runs", "list", "--limit", "2")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert err == "the first 2 runs; --limit shows more\n"
    assert json.loads(call("runs", "list", "--limit", "2", "--json")[1])["truncated"]


def test_filters_and_smoke_runs(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "real", loss=1.0)
    make_run(tmp_path, "smoke", loss=1.0, smoke=True)
    assert "smoke" not in call("runs", "list")[1]
    assert "real" not in call("runs", "list", "--smoke")[1]
    assert call("runs", "list", "--status", "failed")[1] == f"no such runs in {tmp_path}\n"


def test_show_says_everything_important_of_a_run(tmp_path: Path, call: Call, golden: Compare) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["baseline"])
    code, out, _ = call("runs", "show", "gpt-0")
    assert code == 0
    golden("runs_show.txt", out.replace(str(tmp_path), "STORE"))
    document = json.loads(call("runs", "show", "gpt-0", "--json")[1])
    assert document["params"] == {"model.kind": "gpt"}
    assert document["final"]["gates"][0]["passed"]


def test_show_tells_of_each_attempt_where_there_were_several_and_a_thing_said_twice_once(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    out = call("runs", "show", "gpt-0001")[1]
    assert "ATTEMPT" not in out
    mark_active(tmp_path, "gpt-0001")
    with Journal.open(tmp_path / "runs" / "gpt-0001", run_id="gpt-0001", attempt=2, clock=lambda: 1767326645.0) as journal:
        journal.emit(Status("running", "resumed", resumed_from=1))
        journal.emit(Alert("warning", "slow-disk", "the disk is slow", step=2))
        journal.emit(Status("completed"))
    out = call("runs", "show", "gpt-0001")[1]
    assert (
        "ATTEMPT  STARTED                   FROM STEP  TIME  STATUS     REASON\n"
        "1        2026-01-02T03:04:05.000Z             0 s   crashed    its process ended without saying so\n"
        "2        2026-01-02T04:04:05.000Z          1  0 s   completed\n"
    ) in out
    assert out.count("the disk is slow") == 1
    attempts = json.loads(call("runs", "show", "gpt-0001", "--json")[1])["attempts_made"]
    assert [(one["attempt"], one["status"], one["resumed_from"]) for one in attempts] == [(1, "crashed", None), (2, "completed", 1)]


@pytest.mark.parametrize("name", ["run.json", "final.json"])
def test_a_damaged_document_is_said_and_the_rest_of_the_run_is_shown(tmp_path: Path, call: Call, name: str) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    path = tmp_path / "runs" / "gpt-0001" / name
    path.write_bytes(path.read_bytes().replace(b"2026", b"2027"))
    code, out, err = call("runs", "show", "gpt-0001")
    assert code == 0
    assert "train/loss" in out
    assert f"warning: damaged-record: {path} is damaged: its checksum does not hold\n" in err
    assert call("store", "doctor")[0] == 1
    assert call("runs", "list")[0] == call("runs", "best", "train/loss")[0] == call("sql", "FROM runs")[0] == 0


def test_an_unknown_run_names_the_nearest_and_exits_2(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    code, out, err = call("runs", "show", "gtp-0001")
    assert (code, out) == (2, "")
    assert err.startswith("unknown-run: no run 'gtp-0001'")
    assert "nearest: gpt-0001" in err


def test_a_name_means_its_newest_run_and_says_which(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    assert call("runs", "show", "gpt")[2] == ""
    make_run(tmp_path, "gpt-0002", loss=1.5, started_at="2026-01-04T00:00:00Z")
    make_run(tmp_path, "gpt-0003", loss=1.5, started_at="2026-01-03T00:00:00Z")
    code, out, err = call("runs", "show", "gpt")
    assert (code, out.split()[0]) == (0, "gpt-0002")
    assert err == "gpt is the name of 3 runs; this is the newest, gpt-0002\n"
    assert call("runs", "tag", "gpt", "a")[1] == "gpt-0002: a\n"
    assert call("runs", "show", "gpt-000")[0] == 2


def test_an_id_is_itself_even_where_it_is_a_name_too(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt", loss=1.5, name="other")
    make_run(tmp_path, "gpt-0002", loss=1.5, started_at="2026-01-04T00:00:00Z")
    code, out, err = call("runs", "show", "gpt")
    assert (code, out.split()[0], err) == (0, "gpt", "")


def test_a_name_of_several_runs_removes_none_and_lists_them(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    make_run(tmp_path, "gpt-0002", loss=1.5, started_at="2026-01-04T00:00:00Z")
    code, out, err = call("runs", "remove", "gpt", "--yes")
    assert (code, out) == (2, "")
    assert err.startswith("ambiguous-run: gpt is the name of 2 runs: gpt-0002, gpt-0001\n")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["gpt-0001", "gpt-0002"]
    assert call("runs", "remove", "gpt-0002", "--yes")[0] == 0
    assert call("runs", "remove", "gpt", "--yes")[:2] == (0, "removed gpt-0001\n")


def test_the_nearest_of_an_unknown_run_may_be_a_name(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "3f-0001", loss=1.5, name="shakespeare")
    assert "nearest: shakespeare" in call("runs", "show", "shakespere")[2]


def test_smoke_runs_are_listed_from_their_own_stores(tmp_path: Path, call: Call) -> None:
    smoke = tmp_path / "smoke" / "100-1"
    make_run(smoke, "gpt-0001", loss=1.0, smoke=True)
    assert call("runs", "list")[1] == f"no runs yet in {tmp_path}; --smoke lists its smoke runs\n"
    assert call("runs", "list", "--smoke")[1].splitlines()[1].split()[0] == "gpt-0001"
    [run] = json.loads(call("runs", "list", "--smoke", "--json")[1])["runs"]
    assert (run["run_id"], run["store"]) == ("gpt-0001", str(smoke))
    code, _, err = call("runs", "show", "gpt")
    assert code == 2
    assert f"--store {smoke}" in err


def test_the_smoke_runs_of_several_stores_are_ordered_and_cut_as_one_list(tmp_path: Path, call: Call) -> None:
    for place, name, day in (("100-1", "b", 3), ("100-1", "d", 5), ("200-1", "a", 4), ("200-1", "c", 6)):
        make_run(tmp_path / "smoke" / place, f"{name}-1", loss=1.0, smoke=True, name=name, started_at=f"2026-01-0{day}T00:00:00Z")

    def listed(*arguments: str) -> list[str]:
        return [line.split()[0] for line in call("runs", "list", "--smoke", *arguments)[1].splitlines()[1:]]

    assert listed() == ["c-1", "d-1", "a-1", "b-1"]
    assert listed("--order", "name") == ["a-1", "b-1", "c-1", "d-1"]
    assert listed("--order", "name", "--limit", "2") == ["a-1", "b-1"]


def test_a_metric_that_one_of_several_stores_has_can_be_asked_for(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path / "smoke" / "100-1", "a-1", loss=1.0, smoke=True)
    with_more = tmp_path / "smoke" / "200-1"
    make_run(with_more, "b-1", loss=1.0, smoke=True)
    document = read_final(with_more / "runs" / "b-1") or {}
    write_final(with_more / "runs" / "b-1", {**document, "metrics": {"test/bits_per_byte": 1.5}})
    code, out, _ = call("runs", "list", "--smoke", "--metric", "test/bits_per_byte")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"a-1", "b-1"}
    assert call("runs", "list", "--smoke", "--metric", "test/unknown")[0] == 2


def test_a_status_that_no_run_can_have_is_an_error_with_the_nearest(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    for command in (("list",), ("best", "validation/loss")):
        code, _, err = call("runs", *command, "--status", "complete")
        assert code == 2
        assert "did you mean completed?" in err


def test_a_metric_can_be_asked_for_in_a_list(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    header, row = call("runs", "list", "--metric", "train/loss")[1].splitlines()
    assert (header.split()[-1], row.split()[-1]) == ("train/loss", "1.500")
    assert call("runs", "list", "--metric", "train/los")[0] == 2


def test_a_ranking_holds_only_the_runs_asked_for(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "a-0001", loss=1.0, name="a", tags=["x"])
    make_run(tmp_path, "b-0002", loss=2.0, name="b", task="forecasting", status="failed")
    for option, value, wanted in (
        ("--name", "b", "b-0002"), ("--tag", "x", "a-0001"), ("--task", "forecasting", "b-0002"), ("--status", "failed", "b-0002"),
    ):  # fmt: skip
        document = json.loads(call("runs", "best", "validation/loss", option, value, "--goal", "minimize", "--json")[1])
        assert [run["run_id"] for run in document["runs"]] == [wanted]
    assert call("runs", "best", "validation/loss", "--tag", "none")[:2] == (0, f"no such runs in {tmp_path}\n")
    assert call("runs", "best", "validation/los", "--tag", "none")[0] == 2


@pytest.mark.parametrize(
    ("metric", "filters", "goal"),
    [
        ("validation/loss", ("--task", "causal_lm"), "minimize"),
        ("validation/loss", (), None),
        ("validation/loss", ("--name", "b"), None),
        ("train/loss", (), "minimize"),
        ("test/perplexity", ("--task", "causal_lm"), "minimize"),
    ],
)
def test_a_ranking_goes_the_way_that_the_runs_tasks_declare_or_asks(
    tmp_path: Path, call: Call, metric: str, filters: tuple[str, ...], goal: str | None
) -> None:
    make_run(tmp_path, "a-0001", loss=1.0)
    make_run(tmp_path, "b-0002", loss=2.0, name="b", task="no_such_task")
    code, out, err = call("runs", "best", metric, *filters, "--json")
    if goal is None:
        assert code == 2
        assert "goal-not-known" in err
        assert "no_such_task" in err
        assert "--goal maximize" in err
    else:
        assert json.loads(out)["goal"] == goal
    assert json.loads(call("runs", "best", metric, *filters, "--goal", "maximize", "--json")[1])["goal"] == "maximize"


def plan(**keys: str) -> list[dict[str, Any]]:
    return [{"id": kind, "kind": kind, "key": key, "action": "run", "reason": "new", "predicted": {}} for kind, key in keys.items()]


def test_perplexity_of_several_tokenizers_is_not_ranked_in_silence(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "a-0001", loss=1.0, plan=plan(data="d", tokenizer="t1"))
    make_run(tmp_path, "b-0002", loss=2.0, plan=plan(data="d", tokenizer="t1"))
    assert call("runs", "best", "validation/loss")[2] == ""
    make_run(tmp_path, "c-0003", loss=3.0, plan=plan(data="d", tokenizer="t2"))
    err = call("runs", "best", "validation/loss")[2]
    assert err.startswith("warning: different-tokenizers: these runs have 2 different tokenizers")
    assert "validation/bits_per_byte" in err
    document = json.loads(call("runs", "best", "validation/loss", "--json")[1])
    assert [warning["code"] for warning in document["warnings"]] == ["different-tokenizers"]
    assert call("runs", "best", "validation/loss", "--limit", "2")[2] == ""


def test_runs_of_a_fallback_source_are_marked(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "a-0001", loss=1.0, comparable=False)
    assert "completed, not comparable" in call("runs", "best", "validation/loss")[1]
    assert "completed, not comparable" in call("runs", "list")[1]


def test_seeds_of_one_experiment_have_a_mean_and_a_deviation(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "a-0001", loss=1.0, seed=1, experiment="e")
    assert "seeds of this" not in call("runs", "show", "a-0001")[1]
    assert "OVER SEEDS" not in call("runs", "best", "validation/loss")[1]
    make_run(tmp_path, "a-0002", loss=2.0, seed=2, experiment="e")
    make_run(tmp_path, "a-0003", loss=9.0, seed=3, experiment="e", status="failed")
    make_run(tmp_path, "b-0004", loss=9.0, seed=2, experiment="other")
    document = json.loads(call("runs", "show", "a-0001", "--json")[1])
    assert document["seeds"] == [{"run_id": "a-0001", "seed": 1, "fold": None}, {"run_id": "a-0002", "seed": 2, "fold": None}]
    assert document["over_seeds"]["test/loss"] == {"mean": 1.5, "standard_deviation": pytest.approx(0.5**0.5), "n": 2, "folds": 0}
    assert "2 seeds of this: a-0001 (1), a-0002 (2)" in call("runs", "show", "a-0001")[1]
    best = json.loads(call("runs", "best", "validation/loss", "--json")[1])["runs"]
    assert [(run["run_id"], run["over_seeds"] and run["over_seeds"]["n"]) for run in best] == [
        ("a-0001", 2), ("a-0002", 2), ("a-0003", 2), ("b-0004", 1),
    ]  # fmt: skip
    assert "1.500 ± 0.71 (2 seeds)" in call("runs", "best", "validation/loss")[1]


def test_folds_of_one_experiment_have_a_mean_and_those_that_lack_are_said(tmp_path: Path, call: Call) -> None:
    for fold, loss in ((2, 2.0), (1, 1.0)):
        make_run(tmp_path, f"cv-000{fold}", loss=loss, fold=fold, folds=3, experiment="e", plan=plan(data=f"d{fold}", tokenizer="t"))
    said = "2 folds, mean ± standard deviation (1 not finished): test/loss 1.500 ± 0.71"
    assert call("runs", "list")[1].splitlines()[-1].startswith(f"gpt: {said}")
    [told] = json.loads(call("runs", "list", "--json")[1])["over_folds"]
    assert (told["folds"], told["runs"]) == (3, ["cv-0001", "cv-0002"])
    assert told["metrics"]["test/loss"] == {"mean": 1.5, "standard_deviation": pytest.approx(0.5**0.5), "n": 2, "folds": 2}
    shown = call("runs", "show", "cv-0002")[1]
    assert "seed 0, fold 2 of 3" in shown
    assert "2 folds of this: cv-0001 (1), cv-0002 (2)" in shown
    _, out, err = call("runs", "best", "validation/loss")
    assert "OVER FOLDS" in out
    assert "1.500 ± 0.71 (2 folds)" in out
    assert err.startswith("warning: different-folds: these runs are of 2 folds")
    make_run(tmp_path, "other", loss=3.0, fold=2, folds=2, plan=plan(data="d3", tokenizer="t"))
    assert call("runs", "best", "validation/loss")[2].startswith("warning: different-data"), "fold 2 of another division"


def test_the_best_runs_are_in_order(tmp_path: Path, call: Call) -> None:
    for number, loss in enumerate((1.5, 1.25, 2.0)):
        make_run(tmp_path, f"gpt-{number}", loss=loss)
    _, out, _ = call("runs", "best", "validation/loss", "--limit", "2")
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["gpt-1", "gpt-0"]
    document = json.loads(call("runs", "best", "validation/loss", "--goal", "maximize", "--json")[1])
    assert [(run["run_id"], run["value"]) for run in document["runs"]] == [("gpt-2", 3.0), ("gpt-0", 2.5), ("gpt-1", 2.25)]
    assert call("runs", "best", "validation/los")[0] == 2


def test_a_figure_of_training_is_told_from_the_one_a_run_ended_with(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "a-0001", loss=1.5)
    make_run(tmp_path, "b-0002", loss=1.25, alive=True)
    assert "FIGURE" not in call("runs", "best", "test/loss")[1]
    assert [line.count("best in training ") for line in call("runs", "best", "validation/loss")[1].splitlines()] == [0, 1, 1]
    document = json.loads(call("runs", "best", "validation/loss", "--json")[1])
    assert [(run["value"], run["in_training"], run["batches"]) for run in document["runs"]] == [(1.25, True, None), (1.5, True, None)]


def test_tags_are_added_and_taken_away(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["a"])
    assert call("runs", "tag", "gpt", "b", "c")[1] == "gpt-0001: a, b, c\n"
    assert call("runs", "tag", "gpt", "d", "--remove", "a", "--remove", "b")[1] == "gpt-0001: c, d\n"
    assert call("runs", "list", "--tag", "d")[1].splitlines()[1].startswith("gpt-0001")
    code, _, err = call("runs", "tag", "gpt", "--remove", "zzz")
    assert code == 2
    assert "its tags: c, d" in err


def test_removal_wants_a_yes(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    make_run(tmp_path, "gpt-0002", loss=1.5)
    code, _, err = call("runs", "remove", "gpt-0001")
    assert code == 2
    assert "--yes" in err
    assert (tmp_path / "runs" / "gpt-0001").is_dir()
    assert call("runs", "remove", "gpt-0001", "--yes")[:2] == (0, "removed gpt-0001\n")
    assert not (tmp_path / "runs" / "gpt-0001").exists()
    assert call("runs", "list")[1].splitlines()[1].startswith("gpt-0002")


def test_a_no_removes_nothing_and_is_no_interrupt(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert call("runs", "remove", "gpt-0001") == (0, "", "nothing was removed\n")
    assert json.loads(call("runs", "remove", "gpt-0001", "--json")[1])["removed"] == []
    assert (tmp_path / "runs" / "gpt-0001").is_dir()


def test_a_living_run_is_not_removed_nor_any_other_with_it(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "dead", loss=1.5)
    make_run(tmp_path, "living", loss=1.5, alive=True)
    code, _, err = call("runs", "remove", "dead", "living", "--yes")
    assert code == 2
    assert "living: still running" in err
    assert (tmp_path / "runs" / "dead").is_dir()


def test_a_run_that_never_began_is_removed_by_its_whole_id_as_the_doctor_says(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-00012", loss=1.5)
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run_id = workspace.new_run("gpt", "a-key")
    empty = (workspace.runs / run_id).rename(tmp_path / "runs" / "gpt-0001")
    (tmp_path / "run-keys" / "a-key").write_text("gpt-0001\n")
    [remedy] = [it.remedy for it in check(tmp_path) if it.code == "not-begun"]
    assert f"`specrun runs remove gpt-0001 --store {tmp_path}`" in remedy
    assert call("runs", "remove", "gpt-0001")[0] == 2
    assert call("runs", "remove", "gpt-0001", "--yes")[:2] == (0, "removed gpt-0001\n")
    assert not empty.exists()
    assert workspace.run_of_key("a-key") is None
    for none in ("..", "."):
        code, _, err = call("runs", "remove", none, "--yes")
        assert (code, err.partition(":")[0]) == (2, "unknown-run")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["gpt-00012"]


def test_a_name_cannot_steer_the_terminal(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, name="\x1b[2Jevil", tags=["\x1b]0;x\x07"])
    for command in (("runs", "list"), ("runs", "show", "gpt")):
        assert "\x1b" not in call(*command)[1]


def test_a_narrow_terminal_loses_columns_in_order_and_says_so(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["baseline"])
    whole = call("runs", "list")[1]
    for width in (200, 80, 60, 40):
        monkeypatch.setattr("specrun.cli.run_table.terminal_width", lambda width=width: width)
        _, out, err = call("runs", "list")
        header = out.splitlines()[0]
        assert max(map(len, out.splitlines())) <= width
        assert header.startswith("RUN       STATUS")
        left_out = err.removeprefix("not shown for want of width: ").strip().split(", ") if err else []
        assert sorted([*filter(None, re.split("  +", header)), *left_out]) == sorted(re.split("  +", whole.splitlines()[0]))
    assert "test/loss" in header


def test_a_wide_column_gives_way_to_the_narrow_ones() -> None:
    text, left_out = trimmed(("A", "LONG", "B"), [("a", "x" * 50, "b")], width=20, spare=("B", "LONG"))
    assert (text, left_out) == ("A  B\na  b", ("LONG",))
    assert trimmed(("A",), [("x" * 50,)], width=20, spare=()) == ("A\n" + "x" * 50, ())


def test_a_metric_that_is_not_named_is_asked_for_with_those_there_are(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    code, _, err = call("runs", "best")
    assert code == 2
    assert "recorded: test/loss, test/perplexity, train/loss, validation/loss" in err


def test_a_metric_that_is_never_finite_has_no_step(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=float("nan"))
    assert "-1" not in call("runs", "show", "gpt-0001")[1].partition("METRIC")[2].partition("STEP  ")[0]


def test_columns_hold_wide_signs_and_accents() -> None:
    lines = table(("NAME", "N"), [("日本", 1), ("e\u0301", 22), ("abcd", 3)]).splitlines()
    assert lines == ["NAME   N", "日本   1", "e\u0301     22", "abcd   3"]
    assert {cells(line) for line in lines} == {8}


def test_a_table_keeps_columns_apart() -> None:
    assert table(("A", "NUMBER"), [("x\ny", 1), ("long text", 22)]) == "A          NUMBER\nx y             1\nlong text      22"
    assert table(("A",), []) == "A"


def test_a_removed_run_leaves_no_result_and_no_key(call: Call, tmp_path: Path) -> None:
    make_run(tmp_path, "gone-1", loss=1.0)
    workspace = Workspace(tmp_path)
    workspace.prepare()
    for run_id in ("gone-1", None):
        step = Step("train", "train", f"key-{run_id}", (), {})
        result = StepResult("train", "train", step.key, "steps", {}, {}, 0.0, "2026-01-01T00:00:00Z", run_id)
        workspace.save_result(step, result, version=1)
    (tmp_path / "run-keys" / "key-gone-1").write_text("gone-1\n")
    assert call("runs", "remove", "gone-1", "--yes")[0] == 0
    assert workspace.result("train", "key-gone-1") is None
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["train-key-None.json"]
    assert not list((tmp_path / "run-keys").iterdir())
