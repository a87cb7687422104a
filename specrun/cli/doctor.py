"""`specrun doctor`: what this machine, this installation and this store can do. Looks, and changes nothing."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from specrun.cli import options
from specrun.cli.finding import Finding
from specrun.spec.visible import visible_line

_CHECKED_BYTES = 50_000_000
"""Journals of so many bytes are read in about a second; those of a larger store are left to `specrun store doctor`."""


def run(store: options.Store = options.DEFAULT_STORE, as_json: options.Json = False) -> int:
    """Examine machine, installation and store."""
    from specrun.cli.doctor_installation import installation_findings
    from specrun.cli.doctor_machine import machine_findings, training_findings

    findings = [*machine_findings(), *training_findings(), *installation_findings(), *_store(store)]
    exit_code = 1 if any(finding.state == "broken" for finding in findings) else 0
    if as_json:
        shown = [asdict(finding) for finding in findings]
        print(json.dumps({"format_version": 1, "checks": shown, "exit_code": exit_code}, indent=2, ensure_ascii=False))
        return exit_code
    width = max(len(finding.check) for finding in findings)
    for group, members in itertools.groupby(findings, key=lambda finding: finding.group):
        print(group)
        for finding in members:
            print(f"  {finding.state:<11}  {finding.check:<{width}}  {visible_line(finding.detail)}")
    return exit_code


def _store(store: Path) -> Iterator[Finding]:
    """Look at the store without making one."""
    from specrun.engine.workspace import Workspace
    from specrun.errors import SpecrunError
    from specrun.plan import figures

    standing = _nearest_existing(store.absolute())
    if not standing.is_dir():
        yield Finding("store", "store", "broken", f"{standing} is not a folder; choose another place with --store DIR")
        return
    try:
        workspace = Workspace(store)
    except SpecrunError as error:
        yield Finding("store", "store", "broken", "; ".join(str(error).split("\n  ")))
        return
    if not os.access(standing, os.W_OK | os.X_OK):
        where = "choose another place with --store DIR or SPECRUN_STORE"
        yield Finding("store", "store", "broken", f"{standing} cannot be written; {where}")
        return
    free = f"{figures.size(shutil.disk_usage(standing).free)} free"
    if standing != store.absolute():
        yield Finding("store", "store", "ok", f"{store} does not exist yet; {free} there")
        return
    runs = sum(1 for _ in workspace.runs.glob("*/run.json"))
    yield Finding("store", "store", "ok", f"{store}, {runs} run{'' if runs == 1 else 's'}, {free}")
    if runs:
        yield _records(store, workspace.runs)


def _records(store: Path, runs: Path) -> Finding:
    """Whether every record can be read, where looking at all of them takes no time."""
    from specrun.errors import SpecrunError
    from specrun.records.place import command_on

    command = command_on(store, "store", "doctor")
    if sum(path.stat().st_size for path in runs.glob("*/events-*.jsonl")) > _CHECKED_BYTES:
        return Finding("store", "records", "ok", f"too many to look at here; `{command}` checks each")
    try:
        from specrun.records.check import check

        errors = sum(finding.level == "error" for finding in check(store))
    except (SpecrunError, ImportError) as error:
        return Finding("store", "records", "broken", "; ".join(str(error).split("\n  ")))
    if errors:
        return Finding("store", "records", "broken", f"{errors} error{'' if errors == 1 else 's'}; `{command}` tells them")
    return Finding("store", "records", "ok", "every line of every journal is sound")


def _nearest_existing(path: Path) -> Path:
    """The path, or the deepest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())
