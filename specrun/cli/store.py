"""`specrun store`: doctor, rebuild."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.spec.visible import visible_line

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False, help="Check or rebuild the store of records.")


@app.command()
def doctor(store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Check every journal, document and the snapshot; change nothing. Exit 1 when something is wrong."""
    from specrun.records.check import check

    findings = check(store)
    errors = sum(finding.level == "error" for finding in findings)
    exit_code = 1 if errors else 0
    if json_:
        shown = [asdict(finding) for finding in findings]
        print(json.dumps({"format_version": 1, "healthy": not errors, "findings": shown, "exit_code": exit_code}, indent=2))
    else:
        for finding in findings:
            print(f"{finding.level} {finding.code}: {visible_line(finding.place)}: {visible_line(finding.message)}")
            print(f"  {visible_line(finding.remedy)}")
        print(f"{visible_line(str(store))}: " + (_count(errors, "error") if errors else "healthy"))
    raise typer.Exit(exit_code)


@app.command()
def rebuild(store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Make the snapshot anew from the journals alone."""
    from specrun.records.queries import open_records
    from specrun.records.store import rebuild as rebuild_snapshot

    rebuild_snapshot(store)
    with open_records(store) as records:
        _, [(runs, points)] = records.sql("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM metrics)")
    if json_:
        print(json.dumps({"format_version": 1, "runs": runs, "values": points}, indent=2))
    else:
        print(f"{visible_line(str(store))}: rebuilt from the journals, {_count(runs, 'run')}, {_count(points, 'value')}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
