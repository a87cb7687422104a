"""The colours of reports, light and dark, and the style rules that give them to a page or to a drawing in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping

DRAWN: Mapping[str, tuple[str, str]] = {
    "train": ("#0072b2", "#56b4e9"),
    "validation": ("#c8500a", "#f0a13c"),
    "third": ("#00936b", "#009e73"),
    "fourth": ("#cc79a7", "#cc79a7"),
    "fifth": ("#8a2045", "#f7ef9a"),
    "sixth": ("#3b2f7f", "#8577e8"),
    "ink": ("#1d2430", "#e6e9ef"),
    "soft": ("#5b6472", "#9ea8b6"),
    "grid": ("#e4e7ec", "#2a313b"),
    "paper": ("#fffffe", "#161a21"),
}
"""Role in a drawing -> its colour on a light and on a dark page; no two roles share a light colour. The curves' colours are
from the palette of Okabe and Ito (2008), or near it: people with any kind of colour vision tell them apart."""

PAGE: Mapping[str, tuple[str, str]] = {
    "page": ("#f6f7f9", "#0e1116"),
    "line": ("#dde1e7", "#2a313b"),
    "faint": ("#eef0f3", "#1e242d"),
    "accent": ("#0b62a4", "#6cb8f0"),
    "good": ("#116b3a", "#6fd39b"),
    "good-back": ("#e2f3e8", "#12301f"),
    "warning": ("#7a4d00", "#f2c265"),
    "warning-back": ("#fdf1d8", "#33270d"),
    "bad": ("#a5221b", "#ff9f95"),
    "bad-back": ("#fce6e4", "#3b1715"),
}
"""Further colours of a page. Text on its background has a contrast of at least 4.5 to 1."""


def light(role: str) -> str:
    """A role's colour on a light page, which drawings carry as their own."""
    return DRAWN[role][0]


def page_rules() -> str:
    """Style rules that define every colour as a variable, following the system's theme or the page's own choice."""
    both = {**PAGE, **DRAWN}
    day = "".join(f"--{name}:{colours[0]};" for name, colours in both.items())
    night = "".join(f"--{name}:{colours[1]};" for name, colours in both.items())
    roles = "".join(f".fill-{role}{{fill:var(--{role})}}.stroke-{role}{{stroke:var(--{role})}}" for role in DRAWN)
    return (
        f":root{{color-scheme:light;{day}}}\n"
        f'@media screen and (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{color-scheme:dark;{night}}}}}\n'
        f'@media screen{{:root[data-theme="dark"]{{color-scheme:dark;{night}}}}}\n'
        f"{roles}\n"
    )


def drawing_rules() -> str:
    """Style rules for a drawing in a file of its own: its colours are those of a light page already."""
    night = "".join(f".fill-{role}{{fill:{dark}}}.stroke-{role}{{stroke:{dark}}}" for role, (_, dark) in DRAWN.items())
    return f"@media (prefers-color-scheme: dark){{{night}}}"
