"""Fetches a file from an address into a folder where it stays: whole, with the checksum that it must have, or not at all.

http and https go through the standard library, which asks for the rest of what broke off; object stores (s3://, gs://, hf://...)
through fsspec and the package that it wants for each.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from specrun.errors import DataError, MissingExtraError
from specrun.events import Emit, Progress
from specrun.records.atomic import atomic_write
from specrun.sources.contract import SourceUnavailable

PAUSES_SECONDS = (1.0, 4.0, 15.0)
"""Before each further attempt."""
TIMEOUT_SECONDS = 30.0
"""For a connection, and for each read."""
_BLOCK = 1 << 20
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_GONE = frozenset({401, 403, 404, 410, 451})
_OF_THIS_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
_TRANSIENT = (urllib.error.URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file from an address. stale: why the address was not asked, where the file is what was fetched earlier."""

    address: str
    path: Path
    sha256: str
    bytes: int
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was fetched earlier, as it is noted beside the file."""

    address: str
    sha256: str
    bytes: int
    etag: str | None = None


class _BrokenOff(Exception):
    """The connection ended before the file did, or the server failed: another attempt may help."""


class _OnlySafer(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not from https to what anybody on the way can change."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: PLR0917 - urllib's
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            message = f"{plain_address(req.full_url)} leads to {plain_address(newurl)}, which is not https"
            raise SourceUnavailable(message, code="unsafe-redirection", hint="give the address that it leads to")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(address: str, *, folder: Path, sha256: str | None, key: str, emit: Emit) -> Fetched:
    """The file at an address, from the folder where it lies already. sha256: that it must have; None takes what is there, asked anew.

    Raises SourceUnavailable where it cannot be reached, DataError for another checksum. key: of the source in the spec.
    """
    target = folder / hashlib.sha256(address.encode()).hexdigest()[:24] / _file_name(address)
    kept = _kept(target)
    if kept is not None and sha256 == kept.sha256 and _digest(target) == sha256:
        return Fetched(address, target, sha256, kept.bytes)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        etag = _with_attempts(address, part, kept if sha256 is None else None, emit)
        if etag is _UNCHANGED and kept is not None and _digest(target) == kept.sha256:
            return Fetched(address, target, kept.sha256, kept.bytes)
        found = _Kept(address, _digest(part), part.stat().st_size, etag)
        if sha256 is not None and found.sha256 != sha256:
            raise _other_checksum(address, found, sha256, key)
        part.replace(target)
    except SourceUnavailable as error:
        if kept is None or sha256 is not None or _digest(target) != kept.sha256:
            raise
        return Fetched(address, target, kept.sha256, kept.bytes, stale=error.message)
    finally:
        part.unlink(missing_ok=True)
    atomic_write(_note(target), json.dumps(asdict(found)) + "\n")
    return Fetched(address, target, found.sha256, found.bytes)


_UNCHANGED = "<unchanged>"
"""In the place of an entity tag: what is kept is what is there."""


def _with_attempts(address: str, part: Path, kept: _Kept | None, emit: Emit) -> str | None:
    """Download to `part`, going on where an attempt broke off. Returns the entity tag, where the server has one."""
    why = ""
    for pause in (0.0, *PAUSES_SECONDS):
        time.sleep(pause)
        try:
            if address.startswith(("http://", "https://")):
                return _over_http(address, part, kept, emit)
            _over_fsspec(address, part, emit)
            return None
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise _not_there(address, f"the server answers {error.code} {error.reason}") from error
            why = f"the server answers {error.code} {error.reason}"
        except _BrokenOff as error:
            why = str(error)
        except FileNotFoundError as error:
            raise _not_there(address, "there is no such file") from error
        except _TRANSIENT as error:
            if getattr(error, "errno", None) in _OF_THIS_MACHINE:
                raise
            why = str(getattr(error, "reason", error)) or type(error).__name__
    raise SourceUnavailable(
        f"{plain_address(address)} cannot be read: {why}; tried {len(PAUSES_SECONDS) + 1} times",
        code="address-unreachable",
        hint="check the address and the network, or name a copy on this machine",
    )


def _over_http(address: str, part: Path, kept: _Kept | None, emit: Emit) -> str | None:
    begun = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "specrun", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
    elif kept is not None and kept.etag is not None:
        headers["If-None-Match"] = kept.etag
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme has been looked at
    try:
        answer = urllib.request.build_opener(_OnlySafer).open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return _UNCHANGED
        if error.code == 416:
            part.unlink(missing_ok=True)  # what was begun is longer than what is there now
        raise
    with answer:
        _check_kind(address, answer.headers.get_content_type())
        going_on = answer.status == 206
        length = answer.headers.get("Content-Length")
        expected = None if length is None else int(length) + (begun if going_on else 0)
        _copy(answer, part, append=going_on, expected=expected, address=address, emit=emit)
        etag: str | None = answer.headers.get("ETag")
    return etag


def _over_fsspec(address: str, part: Path, emit: Emit) -> None:
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        message = f"{plain_address(address)}: fsspec needs another package: {error}"
        raise MissingExtraError(message, code="missing-package", hint="install it, or name a copy on this machine") from error
    with filesystem.open(path, "rb") as stream:
        _copy(stream, part, append=False, expected=filesystem.size(path), address=address, emit=emit)


def _copy(stream: IO[bytes], part: Path, *, append: bool, expected: int | None, address: str, emit: Emit) -> None:
    """expected: bytes of the whole file, where that is known."""
    with part.open("ab" if append else "wb") as out:
        while True:
            try:
                block = stream.read(_BLOCK)
            except http.client.IncompleteRead as error:
                out.write(error.partial)
                break
            if not block:
                break
            out.write(block)
            emit(Progress("data", out.tell(), expected, f"byte of {_file_name(address)}"))
        size = out.tell()
    if expected is not None and size != expected:
        if size > expected:
            part.unlink()
        raise _BrokenOff(f"{size:,} of {expected:,} bytes came")


def _check_kind(address: str, kind: str) -> None:
    """A page where a file was asked for: a login, or a description of the file."""
    if kind == "text/html" and not urlsplit(address).path.endswith((".html", ".htm")):
        raise SourceUnavailable(f"{plain_address(address)} is a web page, not a file of data", code="page-not-file",
                                hint="give the address of the file itself, as a download has it")  # fmt: skip


def _other_checksum(address: str, found: _Kept, wanted: str, key: str) -> DataError:
    return DataError(
        f"{plain_address(address)} has the SHA-256 {found.sha256} ({found.bytes:,} bytes), not {wanted}",
        code="checksum-mismatch",
        hint=f"the file was changed or damaged; if the change is meant, set {key}.sha256: {found.sha256}",
    )


def _not_there(address: str, why: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"{plain_address(address)}: {why}", code="address-not-found", hint="check the address, or name a copy on this machine"
    )


def plain_address(address: str) -> str:
    """An address without what may be signed or secret in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or parts.netloc}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _file_name(address: str) -> str:
    """The last part of an address's path, so that the file's suffix stays."""
    last = unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2])
    return _NAME.sub("_", last).lstrip(".")[-100:] or "file"


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.fetched.json")


def _kept(target: Path) -> _Kept | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = _Kept(**json.loads(_note(target).read_text(encoding="utf-8")))
        return kept if target.stat().st_size == kept.bytes else None
    return None


def _digest(path: Path) -> str:
    whole = hashlib.sha256()
    for block in _blocks(path):
        whole.update(block)
    return whole.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block
