"""Trains on a small corpus and then on a large one, and prints how much memory of its own each took at most. Holds no test.

    python bounded_memory.py FOLDER SMALL LARGE

FOLDER: holds the specs SMALL and LARGE. Memory of its own is what no file stands behind (RssAnon): the system can take back the pages of
a mapped file. What the small one takes is that of the libraries, the model and the training.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import specrun


def own_bytes() -> int:
    """Resident memory of this process that no file stands behind."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


def peak_of(folder: Path, spec: str) -> tuple[str, int]:
    """How a training ended, and the most memory it took, looked at a hundred times a second."""
    seen, over = [own_bytes()], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen.append(max(seen.pop(), own_bytes()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    outcome = specrun.apply(specrun.compile_plan(folder / spec, store=folder / "store"))
    over.set()
    watcher.join()
    return outcome.runs[0].status, seen[0]


if __name__ == "__main__":
    at, *names = sys.argv[1:]
    print(json.dumps([peak_of(Path(at), name) for name in names]))
