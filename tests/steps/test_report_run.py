"""The report step writes what was asked for, from the records, and nothing else stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from specrun.plan.step import Step
from specrun.runtime.hardware import Choice, ResolvedHardware
from specrun.spec.assembly import load_spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.report.run import run
from tests.report.report_fakes import RUN_ID
from tests.report.report_store import write_store

CHARTS = [f"report/charts/{name}.svg" for name in ("accuracy", "gradient-norm", "learning-rate", "loss", "perplexity", "time")]
SPEC = """
version: 1
name: gpt-wikitext
task: {kind: causal_lm}
data: {source: {kind: python_docs}, split: {kind: ratio}, sequence_length: 64}
model: {kind: gpt, num_layers: 1, width: 16, num_heads: 2}
"""


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, StepInput]:
    return {kind: StepInput(tmp_path / result.folder, result) for kind, result in write_store(tmp_path).items()}


def report(store: Path, inputs: dict[str, StepInput], *sets: str) -> StepOutput:
    (store / "spec.yaml").write_text(SPEC)
    choice = Choice("cpu", "a test")
    context = StepContext(
        step=Step("report", "report", "r" * 64, (), {}, seed=0), folder=store / "runs" / RUN_ID, store=store, emit=lambda event: None,
        hardware=ResolvedHardware("cpu", "cpu", 1, 2**30, choice, choice, choice, 1), stop_requested=lambda: None,
        base_folder=lambda path: store, run_id=RUN_ID,
    )  # fmt: skip
    return run(context, load_spec(store / "spec.yaml", sets=sets).spec, inputs)


def files(store: Path) -> list[str]:
    folder = store / "runs" / RUN_ID
    return sorted(str(path.relative_to(folder)) for path in (folder / "report").rglob("*") if path.is_file())


def test_every_format_is_written_and_named_with_its_role(tmp_path: Path, inputs: dict[str, StepInput]) -> None:
    output = report(tmp_path, inputs)
    assert files(tmp_path) == [*CHARTS, "report/report.html", "report/report.md"]
    assert output.artifacts == dict.fromkeys(CHARTS, "chart") | {"report/report.html": "report-html", "report/report.md": "report-md"}
    assert output.values == {"html": "report/report.html", "md": "report/report.md", "formats": ["html", "md"], "title": None}


def test_a_format_no_longer_asked_for_disappears(tmp_path: Path, inputs: dict[str, StepInput]) -> None:
    report(tmp_path, inputs)
    output = report(tmp_path, inputs, "report.formats=[html]")
    assert files(tmp_path) == ["report/report.html"] == list(output.artifacts)
    report(tmp_path, inputs, "report.formats=[md]")
    assert files(tmp_path) == [*CHARTS, "report/report.md"]


def test_the_same_records_give_the_same_bytes(tmp_path: Path, inputs: dict[str, StepInput]) -> None:
    folder = tmp_path / "runs" / RUN_ID
    report(tmp_path, inputs)
    before = {name: (folder / name).read_bytes() for name in files(tmp_path)}
    report(tmp_path, inputs)
    assert {name: (folder / name).read_bytes() for name in files(tmp_path)} == before


def test_the_heading_is_the_title_that_the_spec_asks_for(tmp_path: Path, inputs: dict[str, StepInput]) -> None:
    report(tmp_path, inputs, "report.title=Two cores, two minutes")
    assert "<h1>Two cores, two minutes</h1>" in (tmp_path / "runs" / RUN_ID / "report" / "report.html").read_text()


def test_the_page_shows_what_the_records_hold(tmp_path: Path, inputs: dict[str, StepInput]) -> None:
    report(tmp_path, inputs)
    page = (tmp_path / "runs" / RUN_ID / "report" / "report.html").read_text()
    for shown in (
        "3 documents of validation are also in train",
        "2,713,000",
        "9.96M",
        "specs/gpt_wikitext.yaml:19",
        "no bf16 instructions here",
    ):
        assert shown in page


def test_the_step_imports_nothing_that_trains() -> None:
    code = "import sys, specrun.steps.report.run; print(sorted({'torch', 'datasets', 'optuna', 'onnx', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
