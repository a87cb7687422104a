"""`specrun lr-find`: what it says, what it draws, and what it refuses before anything is run."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.cli.plot_text import range_lines
from tests.engine.conftest import TINY, applied_store  # noqa: F401 - fixtures
from tests.golden_files import compare_in

golden = compare_in(Path(__file__).parent / "golden")
RATES = [1e-7 * 10 ** (step / 12.4) for step in range(100)]
LOSSES = [4.0] * 45 + [4.0 - 0.06 * step for step in range(30)] + [2.3] * 10 + [2.4 + 0.9 * step for step in range(15)]


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("lr") / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


@pytest.fixture(scope="module")
def searched(applied_store, spec):  # noqa: F811 - fixtures
    """A store in which a short range test of the tiny spec is finished. Nothing may change it but plots."""
    assert run(["lr-find", spec, "--store", str(applied_store), "--steps", "40"]) == 0
    return str(applied_store)


def test_the_answer_has_the_rate_its_ground_the_curve_the_plot_and_the_command_to_go_on_with(spec, searched, capsys):
    assert run(["lr-find", spec, "--store", searched, "--steps", "40"]) == 0
    out = capsys.readouterr().out
    first, second, third, *_ = out.splitlines()
    assert re.fullmatch(r"tiny: learning rate \S+", first)
    assert re.fullmatch(r"  where the smoothed loss falls steepest; it is lowest at \S+, a tenth of which is \S+", second)
    assert re.match(r"  \d+ steps from 1e-7 (to the end|where the loss diverged), in ", third)
    assert out.count("*") > 20
    assert "^" in out
    plot = re.search(r"^plot: (.+)$", out, re.MULTILINE)
    assert plot is not None
    assert Path(plot[1]).read_text().startswith("<svg")
    rate = out.split()[3]
    assert out.endswith(f"train with it: specrun apply {spec} --set schedule.optimizer.learning_rate={rate} --store {searched}\n")


def test_the_command_to_go_on_with_trains_what_was_tested_where_it_was_tested(spec, searched, tmp_path, capsys):
    given = ["--set", "schedule.batch_size=2", "--set", "schedule.optimizer.learning_rate=auto", "--set", "tags=[one two]",
             "--preset", "fast", "--data-root", str(tmp_path), "--store", searched]  # fmt: skip
    assert run(["lr-find", spec, "--steps", "40", *given]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("train with it: specrun apply ")
    words = shlex.split(last.partition(": specrun ")[2])
    rate = words.pop(words.index("--preset") - 1).partition("=")
    assert rate[0] == "schedule.optimizer.learning_rate"
    assert float(rate[2]) > 0
    assert words == ["apply", spec, "--set", "schedule.batch_size=2", "--set", "tags=[one two]", "--set", *given[6:]]


def test_of_standard_input_the_value_is_named_and_no_command(spec, searched, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(spec).read_bytes())))
    assert run(["lr-find", "-", "--store", searched, "--steps", "40"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"train with schedule\.optimizer\.learning_rate: \S+ in the spec", last)


def test_json_is_one_document_with_the_whole_curve(spec, searched, capsys):
    assert run(["lr-find", spec, "--store", searched, "--steps", "40", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format_version"] == 1
    assert document["low"] < document["found"] < document["high"]
    assert document["steps"] == len(document["curve"]["rates"]) == len(document["curve"]["losses"]) == len(document["curve"]["smoothed"])
    assert document["tenth_of_lowest"] == pytest.approx(document["lowest"] / 10, rel=0.01)
    assert Path(document["plot"]).exists()


@pytest.mark.parametrize(("name", "beginning"), [("lr.svg", b"<svg"), ("lr.png", b"\x89PNG"), ("LR.PNG", b"\x89PNG")])
def test_a_plot_is_drawn_where_and_as_what_its_name_says(spec, searched, tmp_path, name, beginning):
    assert run(["lr-find", spec, "--store", searched, "--steps", "40", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(beginning)


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["--low", "10", "--high", "1"], "empty-range", "--low 1e-6 --high 1"),
        (["--low", "0"], "empty-range", "above 0"),
        (["--high", "11"], "empty-range", "up to 10"),
        (["--low", "nan"], "empty-range", "above 0"),
        (["--steps", "9"], "steps-out-of-bounds", "--steps 100"),
        (["--steps", "100001"], "steps-out-of-bounds", "--steps 100"),
        (["-o", "plot.jpeg"], "unknown-format", ".svg or .png"),
        (["-o", "/nowhere/at/all.svg"], "missing-folder", "another place"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_anything_is_run(spec, tmp_path, capsys, monkeypatch, arguments, code, hint):
    monkeypatch.chdir(tmp_path)
    assert run(["lr-find", spec, "--store", str(tmp_path / "store"), "--json", *arguments]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    assert hint in error["hint"]
    assert not (tmp_path / "store").exists()


def test_an_invalid_spec_exits_3_with_its_diagnostics(spec, tmp_path, capsys):
    assert run(["lr-find", spec, "--store", str(tmp_path / "s"), "--set", "nope=1"]) == 3
    assert "unknown-key" in capsys.readouterr().err


def test_the_curve_in_characters_reads_as_it_should():
    golden("range_test.txt", "\n".join(range_lines(RATES, LOSSES, mark=3e-2, columns=90)) + "\n")


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_curve_fits_the_terminal_and_its_mark_stands_under_its_rate(columns):
    lines = range_lines(RATES, LOSSES, mark=RATES[60], columns=columns)
    assert max(map(len, lines)) <= max(columns, 25)
    left = lines[0].index("|")
    at, width = lines[-2].index("^") - left - 1, len(lines[-2]) - left - 1
    assert at / (width - 1) == pytest.approx(60 / 99, abs=1 / width)


@pytest.mark.parametrize("losses", [[2.0] * 5, [1.0, 2.0, 3.0, 4.0, 9e9], [0.0, -1.0, -2.0, -3.0, -4.0]])
def test_any_curve_can_be_drawn_in_characters(losses):
    assert len(range_lines([1e-3, 1e-2, 0.1, 1.0, 10.0], losses, mark=0.1, columns=60)) == 11
