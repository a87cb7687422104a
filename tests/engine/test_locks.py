"""Locks hold between processes and die with their process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from specrun.engine.locks import hold, wait_for
from specrun.errors import LockedError

HOLDER = """
    import sys, time
    from pathlib import Path
    from specrun.engine.locks import hold
    with hold(Path(sys.argv[1]), what="x"):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock file."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path / "a.lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_held_lock_is_refused_at_once_and_its_holder_named(tmp_path, holder):
    with pytest.raises(LockedError, match=f"process {holder.pid}") as caught, hold(tmp_path / "a.lock", what="run x"):
        pass
    assert caught.value.exit_code == 5


def test_a_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    with hold(tmp_path / "a.lock", what="run x"):
        assert (tmp_path / "a.lock").exists()


def test_waiting_says_so_once_and_goes_on_when_the_holder_dies(tmp_path, holder):
    said = []

    def on_wait(who):
        said.append(who)
        holder.kill()

    with wait_for(tmp_path / "a.lock", on_wait=on_wait):
        assert len(said) == 1
        assert str(holder.pid) in said[0]


def test_a_lock_can_be_taken_again_after_it_was_released(tmp_path):
    for _ in range(2):
        with hold(tmp_path / "sub" / "a.lock", what="x"):
            pass
    with pytest.raises(LockedError), hold(tmp_path / "b.lock", what="x"), hold(tmp_path / "b.lock", what="x"):
        pass
