"""Exit codes are frozen: scripts rely on them."""

from __future__ import annotations

import inspect
import signal
import sys
from pathlib import Path

import pytest

from specrun import errors
from specrun.cli.commands import app


def test_exit_codes_are_frozen():
    classes = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, errors.SpecrunError)}
    assert {name: cls.exit_code for name, cls in classes.items()} == {
        "SpecrunError": 1,
        "UsageError": 2,
        "SpecError": 3,
        "GateFailed": 4,
        "LockedError": 5,
        "StalePlanError": 7,
        "ExportError": 8,
        "DataError": 1,
        "StoreError": 1,
        "StorageFailure": 1,
        "MissingExtraError": 1,
        "InterruptedRun": 1,
    }
    assert (errors.EXIT_OK, errors.EXIT_CHANGES) == (0, 6)
    assert errors.InterruptedRun("x", signal_number=2).exit_code == 130
    assert errors.InterruptedRun("x", signal_number=15).exit_code == 143


@pytest.mark.skipif(sys.platform != "linux", reason="the number of SIGUSR1 is another elsewhere")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_every_signal_that_asks_for_an_end_is_documented_with_its_exit_code(name):
    code = errors.InterruptedRun("x", signal_number=signal.Signals[name]).exit_code
    told = {"SIGINT": "Ctrl-C"}.get(name, name)
    assert f"{code} {told}" in " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    assert f"{code} ({told})" in app.info.epilog


def test_every_public_error_is_listed():
    public = {name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__}
    assert public <= set(errors.__all__) | {"SpecrunError"}
