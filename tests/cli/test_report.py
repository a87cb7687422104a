"""`specrun report` writes a run's report again, and says what it cannot do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.events import Status
from specrun.records.journal import Journal
from specrun.records.run_files import mark_active, read_run, write_run
from tests.report.report_fakes import RUN_ID
from tests.report.report_store import write_store


def test_the_newest_run_is_reported_when_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, day in (("older", "19"), ("newest", "21"), ("middle", "20")):
        store = tmp_path / ".specrun"
        write_store_once(store, name, day)
    assert run(["report", "--store", str(store), "--format", "md"]) == 0
    assert capsys.readouterr().out.strip() == str(store / "runs" / "newest" / "report" / "report.md")


def write_store_once(store: Path, name: str, day: str) -> None:
    """Runs beside each other: the results of their steps are the first one's."""
    if not store.exists():
        write_store(store, run_id=name, started_at=f"2026-11-{day}T10:00:00Z")
        return
    first = next((store / "runs").iterdir())
    folder = store / "runs" / name
    folder.mkdir()
    document = read_run(first) or {}
    write_run(folder, {**document, "run_id": name, "started_at": f"2026-11-{day}T10:00:00Z"})
    (folder / "final.json").write_bytes((first / "final.json").read_bytes())


def test_both_documents_are_written_and_their_paths_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(tmp_path)
    assert run(["report", RUN_ID, "--store", str(tmp_path)]) == 0
    folder = tmp_path / "runs" / RUN_ID / "report"
    assert capsys.readouterr().out.splitlines() == [str(folder / "report.html"), str(folder / "report.md")]
    assert (folder / "report.html").is_file()


def test_another_folder_and_one_format_leave_the_runs_own_report_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(tmp_path / "store")
    assert run(["report", RUN_ID[:6], "--store", str(tmp_path / "store"), "-o", str(tmp_path / "out"), "--format", "html"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html"]
    assert not (tmp_path / "store" / "runs" / RUN_ID / "report").exists()
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")


def test_what_the_results_hold_is_in_the_report_too(tmp_path: Path) -> None:
    write_store(tmp_path)
    assert run(["report", "--store", str(tmp_path), "--format", "md"]) == 0
    text = (tmp_path / "runs" / RUN_ID / "report" / "report.md").read_text()
    assert "2,713,000" in text
    assert "9.96M" in text


def test_json_is_one_document_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(tmp_path)
    assert run(["report", "--store", str(tmp_path), "--json", "--format", "html"]) == 0
    folder = tmp_path / "runs" / RUN_ID / "report"
    document = json.loads(capsys.readouterr().out)
    assert document == {"format_version": 1, "run_id": RUN_ID, "reports": {"html": str(folder / "report.html")}}


def test_a_run_that_never_ended_can_be_reported(tmp_path: Path) -> None:
    write_store(tmp_path, final=False)
    assert run(["report", "--store", str(tmp_path), "--format", "md"]) == 0
    text = (tmp_path / "runs" / RUN_ID / "report" / "report.md").read_text()
    assert "**crashed**" in text
    assert "run-crashed" in text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["gpt-wikitext-7f3b"], 2, "unknown-run"),
        (["--format", "odt"], 2, "there is no format 'odt'\n  use html, md or html,md"),
        (["--format", ","], 2, "names no format"),
    ],
)
def test_a_mistake_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    write_store(tmp_path)
    assert run(["report", *arguments, "--store", str(tmp_path)]) == code
    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message


def test_a_store_without_runs_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").mkdir()
    assert run(["report", "--store", str(tmp_path)]) == 1
    assert "specrun apply" in capsys.readouterr().err


def test_a_store_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--store", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_run_that_is_still_running_is_reported_as_such(tmp_path: Path) -> None:
    write_store(tmp_path)
    mark_active(tmp_path, RUN_ID)
    with Journal.open(tmp_path / "runs" / RUN_ID, run_id=RUN_ID, attempt=2) as journal:
        journal.emit(Status("running", "attempt 2"))
    assert run(["report", "--store", str(tmp_path), "--format", "md"]) == 0
    assert "**running**" in (tmp_path / "runs" / RUN_ID / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("place", "named"), [("file", "file is a file"), ("file/deeper", "file is a file"), ("-", "standard output"), ("", "-o is empty")]
)
def test_what_is_no_folder_is_refused_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str, named: str
) -> None:
    write_store(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert run(["report", "--store", "store", "-o", place]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("not-a-folder: ")
    assert named in captured.err
    assert "-o " in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "store"]


def test_python_without_docstrings_is_one_clear_error(tmp_path: Path) -> None:
    write_store(tmp_path)
    code = "import sys; from specrun.cli.main import run; sys.exit(run(['report', '--store', sys.argv[1]]))"
    done = subprocess.run([sys.executable, "-OO", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("docstrings-stripped: ")
