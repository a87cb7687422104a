"""Exit codes are frozen: scripts rely on them."""

from __future__ import annotations

import inspect

from specrun import errors


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


def test_every_public_error_is_listed():
    public = {name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__}
    assert public <= set(errors.__all__) | {"SpecrunError"}
