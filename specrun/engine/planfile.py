"""Saved plans: what was decided, from which command line, so that apply can refuse when it no longer holds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from specrun import __version__
from specrun.engine.folds import PlanOfFolds
from specrun.engine.plan import Plan, Request, spec_options
from specrun.engine.prepare import prepare
from specrun.errors import SpecError, StalePlanError, UsageError
from specrun.plan.compare import changes
from specrun.records.atomic import atomic_write
from specrun.records.place import command_on
from specrun.spec.own_path import Permission

_MARK = "specrun-plan"
_COST = {"skip": 0, "cached": 0, "resume": 1, "run": 2}
"""How much work an action is; a plan that would do more than was shown is stale, one that would do less is not."""


def write_plan(prepared: Plan | PlanOfFolds, path: Path) -> None:
    """Save a plan. Raises UsageError for a plan of standard input or of a loaded spec, which could not be read again."""
    request = prepared.request
    if not isinstance(request.source, str) or request.source == "-":
        what = "standard input" if request.source == "-" else "a spec in memory"
        raise UsageError(f"a plan of {what} cannot be saved", code="plan-without-file", hint="write the spec to a file first")
    document = {
        "format": _MARK,
        "format_version": 1,
        "specrun": __version__,
        "request": {
            "source": str(Path(request.source).absolute()),
            "sets": list(request.sets),
            "preset": request.preset,
            "data_root": str(request.data_root.absolute()) if request.data_root else None,
            "resume": request.resume,
            "fork": request.fork,
            "allow_code": list(request.allow_code),
            "folder": str(Path.cwd()),
        },
        "steps": [{"id": d.step.id, "key": d.step.key, "action": d.action, "options": d.step.options} for d in prepared.decisions],
    }
    atomic_write(path, json.dumps(document, indent=1) + "\n")


def is_plan(path: Path) -> bool:
    """Whether a file is a saved plan. What is no file, such as a pipe, can be read once alone, so it is left untouched: it is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return f'"format": "{_MARK}"'.encode() in file.read(200)
    except OSError:
        return False


def prepare_plan(
    path: Path, *, store: Path, command: tuple[str, ...] | None = None, allow_code: tuple[str, ...] = ()
) -> Plan | PlanOfFolds:
    """Plan again from a saved plan's command line. command, allow_code: see `Request`; a file allows no code by itself.

    Raises StalePlanError where the outcome differs from what was saved.
    """
    saved = _read(path)
    asked = saved["request"]
    if Path(asked["folder"]) != Path.cwd() and asked["sets"]:
        raise StalePlanError(
            f"{path} was made in {asked['folder']}, where the paths of its --set values start",
            code="plan-of-another-folder",
            hint=f"run apply in {shlex.quote(asked['folder'])}, or plan again here: {_plan_again(path, asked, store)}",
        )
    permission = Permission(allow_code)
    if refused := [prefix for prefix in asked.get("allow_code", ()) if not permission.allows(prefix)]:
        raise UsageError(f"{path} was made with code of {', '.join(refused)}, which a saved plan cannot allow", code="code-not-allowed",
                         hint=f"if you trust it, add {shlex.join(spec_options(allow_code=refused))}")  # fmt: skip
    request = Request(
        asked["source"],
        store,
        tuple(asked["sets"]),
        asked["preset"],
        Path(asked["data_root"]) if asked["data_root"] else None,
        command=command,
        resume=asked.get("resume"),
        fork=bool(asked.get("fork")),
        allow_code=allow_code,
    )
    try:
        prepared = prepare(request)
    except SpecError as error:
        raise StalePlanError(
            f"{path} was made from a spec that is not valid any more: {error.message}",
            code="stale-plan",
            hint=f"mend {shlex.quote(asked['source'])} and plan again: {_plan_again(path, asked, store)}",
        ) from error
    _refuse_if_stale(path, saved, prepared, again=_plan_again(path, asked, store))
    return prepared


def _plan_again(path: Path, asked: dict[str, Any], store: Path) -> str:
    """The command line that makes the saved plan anew, with all it was made with."""
    words = ["plan", asked["source"], "-o", str(path)]
    words += spec_options(sets=asked["sets"], preset=asked["preset"], data_root=asked["data_root"],
                          allow_code=asked.get("allow_code", ()))  # fmt: skip
    words += ["--resume", asked["resume"]] if asked.get("resume") else []
    words += ["--fork"] if asked.get("fork") else []
    return command_on(store, *words)


def _refuse_if_stale(path: Path, saved: dict[str, Any], prepared: Plan | PlanOfFolds, *, again: str) -> None:
    """Results that came since, such as what a finder found, make the same plan more exact, not stale."""
    before = {step["id"]: step for step in saved["steps"]}
    for decision in prepared.decisions:
        step, old = decision.step, before.get(decision.step.id)
        if old is None:
            what = f"step {step.id} is new"
        elif old["key"] not in {step.key, *prepared.passed_keys.get(step.id, ())}:
            differing = changes(old["options"], step.options)
            what = f"step {step.id} has changed" + (f": {differing[0]}" if differing else ": its input is another")
        elif _COST[old["action"]] < _COST[decision.action]:
            what = f"step {step.id} was {old['action']} and would now {decision.action}"
        else:
            continue
        raise StalePlanError(
            f"{path} does not hold any more: {what}",
            code="stale-plan",
            hint=f"plan again: {again}",
        )
    if len(before) != len(prepared.decisions):
        raise StalePlanError(f"{path} has steps that the spec no longer asks for", code="stale-plan", hint=f"plan again: {again}")


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        version = int(document["format_version"])
        if version == 1:
            _ = document["request"]["source"], document["request"]["folder"], document["request"]["sets"]
            _ = [(step["id"], step["key"], step["options"], _COST[step["action"]]) for step in document["steps"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not a saved plan: {error}", code="unreadable-plan", hint="make one with: specrun plan SPEC -o FILE"
        ) from error
    if version > 1:
        raise StalePlanError(
            f"{path} was made by a newer specrun (format {version})", code="newer-plan", hint="plan again, or upgrade specrun"
        )
    return document
