"""What `doctor` says of the installation: versions of what specrun needs, extras, files of its own, tools beside it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from specrun import __version__
from specrun.cli.finding import Finding
from specrun.engine.environment import python_version
from specrun.errors import SpecrunError
from specrun.resources import schema_file, template_folder

_PACKAGES = (
    "torch", "numpy", "datasets", "tokenizers", "safetensors", "duckdb", "pyarrow", "pydantic", "pyyaml", "typer", "rich", "jinja2",
    "altair", "vl-convert-python", "psutil", "nvidia-ml-py", "pillow", "sacrebleu", "fsspec",
)  # fmt: skip
"""What specrun needs."""

_OF_EXTRA = re.compile(r"""^([A-Za-z0-9._-]+)[^;]*;.*extra\s*==\s*['"]([^'"]+)['"]""")


def installation_findings() -> Iterator[Finding]:
    """Whether everything is there that is needed, and what is there besides."""
    yield Finding("installation", "specrun", "ok", f"{__version__} on {python_version()}")
    for name in _PACKAGES:
        found = _version(name)
        yield Finding("installation", name, "ok" if found else "broken", found or f"not installed; pip install {name}")
    for extra, needed in _extras().items():
        missing = [name for name in needed if not _version(name)]
        detail = ", ".join(f"{name} {_version(name)}" for name in needed)
        lacks = f"lacks {', '.join(missing)}; pip install 'specrun[{extra}]'"
        yield Finding("installation", f"extra {extra}", "unavailable" if missing else "ok", lacks if missing else detail)
    try:
        folder, schema = template_folder("report"), schema_file("experiment.schema.json")
        yield Finding("installation", "templates", "ok", f"{folder.parent} and {schema.name}")
    except (SpecrunError, OSError) as error:
        yield Finding("installation", "templates", "broken", str(error))
    if browser := shutil.which("chromium") or shutil.which("google-chrome"):
        yield Finding("installation", "browser", "ok", browser)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extras() -> dict[str, list[str]]:
    """Packages of each extra that the installed specrun declares."""
    found: dict[str, list[str]] = {}
    try:
        lines = requires("specrun") or []
    except PackageNotFoundError:  # run from its source, not installed
        lines = []
    for line in lines:
        if part := _OF_EXTRA.match(line):
            found.setdefault(part[2], []).append(part[1])
    return found
