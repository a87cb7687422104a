"""Owns the form of a run's documents: JSON with its checksum as the last field, so that damage shows. Standard library only.

`"crc"` is the CRC-32 of every byte before the comma that precedes it. A document without one, which another program wrote, is
read as it is. A NaN or infinity is written as in a journal's lines.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.errors import StoreError
from specrun.records.lines import flag_non_finite, restore_non_finite
from specrun.records.place import command_on, unreadable

__all__ = ["DamagedRecord", "encode_document", "is_sealed", "read_document"]

_SEAL = re.compile(rb',\n "crc": "([0-9a-f]{8})"\n\}\n\Z')


class DamagedRecord(StoreError):
    """A document of a run is not as it was written; other runs are none the worse for it."""


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The document as indented JSON, sealed. It has at least one field; floats may be non-finite."""
    body = json.dumps(flag_non_finite(document), indent=1, allow_nan=False, ensure_ascii=False)
    assert body.endswith("\n}"), "a document without fields"
    data = body[:-2].encode()
    return b'%s,\n "crc": "%08x"\n}\n' % (data, binascii.crc32(data))


def read_document(path: Path) -> dict[str, Any] | None:
    """The fields of a document; None when there is none.

    Raises DamagedRecord `damaged-record`; StoreError for a file that cannot be read.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise _damaged(path, "not a JSON object")
        # Half a surrogate pair is JSON, and no text that a table can hold.
        json.dumps(document, ensure_ascii=False).encode()
        restore_non_finite(document)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    seal, written = _SEAL.search(data), document.pop("crc", None)
    if written is not None and (seal is None or binascii.crc32(data[: seal.start()]) != int(seal[1], 16)):
        raise _damaged(path, "its checksum does not hold")
    return document


def is_sealed(path: Path) -> bool:
    """Whether a document carries a checksum."""
    return _SEAL.search(path.read_bytes()) is not None


def _damaged(path: Path, why: str) -> DamagedRecord:
    # <store>/runs/<run_id>/<document>
    hint = f"restore it from a copy, or give the run up with: {command_on(path.parent.parent.parent, 'runs', 'remove', path.parent.name)}"
    return DamagedRecord(f"{path} is damaged: {why}", code="damaged-record", hint=hint)
