"""What apply says at the end: one truth a run, and what several seeds say together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from specrun.engine.outcome import Outcome, Run
from specrun.engine.summary import summary_lines
from specrun.errors import InterruptedRun, StoreError
from specrun.records.documents import DamagedRecord


def run(seed: int = 0, *, status="completed", error=None, report=None, reason="", **metrics: float) -> Run:
    named = {name.replace("_", "/", 1): value for name, value in metrics.items()}
    folder = Path(".specrun/runs", f"tiny-{seed}")
    return Run(f"tiny-{seed}", "tiny", seed, status, folder, named, {}, (), report, False, 2.0, None, error, reason)


def lines(*runs: Run) -> list[str]:
    return summary_lines(Outcome(runs, ()))


def test_one_seed_has_no_spread():
    assert lines(run(test_loss=1.0)) == ["tiny-0 completed in 2.0 s: test/loss 1.000"]


def test_several_seeds_end_with_mean_and_standard_deviation_of_the_main_metrics():
    said = lines(*(run(seed, test_loss=value, train_loss=9.0) for seed, value in enumerate((1.0, 2.0, 3.0))))
    assert len(said) == 4
    assert said[-1] == "3 seeds, mean ± standard deviation: test/loss 2.000 ± 1.0"


def test_a_metric_that_one_seed_lacks_has_no_mean():
    said = lines(run(0, test_loss=1.0, validation_loss=1.0), run(1, validation_loss=3.0))
    assert said[-1] == "2 seeds, mean ± standard deviation: validation/loss 2.000 ± 1.4"


def test_seeds_that_did_not_end_are_left_out_and_counted():
    stop = InterruptedRun("stopped", signal_number=2)
    said = lines(run(0, test_loss=1.0), run(1, test_loss=3.0), run(2, status="interrupted", error=stop, test_loss=100.0))
    assert said[-1] == "2 seeds, mean ± standard deviation (1 of 3 did not end): test/loss 2.000 ± 1.4"
    assert lines(run(0, test_loss=1.0), run(1, status="failed", error=StoreError("full")))[1].startswith("tiny-1 failed")


def test_a_metric_that_is_not_finite_is_not_dropped():
    assert lines(run(0, test_loss=1.0), run(1, test_loss=float("nan")))[-1].endswith("test/loss nan ± ?")


@pytest.mark.parametrize(
    ("error", "how"), [(InterruptedRun("stopped by signal 2", signal_number=2), "was interrupted"), (StoreError("disk full"), "failed")]
)
def test_a_report_that_was_not_written_leaves_a_completed_run_completed(error, how):
    assert lines(run(error=error, test_loss=1.0)) == [
        "tiny-0 completed in 2.0 s: test/loss 1.000",
        f"  its report {how}; apply again writes it, and trains nothing again",
    ]


def test_an_interrupted_run_says_nothing_of_a_report():
    error = InterruptedRun("stopped", signal_number=2)
    assert lines(run(status="interrupted", error=error)) == ["tiny-0 interrupted in 2.0 s"]


def test_a_run_that_ended_before_its_last_step_says_why_and_an_outcome_as_a_document_too():
    why = "validation/loss has not improved since step 4, for 2 evaluations; training stopped after step 12 of 40"
    stopped = run(status="stopped_early", reason=why, test_loss=1.0)
    assert lines(stopped) == ["tiny-0 stopped early in 2.0 s: test/loss 1.000", f"  {why}"]
    assert Outcome((stopped,), ()).as_document()["runs"][0]["reason"] == why


def test_the_error_of_a_run_is_told_once_and_not_as_its_reason_too():
    error = StoreError("disk full")
    assert lines(run(status="interrupted", error=error, reason="disk full")) == ["tiny-0 interrupted in 2.0 s"]
    assert lines(run(status="stopped_early", error=error, reason="no better"))[1:] == [
        "  no better", "  its report failed; apply again writes it, and trains nothing again"
    ]  # fmt: skip


def test_a_failed_run_names_the_command_for_a_report_with_its_store_where_that_is_not_the_usual_one(monkeypatch):
    monkeypatch.delenv("SPECRUN_STORE", raising=False)
    failed = run(status="failed", error=StoreError("full"))
    assert lines(failed) == ["tiny-0 failed in 2.0 s", "  for a report of what it recorded: specrun report tiny-0"]
    elsewhere = replace(failed, folder=Path("/data/my store/runs/tiny-0"))
    assert lines(elsewhere)[-1].endswith("specrun report tiny-0 --store '/data/my store'")
    damaged = DamagedRecord("run.json is damaged", code="damaged-record")
    assert lines(replace(failed, error=damaged)) == ["tiny-0 failed in 2.0 s"]
