"""Finds the files that ship beside the package, `templates/` and `schemas/`: in a checkout and in a wheel.

A wheel carries them under `specrun/_data`; a checkout has them at its root.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_data", _PACKAGE.parent)
"""Where they may lie, the wheel's place first: an installed package must not pick up a stray folder beside it."""


def template_folder(name: str) -> Path:
    """The folder `templates/<name>`. Raises FileNotFoundError for an installation that lacks it."""
    return _find(Path("templates") / name)


def schema_file(name: str) -> Path:
    """The file `schemas/<name>`. Raises FileNotFoundError for an installation that lacks it."""
    return _find(Path("schemas") / name)


def _find(relative: Path) -> Path:
    if relative.is_absolute() or ".." in relative.parts:
        raise FileNotFoundError(f"{relative} is not a name inside the package")
    for root in _ROOTS:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in neither {_ROOTS[0]} nor {_ROOTS[1]}; the installation is incomplete")
