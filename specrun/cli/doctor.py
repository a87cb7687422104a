"""`specrun doctor`: what this machine and installation can do."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from specrun.cli import options
from specrun.spec.visible import visible_line

_PACKAGES = (
    "torch", "numpy", "datasets", "tokenizers", "safetensors", "duckdb", "pyarrow", "pydantic", "pyyaml", "typer", "rich", "jinja2",
    "altair", "vl-convert-python",
)  # fmt: skip
"""What specrun needs."""


def run(store: options.Store = options.DEFAULT_STORE, as_json: options.Json = False) -> int:
    """Examine machine, installation and store."""
    findings = [*_machine(), *_installation(), _store(store)]
    exit_code = 1 if any(finding["state"] == "broken" for finding in findings) else 0
    if as_json:
        print(json.dumps({"format_version": 1, "checks": findings, "exit_code": exit_code}, indent=2, ensure_ascii=False))
    else:
        width = max(len(finding["check"]) for finding in findings)
        for finding in findings:
            print(f"{finding['state']:<11} {finding['check']:<{width}}  {visible_line(finding['detail'])}")
    return exit_code


def _machine() -> list[dict[str, Any]]:
    from specrun.plan import figures
    from specrun.runtime.hardware import bfloat16_reason, probe

    machine = probe()
    able = bfloat16_reason(machine, machine.gpus[0] if machine.gpus else None)
    gpus = ", ".join(f"{gpu.name} ({figures.size(gpu.memory_bytes)})" for gpu in machine.gpus)
    return [
        _finding("processor", "ok", f"{machine.processor}, {machine.cores} cores, {figures.size(machine.memory_bytes)} memory"),
        _finding("CUDA device", "ok" if gpus else "unavailable", gpus or _why_no_gpu()),
        _finding("bfloat16", "ok" if able.value == "yes" else "unavailable", able.reason),
    ]


def _why_no_gpu() -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return "nvidia-smi not found, or it lists no device"
    return f"CUDA_VISIBLE_DEVICES={visible!r} shows none of those that nvidia-smi lists, if it lists any"


def _installation() -> list[dict[str, Any]]:
    from importlib.metadata import PackageNotFoundError, version

    from specrun import __version__
    from specrun.engine.environment import python_version
    from specrun.errors import SpecrunError
    from specrun.resources import schema_file, template_folder

    found = [_finding("specrun", "ok", f"{__version__} on {python_version()}")]
    for name in _PACKAGES:
        try:
            found.append(_finding(name, "ok", version(name)))
        except PackageNotFoundError:
            found.append(_finding(name, "broken", f"not installed; pip install {name}"))
    try:
        folder, schema = template_folder("report"), schema_file("experiment.schema.json")
        found.append(_finding("templates", "ok", f"{folder.parent} and {schema.name}"))
    except (SpecrunError, OSError) as error:
        found.append(_finding("templates", "broken", str(error)))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if importlib.util.find_spec("transformers"):
        found.append(_finding("transformers", "ok", version("transformers")))
    if chromium:
        found.append(_finding("browser", "ok", chromium))
    return found


def _store(store: Path) -> dict[str, Any]:
    """Look at the store without making one."""
    from specrun.engine.workspace import Workspace
    from specrun.errors import SpecrunError
    from specrun.plan import figures

    standing = _nearest_existing(store.absolute())
    if not standing.is_dir():
        return _finding("store", "broken", f"{standing} is not a folder; choose another place with --store DIR")
    try:
        workspace = Workspace(store)
    except SpecrunError as error:
        return _finding("store", "broken", "; ".join(str(error).split("\n  ")))
    if not os.access(standing, os.W_OK | os.X_OK):
        return _finding("store", "broken", f"{standing} cannot be written; choose another place with --store DIR or SPECRUN_STORE")
    free = f"{figures.size(shutil.disk_usage(standing).free)} free"
    if standing != store.absolute():
        return _finding("store", "ok", f"{store} does not exist yet; {free} there")
    runs = sum(1 for _ in workspace.runs.glob("*/run.json"))
    return _finding("store", "ok", f"{store}, {runs} run{'' if runs == 1 else 's'}, {free}")


def _nearest_existing(path: Path) -> Path:
    """The path, or the deepest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _finding(check: str, state: str, detail: str) -> dict[str, Any]:
    return {"check": check, "state": state, "detail": detail}
