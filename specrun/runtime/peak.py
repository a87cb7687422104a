"""The most memory that this process has held at once. Torch-free."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


def peak_resident_bytes() -> int:
    """Largest resident memory so far, of the program that runs now.

    On Linux `getrusage` also counts what the process held before it became this program: a child of a large process would begin with
    its parent's peak. So it is asked only where the system does not tell better.
    """
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="ascii", errors="replace"))
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
