"""Laws of how threads wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from specrun.runtime.threads import SPIN_COUNT, let_waiting_threads_sleep

REPORTING = """
import os
from specrun.engine.executors.local import load_runner
from specrun.steps.registry import step_kinds
load_runner(step_kinds()[0])
print(os.environ["GOMP_SPINCOUNT"])
"""


def test_waiting_threads_are_asked_to_sleep_soon() -> None:
    environment: dict[str, str] = {}
    let_waiting_threads_sleep(environment)
    assert environment == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_a_user_who_said_how_to_wait_is_obeyed(own: dict[str, str]) -> None:
    environment = dict(own)
    let_waiting_threads_sleep(environment)
    assert environment == own


def test_a_step_is_loaded_with_short_waits() -> None:
    own = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    silent = {name: value for name, value in os.environ.items() if name not in own}
    answer = subprocess.run([sys.executable, "-c", REPORTING], capture_output=True, text=True, check=True, env=silent)
    assert answer.stdout.split() == [str(SPIN_COUNT)]
