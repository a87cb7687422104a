"""Which names of Python's are encodings that a file of text can be written in."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from encodings.aliases import aliases

from specrun.spec.bounds import found
from specrun.spec.nearest import nearest
from specrun.spec.section import Problem

_NOT_OF_TEXTS = frozenset({"undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
"""What Python lists as text encodings, and no file is written in."""


def encoding_problems(name: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """A name that is no encoding of text. path: of the part whose `encoding` it is."""
    if not _is_text_encoding(name):
        named = {*aliases.values(), "utf-8", "utf-16", "latin-1"}
        near = nearest(name, sorted(known for known in named if _is_text_encoding(known)))
        hint = f'did you mean "{near}"?' if near else "use utf-8, utf-16, latin-1, cp1252 or another text encoding of Python"
        yield Problem((*path, "encoding"), "unknown-encoding", f"{found(name)} is not a text encoding", hint)


def _is_text_encoding(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return codec._is_text_encoding and codec.name.replace("-", "_") not in _NOT_OF_TEXTS  # noqa: SLF001 - the only sign of one
