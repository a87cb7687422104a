"""What every kind of tokenizer provides, and how one is saved, loaded and asked for ids.

    def train(options: Options, request: TokenizerRequest) -> tokenizers.Tokenizer
    class Encoder(tokenizer, options): covers_text, unknown_id, encode(texts) -> ids of each, first_token_bytes(id, text)

Tokenizers are the `tokenizers` library's; an Encoder gives the same ids as `Tokenizer.encode`, faster and in bounded memory.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from specrun.errors import DataError
from specrun.events import Emit, Progress
from specrun.spec.section import Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<unk>"
MASK = "[MASK]"
TOKENIZER_FILE = "tokenizer.json"

SPECIAL: Mapping[str, tuple[str, ...]] = {
    "end": (END_OF_TEXT, "</s>", "[SEP]", "<eos>", "<|end_of_text|>"),
    "mask": (MASK, "<mask>"),
    "unknown": (UNKNOWN, "[UNK]"),
}
"""What a special token is for, and its names: first what a tokenizer that lacks one is given, then what others call it."""
_PROGRESS_TEXTS = 2000
_MOST_UNKNOWN = 0.01

# Without a setting the library warns when a process forks after it has encoded in parallel.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


@dataclass(frozen=True, slots=True)
class TokenizerRequest:
    """What a tokenizer is made of. documents: of the train split, to be read as often as needed; long ones may come in pieces.
    base_folder: where a relative path of the options starts; data_root: folder of Hub mirrors."""

    documents: Iterable[str]
    emit: Emit
    base_folder: Path
    data_root: Path | None = None

    def counted(self, *, every: int = _PROGRESS_TEXTS) -> Iterator[str]:
        """The documents, telling how many have been read."""
        for done, document in enumerate(self.documents, 1):
            yield document
            if done % every == 0:
                self.emit(Progress("tokenizer", done, None, "document"))


class Encoder(Protocol):
    """Turns texts into ids. Text that reads like a special token is text.

    covers_text: whether its tokens stand for all bytes of a text, one stretch after the other; where case or white space is lost, what
    is predicted of a text has no size in bytes.
    unknown_id: what stands for text that there is no token for; None where there is no such text, or it is an error.
    """

    @property
    def covers_text(self) -> bool: ...

    @property
    def unknown_id(self) -> int | None: ...

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        """Ids of each text. Raises UnknownCharacter where the tokenizer has no token for one."""

    def first_token_bytes(self, first_id: int, text: str) -> int:
        """Bytes of UTF-8 that the first token of a text stands for; asked of those alone that cover it."""


class UnknownCharacter(Exception):
    """A character without a token. text: index of the text in the batch; offset: of the character in that text."""

    def __init__(self, character: str, *, text: int, offset: int) -> None:
        super().__init__(f"{character!r} (U+{ord(character):04X})")
        self.character = character
        self.text = text
        self.offset = offset


class UnknownPromptCharacter(DataError):
    """A character without a token in a text that a person typed."""

    def __init__(self, character: str) -> None:
        super().__init__(
            f"the tokenizer has no token for {character!r} (U+{ord(character):04X})",
            code="unknown-character",
            hint="leave it out; the model has never seen it",
        )
        self.character = character


def train_tokenizer(
    options: Part,
    documents: Iterable[str],
    emit: Emit,
    *,
    special: Sequence[str] = (),
    base_folder: Path = Path(),
    data_root: Path | None = None,
) -> Tokenizer:
    """Make a tokenizer by the kind's factory. documents: of the train split; long ones may come in pieces. special: what special tokens
    are needed for, keys of `SPECIAL`; those that it lacks are its last rows, and `vocab_size` counts them."""
    module, name = options.factory.split(":")
    given = "end" if getattr(options, "end_of_text", False) else None
    lacking = sum(role != given for role in special)
    asked: int | None = getattr(options, "vocab_size", None)
    told = options if asked is None or not lacking else options.model_copy(update={"vocab_size": asked - lacking})
    request = TokenizerRequest(documents, emit, base_folder, data_root)
    tokenizer = cast("Tokenizer", getattr(importlib.import_module(module), name)(told, request))
    for role in special:
        add_special(tokenizer, role)
    return tokenizer


def add_special(tokenizer: Tokenizer, role: str) -> None:
    """Give the tokenizer a special token for this, as its last row, if it has none."""
    from tokenizers import AddedToken

    if special_token(tokenizer, role) is None:
        tokenizer.add_special_tokens([AddedToken(SPECIAL[role][0], special=True, normalized=False)])


def special_token(tokenizer: Tokenizer, role: str) -> tuple[str, int] | None:
    """The special token for this and its id; None where there is none. A text of the same letters is not one."""
    special = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return next(((name, special[name]) for name in SPECIAL[role] if name in special), None)


def special_id(tokenizer: Tokenizer, role: str) -> int:
    """The id of a special token that a task asked for. Raises: DataError for a tokenizer that was made without."""
    found = special_token(tokenizer, role)
    if found is None:
        raise DataError(f"the tokenizer has no special token for {role!r}", code="missing-special-token",
                        hint="apply the spec again; the tokenizer step makes it")  # fmt: skip
    return found[1]


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """Rows that an embedding of its ids needs: one more than the largest, which may be more than there are tokens."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


def make_encoder(tokenizer: Tokenizer, options: Part) -> Encoder:
    """The encoder of the tokenizer's kind."""
    module, _ = options.factory.split(":")
    return cast("Encoder", importlib.import_module(module).Encoder(tokenizer, options))


def unknown_share(split: str, unknown: int, tokens: int) -> str | None:
    """What to say of a split of so many tokens, so many of which stand for text that there is no token for; None where they are few."""
    if unknown <= _MOST_UNKNOWN * tokens:
        return None
    return f"{unknown / tokens:.1%} of the {split} split's tokens stand for text that there is no token for; bpe and unigram have one"


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> str:
    """Write `tokenizer.json` and the `tokenizer_config.json` by which transformers loads the folder; returns the first's sha256."""
    path = folder / TOKENIZER_FILE
    tokenizer.save(str(path), pretty=True)
    roles = {"eos_token": "end", "bos_token": "end", "unk_token": "unknown", "mask_token": "mask"}
    special = {name: special_token(tokenizer, role) for name, role in roles.items()}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{name: found[0] for name, found in special.items() if found is not None},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load what `save_tokenizer` wrote. Raises DataError for a missing or damaged file."""
    from tokenizers import Tokenizer

    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist", code="missing-tokenizer", hint="apply the spec again; the tokenizer step makes it")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        hint = f"delete {folder} and apply the spec again"
        raise DataError(f"{path} is not a tokenizer: {error}", code="damaged-tokenizer", hint=hint) from error


def encode_prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of a text that a person typed; <|endoftext|> in it is the special token. Raises UnknownPromptCharacter."""
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    except Exception as error:
        known = tokenizer.get_vocab()
        unknown = next((c for c in text if c not in known), None)
        if unknown is None:
            raise
        raise UnknownPromptCharacter(unknown) from error
    return ids
