"""Opens a data file, unpacking gzip, and says what is wrong with one that cannot be opened or is not whole."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from specrun.errors import DataError
from specrun.sources.contract import SourceUnavailable


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name ends in .gz. Raises SourceUnavailable where it cannot be opened.

    Reading raises DataError for a packed file that is damaged or broken off.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror}", code="unreadable-file", hint="check the path and its permissions") from error
    return cast("IO[bytes]", io.BufferedReader(_Unpacked(path, stream), 1 << 20)) if path.suffix == ".gz" else stream


class _Unpacked(io.RawIOBase):
    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._packed = path, stream
        self._stream = gzip.GzipFile(fileobj=stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _damage(self._path):
            block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()
        super().close()


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        why = "it is broken off" if isinstance(error, EOFError) else str(error)
        raise DataError(f"{path} cannot be unpacked: {why}", code="damaged-archive", hint="fetch or pack it anew") from error
