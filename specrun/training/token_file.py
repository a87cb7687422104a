"""The token file: every token of a split in one flat file that is mapped, not read, with a sidecar that says what it holds.

    <split>.bin          ids, little-endian uint16 where the vocabulary has at most 65,536 tokens, uint32 otherwise
    <split>.offsets.bin  int64: where each document begins in the stream, then the length of the stream
    <split>.json         TokenInfo; written last, so a split without it does not exist

Owns the format. How text becomes ids is the tokenizers' business; how ids become batches is the sampler's.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError

Ids = Sequence[int] | npt.NDArray[np.integer[Any]]


class Encoded(NamedTuple):
    """A document, or a piece of one, as token ids.

    bytes: of its text in UTF-8; words: stretches of its text without white space; continues: it carries on the document before.
    """

    ids: Ids
    bytes: int
    words: int
    continues: bool = False


_FLUSH_TOKENS = 1 << 18


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a split's token file holds.

    count: tokens in the stream, end-of-text tokens included; documents: how many; bytes and words: of their text.
    predicted_bytes and predicted_words: of the text whose tokens are all predicted when the stream is read from the start.
    With end_of_text_id the stream begins with that token (leading_end_of_text) and each document is followed by it, so that
    all text is predicted; without it the first token never is, and its text is left out.
    document_predicted_bytes and document_predicted_words: the same where each document is read for itself; None in files from before
    there was that.
    """

    count: int
    dtype: str
    sha256: str
    documents: int
    bytes: int
    words: int
    predicted_bytes: int
    predicted_words: int
    end_of_text_id: int | None
    leading_end_of_text: bool
    vocab_size: int
    document_predicted_bytes: int | None = None
    document_predicted_words: int | None = None


@dataclass(frozen=True, slots=True)
class TokenFile:
    """An open split. ids: (count,), a read-only memory map; offsets: (documents + 1,), read-only; info: what they hold."""

    ids: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    info: TokenInfo


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest stored type that holds every id of a vocabulary."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def write_tokens(
    folder: Path,
    split: str,
    documents: Iterable[Encoded | tuple[Ids, int, int]],
    *,
    vocab_size: int,
    end_of_text_id: int | None = None,
    unpredicted: Callable[[int], tuple[int, int]] | None = None,
) -> TokenInfo:
    """Write one split as a stream, in memory that does not grow with it but for 8 bytes a document.

    documents: whole ones as (ids, bytes, words), or `Encoded` pieces.
    unpredicted: (bytes, words) that the prediction of the document that was taken last loses when its first token, which it is given,
    is not predicted; needed exactly where end_of_text_id is None. Raises ValueError for an id outside the vocabulary.
    """
    assert (end_of_text_id is None) == (unpredicted is not None), "without end-of-text, say what the first token's text is"
    _remove(folder, split)
    with (folder / f"{split}.bin").open("wb") as stream:
        writer = _Writer(stream, token_dtype(vocab_size), vocab_size)
        text = _write_documents(writer, documents, end_of_text_id, unpredicted)
    info = TokenInfo(
        count=writer.count,
        dtype="uint16" if writer.dtype.itemsize == 2 else "uint32",
        sha256=writer.sha256.hexdigest(),
        documents=len(writer.offsets),
        bytes=text.bytes,
        words=text.words,
        predicted_bytes=text.bytes - text.first_lost[0],
        predicted_words=text.words - text.first_lost[1],
        end_of_text_id=end_of_text_id,
        leading_end_of_text=end_of_text_id is not None,
        vocab_size=vocab_size,
        document_predicted_bytes=text.bytes - text.lost_bytes,
        document_predicted_words=text.words - text.lost_words,
    )
    writer.offsets.append(writer.count)
    np.frombuffer(writer.offsets, np.int64).astype("<i8").tofile(folder / f"{split}.offsets.bin")
    temporary = folder / f".{split}.json.tmp"
    temporary.write_text(json.dumps(asdict(info), indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / f"{split}.json")
    return info


def open_tokens(folder: Path, split: str) -> TokenFile:
    """Map a split. Raises DataError where it does not exist or is not as long as its sidecar says."""
    info = read_info(folder, split)
    dtype = np.dtype("<u2" if info.dtype == "uint16" else "<u4")
    ids = _map(folder / f"{split}.bin", dtype, info.count)
    offsets = _map(folder / f"{split}.offsets.bin", np.dtype("<i8"), info.documents + 1)
    return TokenFile(ids, offsets, info)


def read_info(folder: Path, split: str) -> TokenInfo:
    """The sidecar of a split alone. Raises DataError where it is missing or unreadable."""
    path = folder / f"{split}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(TokenInfo) if field.default is MISSING or field.name in document}
        return TokenInfo(**{name: document[name] for name in known})
    except FileNotFoundError:
        there = ", ".join(splits(folder)) or "none"
        raise DataError(f"{folder} has no tokens of split {split!r}; splits there: {there}", code="missing-tokens") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a token sidecar: {error}", code="damaged-tokens", hint=_AGAIN.format(folder=folder)) from error


def splits(folder: Path) -> tuple[str, ...]:
    """Names of the splits of a folder that were written to the end: train, validation and test first, then others by name."""
    order = {"train": 0, "validation": 1, "test": 2}
    names = (path.name.removesuffix(".offsets.bin") for path in folder.glob("*.offsets.bin"))
    return tuple(sorted((n for n in names if (folder / f"{n}.json").is_file()), key=lambda name: (order.get(name, 3), name)))


_AGAIN = "delete {folder} and apply again; the step that wrote it will be run anew"


class _Writer:
    """Gathers ids and writes them in blocks, hashing what is written."""

    def __init__(self, stream: BinaryIO, dtype: np.dtype[Any], vocab_size: int) -> None:
        self.stream = stream
        self.dtype = dtype
        self.vocab_size = vocab_size
        self.sha256 = hashlib.sha256()
        self.offsets = array("q")
        self.count = 0
        self._pending: list[npt.NDArray[Any]] = []
        self._pending_tokens = 0

    def add(self, ids: Ids) -> None:
        block = np.asarray(ids)
        if block.size == 0:
            return
        self.count += block.size
        self._pending.append(block)
        self._pending_tokens += block.size
        if self._pending_tokens >= _FLUSH_TOKENS:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            ids = np.concatenate(self._pending)
            if int(ids.min()) < 0 or int(ids.max()) >= self.vocab_size:
                raise ValueError(f"token ids {int(ids.min())}..{int(ids.max())} do not fit a vocabulary of {self.vocab_size}")
            data = ids.astype(self.dtype).tobytes()
            self.sha256.update(data)
            self.stream.write(data)
            self._pending, self._pending_tokens = [], 0


@dataclass(slots=True)
class _Text:
    """What was written, as text. lost: of all documents, what their first tokens stand for; first_lost: of the first with a token."""

    bytes: int = 0
    words: int = 0
    lost_bytes: int = 0
    lost_words: int = 0
    first_lost: tuple[int, int] = (0, 0)

    def lose(self, lost: tuple[int, int], *, first: bool) -> None:
        self.lost_bytes += lost[0]
        self.lost_words += lost[1]
        self.first_lost = lost if first else self.first_lost


def _write_documents(
    writer: _Writer,
    documents: Iterable[Encoded | tuple[Ids, int, int]],
    end_of_text_id: int | None,
    unpredicted: Callable[[int], tuple[int, int]] | None,
) -> _Text:
    end = np.array([] if end_of_text_id is None else [end_of_text_id], writer.dtype)
    text = _Text()
    writer.add(end)
    for document in documents:
        piece = document if isinstance(document, Encoded) else Encoded(*document)
        if not piece.continues:
            if writer.offsets:
                writer.add(end)
            writer.offsets.append(writer.count)
        if unpredicted is not None and len(piece.ids) and writer.offsets[-1] == writer.count:
            text.lose(unpredicted(int(piece.ids[0])), first=writer.count == 0)
        writer.add(piece.ids)
        text.bytes += piece.bytes
        text.words += piece.words
    if writer.offsets:
        writer.add(end)
    writer.flush()
    return text


def _remove(folder: Path, split: str) -> None:
    for name in (f"{split}.json", f"{split}.bin", f"{split}.offsets.bin"):
        (folder / name).unlink(missing_ok=True)


def _map(path: Path, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    """A read-only map of exactly `count` items; an empty file, which cannot be mapped, is an empty array."""
    size = path.stat().st_size if path.is_file() else -1
    if size != count * dtype.itemsize:
        found = "missing" if size < 0 else f"{size:,} bytes long"
        message = f"{path} is {found}; its sidecar asks for {count * dtype.itemsize:,} bytes"
        raise DataError(message, code="damaged-tokens", hint=_AGAIN.format(folder=path.parent))
    if count == 0:
        empty = np.empty(0, dtype)
        empty.flags.writeable = False
        return empty
    return np.memmap(path, dtype, mode="r", shape=(count,))
