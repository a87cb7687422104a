"""Whether the text that samples start from can be encoded at all, asked as soon as there is a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from specrun.errors import DataError
from specrun.tasks.causal_lm.options import Options
from specrun.tokenizers.contract import END_OF_TEXT, UnknownPromptCharacter, encode_prompt, load_tokenizer


def check(options: Options, *, folders: Mapping[str, Path]) -> None:
    """Encode `task.prompt`. Raises DataError for a character without a token, and where there is nothing to go on from."""
    if options.prompt is None:
        return
    tokenizer = load_tokenizer(folders["tokenizer"])
    try:
        ids = encode_prompt(tokenizer, options.prompt)
    except UnknownPromptCharacter as unknown:
        raise DataError(
            f"task.prompt {options.prompt!r} cannot be encoded: {unknown.message}, which the train split lacks",
            code="unknown-character",
            hint=f"leave {unknown.character!r} out of task.prompt, or remove the key: samples then start as the validation split does",
        ) from None
    if not ids and tokenizer.token_to_id(END_OF_TEXT) is None:
        raise DataError(
            f"task.prompt {options.prompt!r} holds no token, and this tokenizer has no end-of-text token to begin from",
            code="empty-prompt",
            hint="write a word into task.prompt, remove the key, or set data.tokenizer.end_of_text: true",
        )
