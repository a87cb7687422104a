"""Nobody has to listen: where the streams of a command are closed, it still does its work and says how it went."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import termios

import pytest

from specrun.cli.main import run
from specrun.cli.output import Stream, columns_of, has_listener, open_streams, unwritten
from tests.engine.conftest import TINY, applied_store, store  # noqa: F401 - fixtures


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `specrun` is this package. The reader of a pipe is gone before anything is written."""
    script = f'specrun() {{ {sys.executable} -m specrun "$@"; }}; {line}'
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=buffered)


PIPED = "specrun {command} 2>&1 | head -c 0; exit ${{PIPESTATUS[0]}}"
CLOSINGS = {
    "both unread": PIPED,
    "output closed": "specrun {command} >&-",
    "all closed": "specrun {command} <&- >&- 2>&-",
}


@pytest.mark.slow
def test_apply_trains_to_its_end_though_nobody_reads(spec, tmp_path):
    done = shell(PIPED.format(command=f"apply {spec} --store {tmp_path / 's'}"))
    assert done.returncode == 0
    (final,) = (tmp_path / "s" / "runs").glob("*/final.json")
    assert json.loads(final.read_text())["status"] == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("line", CLOSINGS.values(), ids=CLOSINGS.keys())
def test_a_gate_that_fails_is_in_the_exit_code_whoever_listens(spec, store, line):  # noqa: F811
    done = shell(line.format(command=f"apply {spec} --store {store} --set expect='[\"validation/loss < 0.001\"]'"))
    assert done.returncode == 4, done


@pytest.mark.parametrize(
    ("command", "code"),
    [("aply", 2), ("apply {spec} --set modell=1", 3), ("validate {spec} --set model.width=3", 3), ("plan nothing.yaml", 2)],
)
def test_other_mistakes_too(spec, command, code):
    assert shell(PIPED.format(command=command.format(spec=spec))).returncode == code


@pytest.mark.slow
def test_the_plan_is_not_printed_on_standard_output_in_place_of_a_closed_standard_error(spec, tmp_path):
    done = shell(f"specrun apply {spec} --store {tmp_path / 's'} --json 2>&-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["exit_code"] == 0


def test_an_answer_that_does_not_fit_on_the_disk_is_a_failure_that_says_so(spec, store):  # noqa: F811
    done = shell(f"specrun apply {spec} --store {store} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("output-not-written: standard output: No space left on device")


def test_an_answer_that_does_not_fit_hides_no_failed_gate(spec, store):  # noqa: F811
    done = shell(f"specrun apply {spec} --store {store} --set expect='[\"validation/loss < 0.001\"]' >/dev/full")
    assert done.returncode == 4


def test_no_file_that_is_opened_later_takes_the_place_of_a_closed_stream(tmp_path):
    code = (
        "import os, sys; from specrun.cli.output import open_streams; open_streams();"
        f"f = open({str(tmp_path / 'record')!r}, 'w'); os.write(1, b'x'); os.write(2, b'x'); print('x'); print('x', file=sys.stderr);"
        "f.write('record'); sys.exit(min(f.fileno(), 3))"
    )
    done = subprocess.run(["bash", "-c", f'{sys.executable} -c "{code}" <&- >&- 2>&-'], check=False)
    assert done.returncode == 3
    assert (tmp_path / "record").read_text() == "record"


def test_standard_error_stays_what_it_was_for_those_who_listen(capfd, monkeypatch):
    with io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), encoding="ascii", errors="backslashreplace") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        open_streams()
        with sys.stderr as opened:
            print("caf\u00e9", file=opened)
            assert (opened.encoding, opened.isatty()) == ("ascii", False)
        monkeypatch.undo()
    assert capfd.readouterr().err == "caf\\xe9\n"


def test_a_broken_pipe_that_is_not_our_output_is_no_success(monkeypatch, spec, capsys):
    def broken(path):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("specrun.engine.planfile.is_plan", broken)
    assert run(["apply", spec]) == 1
    assert "BrokenPipeError" in capsys.readouterr().err


WITH_AND_WITHOUT_BUFFERS = ["specrun", "PYTHONUNBUFFERED=1 specrun"]
ANSWERS = {
    "--help": 0,
    "validate {spec} --set model.width=3": 3,
    "plan {spec} --store {folder}/s --detailed-exitcode": 6,
    "runs list --store {folder}/s": 0,
    "sql --json x --store {folder}/none": 1,
}


@pytest.mark.parametrize("call", WITH_AND_WITHOUT_BUFFERS)
@pytest.mark.parametrize(("command", "code"), ANSWERS.items(), ids=ANSWERS)
def test_a_reader_who_has_gone_changes_no_exit_code(spec, tmp_path, command, code, call):
    line = command.format(spec=spec, folder=tmp_path)
    done = shell(f"{call} {line} | head -c 0; exit ${{PIPESTATUS[0]}}".replace("=1 specrun", "=1; export PYTHONUNBUFFERED; specrun"))
    assert done.returncode == code
    assert "internal-error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("call", WITH_AND_WITHOUT_BUFFERS)
@pytest.mark.parametrize(("command", "code"), ANSWERS.items(), ids=ANSWERS)
def test_an_answer_that_was_lost_is_no_success_and_hides_no_failure(spec, tmp_path, command, code, call):
    line = command.format(spec=spec, folder=tmp_path)
    done = shell(f"{call} {line} >/dev/full".replace("=1 specrun", "=1; export PYTHONUNBUFFERED; specrun"))
    assert done.returncode == {0: 1, 6: 1}.get(code, code)
    assert ("output-not-written: standard output: No space left on device" in done.stderr) == (code in (0, 6))
    assert "internal-error" not in done.stderr


def test_who_writes_piece_by_piece_learns_that_nobody_listens_any_more(monkeypatch):
    reader, writer = os.pipe()
    with io.TextIOWrapper(io.BufferedWriter(Stream(writer, "w"))) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        print("heard", flush=True)
        assert has_listener()
        os.close(reader)
        print("unheard", flush=True)
        assert not has_listener()
        assert unwritten() is None
        monkeypatch.undo()


def test_a_stream_that_is_no_file_always_listens(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert has_listener()
    assert unwritten() is None


def test_text_is_as_wide_as_its_terminal_but_for_a_limit_and_elsewhere_the_limit():
    def width_in(columns):
        terminal, other = os.openpty()
        termios.tcsetwinsize(other, (24, columns))
        with os.fdopen(terminal, "w"), os.fdopen(other, "w") as stream:
            return columns_of(stream, at_most=118)

    assert [width_in(columns) for columns in (0, 60, 300)] == [118, 60, 118]
    assert columns_of(io.StringIO(), at_most=118) == 118
