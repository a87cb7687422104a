"""Workers that fail before they do anything of their step."""

from __future__ import annotations

import pytest

from specrun.errors import SpecrunError
from tests.engine import test_torchrun
from tests.engine.test_torchrun import settings, train_on_two

pytestmark = pytest.mark.slow
in_workers = test_torchrun.in_workers


def test_a_worker_that_has_no_log_says_so_and_is_not_started_again(tmp_path):
    (tmp_path / "run" / "workers" / "rank-0.log").mkdir(parents=True)
    with pytest.raises(SpecrunError, match=r"rank-0\.log: is a directory"):
        train_on_two(tmp_path / "run", settings(), tmp_path)
    assert (tmp_path / "run" / "workers" / "torchrun.log").read_text().count("Traceback") <= 2


def test_workers_that_end_as_they_start_are_started_three_times_again(tmp_path, in_workers):
    in_workers("os._exit(7)")
    with pytest.raises(SpecrunError, match=r"again after each of 3 new starts: rank . ended with exit code 7"):
        train_on_two(tmp_path / "run", settings(), tmp_path)
