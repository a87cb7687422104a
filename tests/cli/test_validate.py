"""`specrun validate`: exit codes, formats, discovery, and what it must not import."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from specrun.cli.main import run
from specrun.errors import UsageError
from specrun.spec.discovery import find_specs, looks_like_spec

VALID = "version: 1\nname: a\ntask: {kind: causal_lm}\ndata:\n  source: {kind: synthetic}\n  split: {kind: ratio}\nmodel: {kind: gpt}\n"
HEAVY = (
    "torch",
    "duckdb",
    "datasets",
    "optuna",
    "onnx",
    "jinja2",
    "rich",
    "numpy",
    "pyarrow",
    "transformers",
    "altair",
    "vl_convert",
    "tokenizers",
)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(VALID)
    (tmp_path / "bad.yaml").write_text(VALID + "batch_size: 3\nschedule: {batch_size: 0}\n")
    return tmp_path


def test_a_valid_spec_exits_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "good.yaml"]) == 0
    assert capsys.readouterr().out == "good.yaml is valid\n"


def test_an_invalid_spec_exits_3_and_tells_every_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "good.yaml", "bad.yaml"]) == 3
    out = capsys.readouterr().out
    assert "bad.yaml:8:1 unknown-key" in out
    assert "bad.yaml:9:24 out-of-range" in out
    assert out.endswith("2 errors in 1 of 2 files\n")


def test_a_file_that_is_not_there_is_a_usage_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "god.yaml"]) == 2
    assert "did you mean good.yaml?" in capsys.readouterr().err
    assert run(["validate"]) == 2
    assert run(["validate", "good.yaml", "--format", "xml"]) == 2
    assert run(["validate", "good.yaml", "--set", "name"]) == 2


def test_standard_input_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(VALID.encode() + b"zzz: 1\n")))
    assert run(["validate", "-"]) == 3
    assert "<stdin>:8:1 unknown-key" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "json"]])
def test_json_is_one_document_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["validate", "bad.yaml", *arguments]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["error_count"]) == (False, 2)
    assert [(d["file"], d["line"], d["column"], d["code"]) for d in document["diagnostics"]] == [
        ("bad.yaml", 8, 1, "unknown-key"), ("bad.yaml", 9, 24, "out-of-range"),
    ]  # fmt: skip
    assert run(["validate", "good.yaml", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True


@pytest.mark.parametrize("form", ["github", "gitlab", "sarif", "junit"])
def test_every_format_names_the_code_and_keeps_the_exit_code(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(["validate", "bad.yaml", "--format", form]) == 3
    assert "out-of-range" in capsys.readouterr().out
    assert run(["validate", "good.yaml", "--format", form]) == 0


def test_set_and_preset_are_checked_like_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "good.yaml", "--set", "schedule.batch_size=0"]) == 3
    assert "--set:1:21 out-of-range" in capsys.readouterr().out
    assert run(["validate", "good.yaml", "--preset", "quality"]) == 0
    assert run(["validate", "good.yaml", "--preset", "best"]) == 2


@pytest.mark.parametrize(("other", "code"), [("bad.yaml", 3), ("good.yaml", 2)])
def test_a_file_that_cannot_be_opened_hides_nothing_of_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], other: str, code: int
) -> None:
    (folder / "a-folder").mkdir()
    (folder / "a-folder" / "c.yaml").write_text(VALID)
    assert run(["validate", "godo.yaml", other, "\x1b.yaml", "a-folder"]) == code
    out = capsys.readouterr().out
    assert "godo.yaml:1:1 unreadable-spec: No such file or directory; did you mean good.yaml?" in out
    assert ("bad.yaml:9:24 out-of-range" in out) == (other == "bad.yaml")
    assert run(["validate", "godo.yaml", other, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    assert not document["valid"]
    assert "unreadable-spec" in {found["code"] for found in document["diagnostics"]}


def test_a_file_of_data_that_is_missing_is_told_at_its_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.yaml").write_text(VALID.replace("{kind: synthetic}", "{kind: text, path: corpus.txt}"))
    assert run(["validate", "text.yaml"]) == 3
    assert "text.yaml:5:30 missing-file" in capsys.readouterr().out
    Path("corpus.txt").write_text("some text")
    assert run(["validate", "text.yaml"]) == 0


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_missing_file_is_told_beside_everything_else_that_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = VALID.replace("{kind: synthetic}", "{kind: text, path: no.txt}") + "seeds: [x]\n"
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    assert run([command, "bad.yaml"]) == 3
    out, err = capsys.readouterr()
    assert all(f"bad.yaml:{line}:" in out + err for line in (5, 8))
    assert "missing-file" in out + err
    assert "wrong-type" in out + err


def test_folders_are_searched_for_specs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sub" / ".hidden").mkdir(parents=True)
    (folder / "sub" / "c.yml").write_text(VALID)
    (folder / "sub" / ".hidden" / "d.yaml").write_text("version: 1\ntask: 3\n")
    (folder / "sub" / "compose.yaml").write_text("version: 1\nservices: {}\n")
    (folder / "sub" / "notes.txt").write_text(VALID)
    (folder / "sub" / "child.yaml").write_text("extends: c.yml\n")
    assert find_specs(["."]).files == ["bad.yaml", "good.yaml", "sub/c.yml", "sub/child.yaml"]
    assert run(["validate", "sub"]) == 0
    assert capsys.readouterr().out == "2 files are valid\n"
    assert find_specs(["sub", "sub/c.yml", "sub"]).files == ["sub/c.yml", "sub/child.yaml"]


@pytest.mark.parametrize(("count", "said"), [(0, ""), (1, "; 1 other YAML file"), (2, "; 2 other YAML files")])
def test_a_folder_without_a_spec_is_a_usage_error(tmp_path: Path, count: int, said: str) -> None:
    for number in range(count):
        (tmp_path / f"{number}.yaml").write_text("services: {}\n")
    with pytest.raises(UsageError) as caught:
        find_specs([str(tmp_path)])
    assert caught.value.message == f"{tmp_path}: no spec in this folder{said}"


def test_what_a_searched_folder_holds_besides_specs_is_said_to_be_skipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistyped = VALID.replace("task:", "tsak:")
    for name in ("mistyped", "named"):
        (folder / f"{name}.yaml").write_text(mistyped)
    run(["validate", ".", "named.yaml", "--json"])
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["files"], document["skipped"]) == (["bad.yaml", "good.yaml", "named.yaml"], ["mistyped.yaml"])
    assert err == (
        "skipped 1 YAML file without version and task, or extends, at the top level: mistyped.yaml; name it to check it\n"
    )  # fmt: skip


def test_a_long_list_of_skipped_files_is_cut_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(7):
        (folder / f"n{number}.yaml").write_text("a: 1\n")
    run(["validate", "."])
    assert ": n0.yaml, n1.yaml, n2.yaml, n3.yaml, n4.yaml and 2 more; name one to check it\n" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_counts_as_a_spec(tmp_path: Path) -> None:
    assert looks_like_spec(tmp_path / "gone.yaml")


@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("keys", [("version: 1", "name: a", "task: {kind: causal_lm}"), ("extends: base.yaml", "name: a")])
def test_whatever_can_be_read_as_a_spec_is_found(tmp_path: Path, keys: tuple[str, ...], mark: bytes, newline: str, quote: str) -> None:
    lines = [f"{quote}{key}{quote}:{value}" for key, value in (line.split(":", 1) for line in keys)]
    (tmp_path / "a.yaml").write_bytes(mark + newline.join(lines).encode())
    assert looks_like_spec(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_bytes(mark + newline.join(f"  {line}" for line in lines).encode())
    assert not looks_like_spec(tmp_path / "a.yaml")


def test_warnings_leave_the_exit_code_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("warn.yaml").write_text(VALID + "schedule: {duration: 3 steps, evaluate: {every: 9 steps}}\n")
    assert run(["validate", "warn.yaml"]) == 0
    out = capsys.readouterr().out
    assert "warning: cadence-exceeds-duration" in out
    assert out.endswith("warn.yaml is valid, 1 warning\n")


def modules_after(code: str, *arguments: str) -> set[str]:
    """Top-level names of what a fresh process has imported when the command has ended."""
    script = f"import sys; sys.argv = ['specrun', *sys.argv[1:]]\n{code}\nprint(); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


RUN = "import specrun.cli.main as m, os; os.environ.setdefault('PYDANTIC_DISABLE_PLUGINS', '__all__'); assert m.run(sys.argv[1:]) == 0"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "--help"], ["validate", "specs/quickstart.yaml"], ["validate", "specs/gpt_wikitext.yaml"],
                  ["explain", "specs/quickstart.yaml"]]
)  # fmt: skip
def test_validating_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = modules_after(RUN, *arguments)
    assert not {name for name in loaded if name.partition(".")[0] in HEAVY}


def test_validating_imports_only_the_kinds_that_are_named() -> None:
    loaded = modules_after(RUN, "validate", "specs/quickstart.yaml")
    assert "specrun.sources.python_docs.options" in loaded
    assert "specrun.sources.huggingface.options" not in loaded
    assert "specrun.training.learning_rates.wsd" not in loaded


def test_the_check_notices_a_heavy_import() -> None:
    loaded = modules_after(f"import numpy\n{RUN}", "--help")
    assert "numpy" in loaded & set(HEAVY)


def test_the_command_line_keeps_pydantic_from_loading_plugins() -> None:
    call = "m.main(['validate', 'specs/quickstart.yaml'])"
    check = "assert os.environ['PYDANTIC_DISABLE_PLUGINS'] == '__all__'"
    code = f"import specrun.cli.main as m, os\ntry: {call}\nexcept SystemExit: pass\n{check}"
    assert "specrun.spec.assembly" in modules_after(code)
