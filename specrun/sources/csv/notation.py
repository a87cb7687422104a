"""What a `csv` source is to be told so that numbers and times that are written in another way are read as such; for messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from specrun.sources.csv.options import Options

if TYPE_CHECKING:
    from specrun.spec.section import Section

_COMMA = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3},\d{3}\s*")
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y",
          "%d %b %Y", "%b %d, %Y", "%Y-%m-%d")  # fmt: skip
_HOURS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = tuple(f"{date}{hour}" for date in _DATES for hour in _HOURS)
_TRIED_TEXTS = 10_000


def decimal_remedy(text: str, source: Section) -> str | None:
    """What makes `0,7` a number; None where the text is no such number, or the source knows no setting for it."""
    if not isinstance(source, Options) or source.decimal == "," or "," not in text or not _COMMA.fullmatch(text):
        return None
    if _THOUSANDS.fullmatch(text):
        return 'write it without the comma, or set data.source.decimal: "," where the comma begins the fraction'
    return 'set data.source.decimal: ","'


def time_remedy(texts: Sequence[str], source: Section) -> str | None:
    """What makes texts such as `31.12.2024` times, by the first ways of writing that all of them have; None where there is none."""
    if not isinstance(source, Options) or not texts:
        return None
    tried = [text.strip() for text in texts[:_TRIED_TEXTS]]
    fitting = [style for style in _FORMATS if style != source.time_format and all(_has_format(text, style) for text in tried)]
    if not fitting:
        return None
    others = "".join(f', or "{style}" where months come first' for style in fitting[1:2] if style.startswith("%m"))
    instead = f" instead of {source.time_format!r}" if source.time_format else ""
    return f'set data.source.time_format: "{fitting[0]}"{instead}{others}'


def _has_format(text: str, style: str) -> bool:
    try:
        datetime.strptime(text, style)
    except ValueError:
        return False
    return True
