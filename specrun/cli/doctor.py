"""`specrun doctor`: what this machine and installation can do."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

from specrun.cli import options

_PACKAGES = ("torch", "datasets", "tokenizers", "safetensors", "duckdb", "pyarrow", "pydantic", "jinja2", "altair", "vl-convert-python")


def run(store: options.Store = options.DEFAULT_STORE, as_json: options.Json = False) -> int:
    """Examine machine, installation and store."""
    findings = [*_machine(), *_installation(), _store(store)]
    if as_json:
        print(json.dumps({"format_version": 1, "checks": findings}, indent=2))
    else:
        width = max(len(finding["check"]) for finding in findings)
        for finding in findings:
            print(f"{finding['state']:<11} {finding['check']:<{width}}  {finding['detail']}")
    return 1 if any(finding["state"] == "broken" for finding in findings) else 0


def _machine() -> list[dict[str, Any]]:
    from specrun.plan import figures
    from specrun.runtime.hardware import bfloat16_reason, probe

    machine = probe()
    able = bfloat16_reason(machine, machine.gpus[0] if machine.gpus else None)
    gpus = ", ".join(f"{gpu.name} ({figures.size(gpu.memory_bytes)})" for gpu in machine.gpus)
    return [
        _finding("processor", "ok", f"{machine.processor}, {machine.cores} cores, {figures.size(machine.memory_bytes)} memory"),
        _finding("CUDA device", "ok" if gpus else "unavailable", gpus or "nvidia-smi not found, or it lists no device"),
        _finding("bfloat16", "ok" if able.value == "yes" else "unavailable", able.reason),
    ]


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
    from specrun.engine.workspace import Workspace
    from specrun.errors import StoreError
    from specrun.plan import figures

    if not store.exists():
        free = shutil.disk_usage(store.absolute().parent).free
        return _finding("store", "ok", f"{store} does not exist yet; {figures.size(free)} free there")
    try:
        workspace = Workspace(store)
        workspace.prepare()
    except StoreError as error:
        return _finding("store", "broken", str(error))
    runs = sum(1 for path in workspace.runs.iterdir() if path.is_dir())
    return _finding("store", "ok", f"{store}, {runs} runs, {figures.size(shutil.disk_usage(store).free)} free")


def _finding(check: str, state: str, detail: str) -> dict[str, Any]:
    return {"check": check, "state": state, "detail": detail}
