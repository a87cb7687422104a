"""Owns the text of `specrun runs show`: plain data in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specrun.cli.tables import table
from specrun.plan import figures
from specrun.plan.start import NOT_POSSIBLE, kept_of_parent
from specrun.records.seeds import counted
from specrun.spec.visible import visible_line

__all__ = ["show_text"]


def show_text(run: Mapping[str, Any]) -> str:
    """A run on a page: state, setting, attempts, metrics, steps, warnings, artifacts."""
    return "\n".join([*_head(run), *_attempts(run), *_metrics(run), *_seeds(run), *_steps(run), *_alerts(run), *_artifacts(run)])


def _head(run: Mapping[str, Any]) -> Iterator[str]:
    document = run["document"]
    reason = f": {visible_line(run['reason'])}" if run["reason"] else ""
    yield f"{visible_line(run['run_id'])}  {run['status']}{reason}"
    attempts = f"{run['attempts']} attempt{'s' if run['attempts'] != 1 else ''}"
    facts = {
        "name": run["name"],
        "task": f"{run['task']}, seed {run['seed']}" + (f", fold {run['fold']} of {run['folds']}" if run["fold"] else ""),
        "started": f"{run['started_at']}, {figures.seconds(run['duration_s'])}, {attempts}",
        "parent": _parent(run),
        "tags": ", ".join(run["tags"]),
        "hardware": " ".join(str(document.get("hardware", {}).get(key, "")) for key in ("kind", "name", "precision")).strip(),
        "git": _git(document.get("git") or {}),
        "command": str(document.get("command") or ""),
        "comparable": "" if run["comparable"] else "no: it used a fallback source",
        "folder": run["folder"],
    }
    yield from (f"  {name:<10}  {visible_line(text)}" for name, text in facts.items() if text)
    for gate in (run["final"] or {}).get("gates", ()):
        verdict = "passed" if gate["passed"] else "FAILED"
        yield f"  {'expect':<10}  {visible_line(gate['expression'])}: {verdict}" + (
            f", {figures.number(gate['value'])}" if gate.get("value") is not None else ""
        )


def _parent(run: Mapping[str, Any]) -> str:
    start = run["document"].get("start") or {}
    if not start:
        return ""
    kept = kept_of_parent(start, possible=all(alert["code"] != NOT_POSSIBLE for alert in run["alerts"]))
    return f"{start.get('run_id')}, step {start.get('step')}: {kept}"


def _git(git: Mapping[str, Any]) -> str:
    return f"{git.get('commit', '')[:12]}{' with uncommitted changes' if git.get('dirty') else ''}" if git.get("commit") else ""


def _attempts(run: Mapping[str, Any]) -> Iterator[str]:
    """How each attempt went, where there was more than one."""
    if len(run["attempts_made"]) > 1:
        rows = [
            (str(one["attempt"]), one["started_at"], one["resumed_from"], figures.seconds(one["seconds"]), one["status"], one["reason"])
            for one in run["attempts_made"]
        ]
        yield ""
        yield table(("ATTEMPT", "STARTED", "FROM STEP", "TIME", "STATUS", "REASON"), rows)


def _metrics(run: Mapping[str, Any]) -> Iterator[str]:
    curves = {line["metric"]: line for line in run["best"]}
    rows = []
    for name, value in run["metrics"].items():
        line = curves.get(name)
        if line is None:  # without a curve, a figure is what the end reported
            rows.append((name, value, None, None, None, None, None))
        else:
            steps = [line[key] if line[key] >= 0 else None for key in ("argmin", "argmax")]
            rows.append((name, line["final"], line["last"], line["minimum"], steps[0], line["maximum"], steps[1]))
    if rows:
        yield ""
        yield table(("METRIC", "FINAL", "LAST", "MIN", "AT STEP", "MAX", "AT STEP"), rows)


def _seeds(run: Mapping[str, Any]) -> Iterator[str]:
    """What the seeds and folds of the same experiment say together; nothing for a single run."""
    if len(run["seeds"]) > 1:
        what = counted(len(run["seeds"]), folds=len({other["fold"] for other in run["seeds"]} - {None}))
        measured = {name: spread for name, spread in run["over_seeds"].items() if name.startswith(("train/loss", "validation/", "test/"))}
        rows = [(name, spread["mean"], spread["standard_deviation"]) for name, spread in measured.items()]
        yield ""
        yield visible_line(
            f"{what} of this: " + ", ".join(f"{other['run_id']} ({other['fold'] or other['seed']})" for other in run["seeds"])
        )
        yield table(("METRIC", "MEAN", "STANDARD DEVIATION"), rows)


def _steps(run: Mapping[str, Any]) -> Iterator[str]:
    if run["steps"]:
        rows = [
            (step["id"], step["action"], _time(step["predicted"]), _time(step["actual"]), step["key"][:12], step["reason"])
            for step in run["steps"]
        ]
        yield ""
        yield table(("STEP", "ACTION", "PREDICTED", "ACTUAL", "KEY", "REASON"), rows)


def _time(cost: Mapping[str, float]) -> str:
    return figures.seconds(cost["seconds"]) if "seconds" in cost else ""


def _alerts(run: Mapping[str, Any]) -> Iterator[str]:
    if run["alerts"]:
        yield ""
    for alert in run["alerts"]:
        at = f" at step {alert['step']}" if alert["step"] is not None else ""
        yield f"{alert['level']} {visible_line(alert['code'])}{at}: {visible_line(alert['message'])}"


def _artifacts(run: Mapping[str, Any]) -> Iterator[str]:
    if run["artifacts"]:
        rows = [(item["role"], item["size_bytes"], item["sha256"][:12], item["path"]) for item in run["artifacts"]]
        yield ""
        yield table(("ARTIFACT", "BYTES", "SHA256", "PATH"), rows)
