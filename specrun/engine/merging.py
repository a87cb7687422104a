"""Brings the DuckDB snapshot of the records up to date, in a process of its own: this one has trained and must not import duckdb.

The journals are the truth; a snapshot that cannot be written is a warning, and made up for by whoever reads next.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from specrun.engine.executors.deaths import how_it_ended
from specrun.events import Alert, Emit


def merge_records(store: Path, *, show: Emit) -> None:
    """Have the snapshot of a store take in what was recorded since. show: told why, where that cannot be."""
    command = [sys.executable, "-P", "-m", "specrun.records.store", "merge", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        why = _why(done.stderr, done.returncode)
        show(Alert("warning", "snapshot-not-written", f"the index of the records was not updated, the records are whole: {why}"))


def _why(stderr: str, code: int) -> str:
    """What the process said: an error and its remedy, indented, or the last line of whatever else; else how it ended."""
    lines = stderr.strip().splitlines()
    if not lines:
        return f"the process that does it {how_it_ended(code)}"
    if len(lines) > 1 and lines[-1].startswith("  ") and not lines[-2].startswith(" "):
        return f"{lines[-2].partition(': ')[2]}; {lines[-1].strip()}"
    return lines[-1].strip()
