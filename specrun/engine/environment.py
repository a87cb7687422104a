"""The software that a run was made with: Python and packages."""

from __future__ import annotations

import importlib.metadata
import platform


def packages() -> dict[str, str]:
    """Installed distributions and their versions, sorted by name."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def python_version() -> str:
    """Implementation and version, such as CPython 3.11.7."""
    return f"{platform.python_implementation()} {platform.python_version()}"
