"""Questions to the records, and what a run's life makes of the answers."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError, UsageError
from specrun.events import Alert, Artifact, Example, Label, Metrics, Status, StepRecord, System
from specrun.records.journal import Journal
from specrun.records.queries import open_records
from specrun.records.rows import AlertRow, ArtifactRow, ExampleRow, Point, Ranked, StepRow, SummaryRow
from specrun.records.run_files import mark_active

NewRun = Callable[..., Any]


def test_a_finished_run_says_everything_it_recorded(store: Path, new_run: NewRun) -> None:
    new_run("r").emit(
        Metrics(1, {"train/loss": 3.0}, epoch=0.5, tokens=64),
        Metrics(2, {"train/loss": 2.0}, epoch=1.0, tokens=128),
        Alert("warning", "slow-disk", "slow", step=2),
        Example(2, "sample", {"text": "to be"}),
        Artifact("weights", "w", "ab", 3, "train"),
        StepRecord("train", "train", "k1", "run", "new", {"seconds": 2.0}),
        StepRecord("train", "train", "k1", "run", "new", {"seconds": 2.0}, {"seconds": 3.0, "disk_bytes": 9.0}),
    ).end(metrics={"test/loss": 2.5, "train/loss": 1.75})
    with open_records(store) as records:
        run = records.run("r")
        assert (run.status, run.reason, run.attempts, run.duration_s, run.tags) == ("completed", "done", 1, 60.0, ("first",))
        assert (run.started_at, run.finished_at) == ("2026-01-02T03:04:05.000Z", "2026-01-02T03:05:05.000Z")
        assert run.metrics == {"test/loss": 2.5, "train/loss": 1.75}
        [first, second] = records.series("r")["train/loss"]
        assert first == Point(1, 3.0, 0.5, 64, first.time)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", second.time)
        assert records.summary("r") == [SummaryRow("train/loss", 3.0, 2.0, 2.0, 3.0, 2, 1, 2.0, 2, 1.75)]
        [alert] = records.alerts("r")
        assert alert == AlertRow(alert.time, "warning", "slow-disk", "slow", 2)
        assert records.examples("r") == [ExampleRow(2, "sample", {"text": "to be"})]
        assert records.artifacts("r") == [ArtifactRow("weights", "w", "ab", 3, "train")]
        assert records.steps("r") == [
            StepRow("data", "data", "k0", "cached", "unchanged", {}, {}),
            StepRow("train", "train", "k1", "run", "new", {"seconds": 2.0}, {"seconds": 3.0, "disk_bytes": 9.0}),
        ]
        assert records.params("r") == {
            "name": "tiny",
            "schedule.optimizer.betas": "[0.9,0.999]",
            "schedule.optimizer.learning_rate": "0.001",
        }
        assert records.document("r")["spec_digest"] == "d1"
        assert records.final("r")["status"] == "completed"  # type: ignore[index]


def test_a_living_run_is_running_and_a_killed_one_crashed(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, train_loss=1.0)
    with open_records(store) as records:
        assert records.run("r").status == "running"
        assert records.final("r") is None
    code = f"from pathlib import Path; from specrun.records.run_files import mark_active; mark_active(Path({str(store)!r}), 'r')"
    subprocess.run([sys.executable, "-c", code], check=True)
    with open_records(store) as records:
        assert records.run("r").status == "crashed"
        assert records.sql("SELECT status FROM runs") == (["status"], [("crashed",)])
        assert [run.run_id for run in records.runs(status="crashed")] == ["r"]
        assert not records.runs(status="running")


def test_a_run_without_a_marker_that_never_ended_is_crashed(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, train_loss=1.0)
    (store / "active" / "r").unlink()
    with open_records(store) as records:
        assert records.run("r").status == "crashed"


def test_an_interrupted_run_that_was_resumed_is_running_again(store: Path, new_run: NewRun) -> None:
    run = new_run("r").log(1, train_loss=1.0).end("interrupted", metrics={"test/loss": 9.0})
    with open_records(store) as records:
        assert records.run("r").status == "interrupted"
    run.attempt(resumed_from=1)
    with open_records(store) as records:
        row = records.run("r")
        assert (row.status, row.attempts, row.finished_at) == ("running", 2, None)
        assert "test/loss" not in row.metrics


def test_after_a_resume_each_step_counts_once_and_the_new_attempt_counts(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    for step in range(1, 11):
        run.log(step, train_loss=1.0)
    run.emit(Example(9, "sample", {"text": "void"})).attempt(resumed_from=6)
    for step in range(7, 10):
        run.log(step, train_loss=2.0)
    with open_records(store) as records:
        assert [(p.step, p.value) for p in records.series("r")["train/loss"]] == [(s, 1.0 if s <= 6 else 2.0) for s in range(1, 10)]
        assert records.examples("r") == []


def test_readings_of_the_machine_are_kept_of_every_attempt_by_metric_and_in_order(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    run.emit(System({"system/cpu_percent": 40.0, "system/process_rss_bytes": 2.0}), System({"system/cpu_percent": 50.0}))
    run.attempt(resumed_from=0).emit(System({"system/cpu_percent": 60.0}))
    with open_records(store) as records:
        found = records.system("r")
    assert {name: [(it.attempt, it.value) for it in values] for name, values in found.items()} == {
        "system/cpu_percent": [(1, 40.0), (1, 50.0), (2, 60.0)],
        "system/process_rss_bytes": [(1, 2.0)],
    }
    times = [it.time_s for it in found["system/cpu_percent"]]
    assert times == sorted(times)
    assert times[0] > 1.7e9


def test_a_roll_back_within_an_attempt_voids_what_came_before_it_only(store: Path, new_run: NewRun) -> None:
    from specrun.events import Status

    run = new_run("r").log(1, train_loss=1.0).log(2, train_loss=math.nan).log(3, train_loss=math.nan)
    run.emit(Status("running", "rolled back", resumed_from=1)).log(3, train_loss=0.5)
    with open_records(store) as records:
        assert [(p.step, p.value) for p in records.series("r")["train/loss"]] == [(1, 1.0), (3, 0.5)]


def test_non_finite_values_are_in_the_curve_and_not_in_the_extremes(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, train_loss=2.0).log(2, train_loss=math.nan).log(3, train_loss=-math.inf).log(4, a=math.nan).end()
    with open_records(store) as records:
        assert [repr(point.value) for point in records.series("r")["train/loss"]] == ["2.0", "nan", "-inf"]
        only_nan, loss = records.summary("r")
        assert (loss.minimum, loss.maximum, loss.argmin, loss.count) == (2.0, 2.0, 1, 3)
        assert math.isnan(only_nan.minimum)
        assert records.best("train/loss", "minimize")[0].value == 2.0
        assert records.best("a", "minimize") == []


def test_the_tail_mean_is_over_the_last_twentieth(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    for step in range(1, 101):
        run.log(step, a=float(step))
    with open_records(store) as records:
        [line] = records.summary("r")
        assert line.tail_mean == sum(range(96, 101)) / 5


def test_series_can_be_of_some_metrics(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, a=1.0, b=2.0)
    with open_records(store) as records:
        assert list(records.series("r", ["b", "absent"])) == ["b"]
        assert records.series("r", []) == {}
        assert records.series("nobody") == {}


def test_runs_are_found_by_what_they_are(store: Path, new_run: NewRun) -> None:
    new_run("a", name="x", started_at="2026-01-01T00:00:00Z").end()
    new_run("b", name="y", started_at="2026-01-03T00:00:00+02:00", tags=[]).end("failed")
    new_run("c", name="y", started_at="2026-01-02T00:00:00Z", smoke=True, task="tabular").end()

    with open_records(store) as records:

        def ids(**conditions: Any) -> list[str]:
            return [run.run_id for run in records.runs(**conditions)]

        assert ids() == ["b", "c", "a"]
        assert ids(limit=1) == ["b"]
        assert ids(order="name") == ["a", "b", "c"]
        assert ids(name="y") == ["b", "c"]
        assert ids(status="failed") == ["b"]
        assert ids(tag="first") == ["c", "a"]
        assert ids(task="tabular") == ["c"]
        assert ids(smoke=False) == ["b", "a"]
        assert ids(name="y' OR true --") == []
        with pytest.raises(UsageError, match="unknown-order"):
            records.runs(order="run_id; DROP TABLE runs")


def test_without_a_final_figure_the_best_run_is_by_its_best_step_and_smoke_runs_are_apart(store: Path, new_run: NewRun) -> None:
    new_run("a").log(1, validation_loss=3.0).log(2, validation_loss=1.0).log(3, validation_loss=2.0).end()
    new_run("b").log(1, validation_loss=1.5).end(metrics={"test/loss": 4.0})
    new_run("smoke", smoke=True).log(1, validation_loss=0.1).end()
    with open_records(store) as records:
        assert ranking(records.best("validation/loss", "minimize")) == [("a", 1.0), ("b", 1.5)]
        assert ranking(records.best("validation/loss", "maximize", 1)) == [("a", 3.0)]
        assert ranking(records.best("test/loss", "minimize")) == [("b", 4.0)]
        with pytest.raises(UsageError, match="unknown-metric") as caught:
            records.best("validation/los", "minimize")
        assert caught.value.hint == "nearest: validation/loss"
        with pytest.raises(UsageError) as caught:
            records.best("nonsense", "minimize")
        assert caught.value.hint == "recorded are: test/loss, validation/loss"


def ranking(found: list[Ranked]) -> list[tuple[str, float]]:
    return [(ranked.run.run_id, ranked.value) for ranked in found]


def test_the_figure_that_a_run_ended_with_outranks_those_of_parts_of_the_split(store: Path, new_run: NewRun) -> None:
    in_part = {"schedule": {"evaluate": {"max_batches": 20}}}
    new_run("ended", spec=in_part, experiment="e").log(1, validation_loss=1.0).end(metrics={"validation/loss": 3.0})
    new_run("failed", spec=in_part).log(1, validation_loss=2.0).log(2, validation_loss=2.5).end("failed", {"validation/loss": 2.5})
    new_run("running").log(1, validation_loss=2.75)
    new_run("diverged").log(1, validation_loss=0.5).end(metrics={"validation/loss": math.nan})
    with open_records(store) as records:
        found = records.best("validation/loss", "minimize")
        assert ranking(found) == [("failed", 2.0), ("running", 2.75), ("ended", 3.0)]
        assert [(ranked.in_training, ranked.batches) for ranked in found] == [(True, 20), (True, None), (False, None)]
        assert ranking(records.best("validation/loss", "maximize", 1)) == [("ended", 3.0)]
        assert records.over_seeds("validation/loss", "minimize", ["e"])["e"].mean == 3.0 == records.run("ended").metrics["validation/loss"]
        assert [line.final for run_id in ("ended", "running") for line in records.summary(run_id)] == [3.0, None]


def test_a_run_lasts_until_the_outcomes_of_its_attempts_whatever_is_recorded_after_them(store: Path, new_run: NewRun) -> None:
    run = new_run("r").end(duration_s=0.0)
    times = iter(range(1_800_000_000, 1_900_000_000, 10))
    for attempt in (2, 3):
        with Journal.open(run.folder, run_id="r", attempt=attempt, clock=lambda: next(times), heartbeat_seconds=1e6) as journal:
            for event in (Status("running"), Metrics(attempt, {"a": 1.0}), Status("completed"), Metrics(attempt, {"b": 1.0})):
                journal.emit(event)
    with open_records(store) as records:
        first = records.sql("SELECT epoch(last_time) - epoch(first_time) FROM journals WHERE attempt = 1")[1][0][0]
        assert records.run("r").duration_s == pytest.approx(first + 30 + 30, abs=0.01)


def test_a_run_is_named_by_a_beginning_that_no_other_has(store: Path, new_run: NewRun) -> None:
    for run_id in ("gpt-wikitext-7f3a", "gpt-wikitext-81bc", "gpt"):
        new_run(run_id)
    with open_records(store) as records:
        assert records.run("gpt-wikitext-7").run_id == "gpt-wikitext-7f3a"
        assert records.run("gpt").run_id == "gpt"
        with pytest.raises(UsageError, match="ambiguous-run") as caught:
            records.run("gpt-w")
        assert "gpt-wikitext-7f3a, gpt-wikitext-81bc" in str(caught.value)
        with pytest.raises(UsageError, match="unknown-run") as caught:
            records.run("gtp-wikitext-7f3a")
        assert "gpt-wikitext-7f3a" in str(caught.value)
        assert caught.value.exit_code == 2
        with pytest.raises(UsageError, match="unknown-run"):
            records.run("")


def test_an_empty_store_has_no_runs_and_no_store_is_an_error(store: Path, tmp_path: Path) -> None:
    with open_records(store) as records:
        assert records.runs() == []
        with pytest.raises(UsageError, match="holds no runs yet"):
            records.run("a")
    with pytest.raises(StoreError, match="no-store"), open_records(tmp_path / "absent"):
        pass


def test_names_and_tags_given_later_are_shown(store: Path, new_run: NewRun) -> None:
    new_run("r").emit(Label(name="later"), Label(added=("x", "y"), removed=("first",), number=2)).end()
    with open_records(store) as records:
        assert (records.run("r").name, records.run("r").tags) == ("later", ("x", "y"))


def test_what_a_later_attempt_asked_otherwise_is_what_the_params_say(store: Path, new_run: NewRun) -> None:
    new_run("r").end(spec={"report": {"formats": ["md"]}})
    with open_records(store) as records:
        assert records.params("r") == {"report.formats": '["md"]'}


def test_a_damaged_description_hides_no_records(store: Path, new_run: NewRun) -> None:
    run = new_run("r").log(1, train_loss=1.0).end()
    (run.folder / "run.json").write_bytes(b"{")
    with open_records(store) as records:
        assert records.run("r").name == "r"
        assert len(records.series("r")["train/loss"]) == 1
        with pytest.raises(StoreError, match="damaged-record"):
            records.document("r")


def test_a_folder_that_is_no_run_is_listed_as_one_without_records(store: Path) -> None:
    (store / "runs" / "empty").mkdir(parents=True)
    mark_active(store, "empty")
    with open_records(store) as records:
        assert records.series("empty") == {}
        assert records.run("empty").started_at == ""
