"""What every kind of tokenizer provides, and how one is saved, loaded and asked for ids.

    def train(options: Options, documents: Iterable[str], emit: Emit) -> tokenizers.Tokenizer
    class Encoder(tokenizer, options): encode(texts) -> ids of each; first_token_bytes(ids, text)

Tokenizers are the `tokenizers` library's; an Encoder gives the same ids as `Tokenizer.encode`, faster and in bounded memory.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from specrun.errors import DataError
from specrun.events import Emit
from specrun.spec.section import Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<unk>"
TOKENIZER_FILE = "tokenizer.json"

# Without a setting the library warns when a process forks after it has encoded in parallel.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


class Encoder(Protocol):
    """Turns texts into ids. Text that reads like a special token is text."""

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        """Ids of each text. Raises UnknownCharacter where the tokenizer has no token for one."""

    def first_token_bytes(self, first_id: int, text: str) -> int:
        """Bytes of UTF-8 that the first token of a text stands for."""


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


def train_tokenizer(options: Part, documents: Iterable[str], emit: Emit) -> Tokenizer:
    """Train by the kind's factory. documents: of the train split; long ones may come in pieces."""
    module, name = options.factory.split(":")
    return cast("Tokenizer", getattr(importlib.import_module(module), name)(options, documents, emit))


def make_encoder(tokenizer: Tokenizer, options: Part) -> Encoder:
    """The encoder of the tokenizer's kind."""
    module, _ = options.factory.split(":")
    return cast("Encoder", importlib.import_module(module).Encoder(tokenizer, options))


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> str:
    """Write `tokenizer.json` and the `tokenizer_config.json` by which transformers loads the folder; returns the first's sha256."""
    path = folder / TOKENIZER_FILE
    tokenizer.save(str(path), pretty=True)
    special = {"eos_token": END_OF_TEXT, "bos_token": END_OF_TEXT, "unk_token": UNKNOWN}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{role: token for role, token in special.items() if tokenizer.token_to_id(token) is not None},
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
