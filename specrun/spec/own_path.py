"""How parts of a user's own are named, `package.module:Name`, and whose code may run. Imports nothing that a spec names."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MODULE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
PATH_PATTERN = rf"{_MODULE}:[^\W\d]\w*"
_PATH = re.compile(PATH_PATTERN)
_PREFIX = re.compile(_MODULE)


@dataclass(frozen=True, slots=True)
class Permission:
    """Whose code may run. prefixes: dotted names of modules and packages, whole components: `my` does not allow `mymodel`."""

    prefixes: tuple[str, ...] = ()

    def allows(self, module: str) -> bool:
        """Whether a module is, or lies in, what was allowed."""
        return any(module == prefix or module.startswith(f"{prefix}.") for prefix in self.prefixes)


def is_own(kind: str | None) -> bool:
    """Whether a kind is meant as a path to code, well written or not."""
    return kind is not None and ":" in kind


def is_path(kind: str) -> bool:
    """Whether a kind is a well-written path, `package.module:Name`."""
    return _PATH.fullmatch(kind) is not None


def is_prefix(text: str) -> bool:
    """Whether a text names a module or a package."""
    return _PREFIX.fullmatch(text) is not None
