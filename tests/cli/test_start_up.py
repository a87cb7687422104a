"""What planning and a finished apply import: no training library, no database, no terminal toolkit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.engine.conftest import TINY, applied_store, store  # noqa: F401 - fixtures

HEAVY = {"torch", "duckdb", "datasets", "optuna", "onnx", "jinja2", "altair", "pyarrow", "tokenizers", "transformers", "pandas"}


def imported(*arguments: str, more: str = "") -> set[str]:
    """The top-level modules that a command line has loaded by its end."""
    names = "{m.partition('.')[0] for m in sys.modules}"
    code = f"import sys\nfrom specrun.cli.main import run\n{more}\nrun(sys.argv[1:])\nprint()\nprint(*{names})"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_finished_experiment_is_planned_and_applied_without_heavy_imports(spec, store, command):  # noqa: F811
    assert imported(command, spec, "--store", str(store)) & HEAVY == set()


def test_the_check_would_notice_a_heavy_import(spec, store):  # noqa: F811
    assert "tokenizers" in imported("plan", spec, "--store", str(store), more="import tokenizers")
