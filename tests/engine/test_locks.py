"""Locks hold between processes and die with their process."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import textwrap

import pytest

from specrun.engine.locks import hold, removing, wait_for
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


def test_a_lock_whose_file_is_removed_while_it_is_taken_is_taken_anew(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    real, calls = fcntl.flock, []

    def flock(descriptor, operation):
        if not calls:
            path.unlink()  # another process swept it between our open and our lock
        calls.append(operation)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold(path, what="x"):
        assert path.exists()
        with pytest.raises(LockedError), hold(path, what="x"):
            pass
    assert len(calls) == 3


def test_who_is_swept_by_two_at_once_is_removed_once(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text("{}")
    with removing(path) as mine, removing(path) as other:
        assert (mine, other) == (True, False)
        assert path.read_text() == "{}", "whoever sweeps leaves no name in what it removes"
    with removing(path) as gone:
        assert not gone
    assert not path.exists()


def test_a_lock_that_is_held_is_not_swept(tmp_path, holder):
    before = (tmp_path / "a.lock").read_text()
    with removing(tmp_path / "a.lock") as mine:
        assert not mine
    assert (tmp_path / "a.lock").read_text() == before
