"""`specrun runs`, as a person and as a script meet it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.cli.main import run as specrun
from specrun.cli.tables import clock, figure, plain, table
from specrun.events import Alert, Artifact, Status, StepRecord
from specrun.records.journal import Journal
from specrun.records.run_files import mark_active, unmark_active, write_final, write_run

GOLDEN = Path(__file__).parent / "golden"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command line against the test's store: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = specrun([*arguments, "--store", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def make_run(store: Path, run_id: str, *, loss: float, alive: bool = False, **description: Any) -> None:
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
        final = {"status": "completed", "reason": "", "finished_at": "2026-01-02T03:15:00Z", "duration_s": 652.0, "gates": gates}
        write_final(folder, {**final, "metrics": {"test/loss": loss, "test/perplexity": 58.3}})
        unmark_active(store, run_id)


def test_no_store_is_no_runs_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert specrun(["runs", "list", "--store", str(tmp_path / "absent")]) == 0
    assert capsys.readouterr().out == f"no runs yet in {tmp_path / 'absent'}\n"
    assert not (tmp_path / "absent").exists()
    assert specrun(["runs", "list", "--json", "--store", str(tmp_path / "absent")]) == 0
    assert json.loads(capsys.readouterr().out) == {"format_version": 1, "runs": []}


def test_the_list_is_aligned_plain_text(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["baseline", "a"])
    make_run(tmp_path, "gpt-longer-name-0002", loss=1.25, started_at="2026-01-03T00:00:00Z")
    code, out, err = call("runs", "list")
    assert (code, err) == (0, "")
    assert out == (GOLDEN / "runs_list.txt").read_text(encoding="utf-8")


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


def test_filters_and_smoke_runs(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "real", loss=1.0)
    make_run(tmp_path, "smoke", loss=1.0, smoke=True)
    assert "smoke" not in call("runs", "list")[1]
    assert "real" not in call("runs", "list", "--smoke")[1]
    assert call("runs", "list", "--status", "failed")[1] == f"no such runs in {tmp_path}\n"


def test_show_says_everything_important_of_a_run(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, tags=["baseline"])
    code, out, _ = call("runs", "show", "gpt-0")
    assert code == 0
    assert out.replace(str(tmp_path), "STORE") == (GOLDEN / "runs_show.txt").read_text(encoding="utf-8")
    document = json.loads(call("runs", "show", "gpt-0", "--json")[1])
    assert document["params"] == {"model.kind": "gpt"}
    assert document["final"]["gates"][0]["passed"]


def test_an_unknown_run_names_the_nearest_and_exits_2(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5)
    code, out, err = call("runs", "show", "gtp-0001")
    assert (code, out) == (2, "")
    assert err.startswith("unknown-run: no run 'gtp-0001'")
    assert "nearest: gpt-0001" in err


def test_the_best_runs_are_in_order(tmp_path: Path, call: Call) -> None:
    for number, loss in enumerate((1.5, 1.25, 2.0)):
        make_run(tmp_path, f"gpt-{number}", loss=loss)
    _, out, _ = call("runs", "best", "validation/loss", "--limit", "2")
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["gpt-1", "gpt-0"]
    document = json.loads(call("runs", "best", "validation/loss", "--goal", "maximize", "--json")[1])
    assert [(run["run_id"], run["value"]) for run in document["runs"]] == [("gpt-2", 3.0), ("gpt-0", 2.5), ("gpt-1", 2.25)]
    assert call("runs", "best", "validation/los")[0] == 2


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


def test_a_living_run_is_not_removed_nor_any_other_with_it(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "dead", loss=1.5)
    make_run(tmp_path, "living", loss=1.5, alive=True)
    code, _, err = call("runs", "remove", "dead", "living", "--yes")
    assert code == 2
    assert "living: still running" in err
    assert (tmp_path / "runs" / "dead").is_dir()


def test_a_name_cannot_steer_the_terminal(tmp_path: Path, call: Call) -> None:
    make_run(tmp_path, "gpt-0001", loss=1.5, name="\x1b[2Jevil", tags=["\x1b]0;x\x07"])
    for command in (("runs", "list"), ("runs", "show", "gpt")):
        assert "\x1b" not in call(*command)[1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (9.96, "10.0s"), (59.4, "59s"), (59.6, "1m00s"), (652, "10m52s"), (7440, "2h04m")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_figures_have_four_digits() -> None:
    assert [figure(value) for value in (1.0, 0.000123456, 28431.0, 1234567.5, float("nan"), float("-inf"))] == [
        "1",
        "0.0001235",
        "28,431",
        "1.235e+06",
        "nan",
        "-inf",
    ]


def test_a_table_keeps_columns_apart() -> None:
    assert table(("A", "NUMBER"), [("x\ny", 1), ("long text", 22)]) == "A          NUMBER\nx y             1\nlong text      22"
    assert table(("A",), []) == "A"
    assert plain("a\x00b") == "a\N{REPLACEMENT CHARACTER}b"
