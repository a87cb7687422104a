"""What is said when a dataset cannot be loaded or prepared, by the errors that the libraries raise."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from specrun.errors import DataError
from specrun.sources.contract import SourceUnavailable
from specrun.sources.huggingface.failures import cannot_load, cannot_prepare, wrong_config
from specrun.sources.huggingface.options import Options
from specrun.sources.huggingface.reach import cache_only, expected_errors, library, why_unreachable

OPTIONS = Options(kind="huggingface", path="owner/name", revision="v1")


class GatedRepoError(OSError):
    """Named as the Hub's own."""


class ConnectError(Exception):
    """Named as the HTTP client's own."""


def answered(status: int) -> Exception:
    """An error that carries the Hub's answer."""
    error = OSError(f"status {status}")
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def loading(error: Exception, *, folder: Path | None = None, **more: Any) -> DataError:
    return cannot_load(OPTIONS, error, folder=folder, data_root=more.pop("data_root", None), **more)


@pytest.mark.parametrize(
    ("error", "code", "out_of_reach"),
    [
        (caused(ValueError("no"), GatedRepoError("terms")), "gated-dataset", True),
        (ValueError("Dataset 'owner/name' is a gated dataset on the Hub."), "gated-dataset", True),
        (ValueError("Revision 'v1' doesn't exist for dataset 'owner/name' on the Hub."), "unknown-revision", False),
        (RuntimeError("Dataset scripts are no longer supported, but found name.py"), "dataset-needs-code", False),
        (caused(ValueError("no"), ConnectError("refused")), "hub-unreachable", True),
        (answered(503), "hub-unreachable", True),
        (answered(429), "hub-unreachable", True),
        (answered(404), "unknown-dataset", True),
        (answered(401), "unknown-dataset", True),
        (ValueError("something\n  about   files"), "not-a-dataset", False),
        (OSError(errno.ENOSPC, "No space left on device", "/cache"), "disk-full", False),
        (caused(ValueError("no"), OSError(errno.EROFS, "Read-only file system", "/cache")), "unwritable-cache", False),
    ],
)
def test_each_failure_to_load_has_its_code_and_only_distance_asks_for_the_fallback(error: Exception, code: str, out_of_reach: bool) -> None:
    said = loading(error)
    assert said.code == code
    assert isinstance(said, SourceUnavailable) == out_of_reach
    assert "owner/name" in said.message or "/cache" in said.message
    assert "\n" not in said.message
    assert said.hint


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/cache"), "disk-full"),
        (PermissionError(errno.EACCES, "Permission denied", "/cache"), "unwritable-cache"),
        (caused(ValueError("no"), ConnectError("reset")), "hub-unreachable"),
        (answered(500), "hub-unreachable"),
        (caused(ValueError("An error occurred"), ValueError("parquet is cut short")), "unreadable-dataset"),
    ],
)
def test_each_failure_to_prepare_has_its_code(error: Exception, code: str) -> None:
    said = cannot_prepare(OPTIONS, error)
    assert said.code == code
    assert said.hint
    if code == "unreadable-dataset":
        assert "parquet is cut short" in said.message


def test_a_folder_is_never_out_of_reach(tmp_path: Path) -> None:
    said = loading(ConnectError("refused"), folder=tmp_path)
    assert said.code == "not-a-dataset"
    assert not isinstance(said, SourceUnavailable)


def test_a_dead_network_is_named_with_its_reason_and_the_mirrors_that_were_looked_at(tmp_path: Path) -> None:
    (tmp_path / "owner" / "nam").mkdir(parents=True)
    said = loading(ValueError("x"), cut_off="ConnectError: refused", data_root=tmp_path)
    assert said.code == "hub-unreachable"
    assert "ConnectError: refused; and it is not in the cache" in said.message
    assert f"{tmp_path} has no owner/name, but {tmp_path / 'owner' / 'nam'}" in said.message


def test_a_message_of_the_library_is_cut_to_a_line() -> None:
    said = loading(ValueError("word " * 500))
    assert len(said.message) < 400


def test_errors_that_cause_one_another_in_a_ring_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert loading(first).code == "not-a-dataset"


def test_a_configuration_that_is_misspelt_or_left_out_is_answered_with_one() -> None:
    misspelt = wrong_config(Options(kind="huggingface", path="a/b", config="wikitxt"), ["other", "wikitext"])
    assert (misspelt.code, misspelt.hint) == ("unknown-config", "set data.source.config: wikitext")
    left_out = wrong_config(Options(kind="huggingface", path="a/b"), ["other", "wikitext"])
    assert (left_out.code, left_out.hint) == ("missing-config", "set data.source.config: other")


def test_the_librarys_own_errors_are_expected_and_bugs_are_not() -> None:
    library()
    from datasets.exceptions import DatasetGenerationError
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    for error in (DatasetGenerationError, HfHubHTTPError, RepositoryNotFoundError, ConnectionError):
        assert issubclass(error, expected_errors())
    for bug in (AssertionError, AttributeError, NameError, KeyboardInterrupt, MemoryError):
        assert not issubclass(bug, expected_errors())


def test_offline_mode_holds_inside_and_is_put_back_even_after_an_error() -> None:
    library()
    from huggingface_hub import constants

    def fail_inside() -> None:
        with cache_only():
            assert constants.HF_HUB_OFFLINE
            assert why_unreachable() == "HF_HUB_OFFLINE is set"
            raise KeyError

    before = constants.HF_HUB_OFFLINE
    with pytest.raises(KeyError):
        fail_inside()
    assert before == constants.HF_HUB_OFFLINE


SILENCE = """
import os
from specrun.sources.huggingface.reach import library
datasets = library()
assert datasets.are_progress_bars_disabled()
assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
assert os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] == "0"
assert not datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
"""


def test_the_library_is_silent_and_reports_to_nobody() -> None:
    # In a process of its own: what it is told counts when it is imported, and another test may have done that.
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    subprocess.run([sys.executable, "-c", SILENCE], check=True, env=own)
