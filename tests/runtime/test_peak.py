"""The peak of a process's memory: its own, not its parent's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from specrun.runtime import peak
from specrun.runtime.peak import peak_resident_bytes

TELL = "from specrun.runtime.peak import peak_resident_bytes; print(peak_resident_bytes())"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells it of the program alone")
def test_a_child_does_not_begin_with_the_peak_of_a_large_parent() -> None:
    held = np.ones(2**25)
    said = subprocess.run([sys.executable, "-c", TELL], check=True, capture_output=True, text=True).stdout
    assert 2**22 < int(said) < held.nbytes < peak_resident_bytes()


def test_where_the_system_does_not_tell_the_peak_is_that_of_the_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_STATUS", Path("/nowhere/status"))
    assert peak_resident_bytes() > 2**22
