"""Opens the `pretrained` tokenizer: a `tokenizer.json` of this machine, or of a commit of the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from specrun.errors import DataError
from specrun.events import Message
from specrun.tokenizers.contract import TokenizerRequest, add_special
from specrun.tokenizers.library_encoder import LibraryEncoder
from specrun.tokenizers.pretrained.options import FILE, Options


def train(options: Options, request: TokenizerRequest) -> Tokenizer:
    """The tokenizer as it was made, but for shortening, padding and dropout. Raises: DataError where it is out of reach or damaged."""
    path = options.file(base=request.base_folder, data_root=request.data_root) or _from_hub(options, request)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"{path} is not a tokenizer: {error}", code="damaged-tokenizer",
                        hint="write it anew: Tokenizer.save, or transformers' save_pretrained") from error  # fmt: skip
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if getattr(tokenizer.model, "dropout", None):
        tokenizer.model.dropout = None
    if options.end_of_text:
        add_special(tokenizer, "end")
    return tokenizer


def _from_hub(options: Options, request: TokenizerRequest) -> Path:
    """The file of the commit, from the library's cache or the network."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    assert options.revision is not None, "a plan refuses a name of the Hub without a commit"
    request.emit(Message(f"{options.path}: fetching {FILE}"))
    what = f"{options.path} at commit {options.revision}"
    mirror = f"or give --data-root DIR with a copy in DIR/{options.path}/{FILE}"
    try:
        return Path(hf_hub_download(options.path, FILE, revision=options.revision))
    except LocalEntryNotFoundError as error:
        raise DataError(f"the Hugging Face Hub cannot be reached for {options.path}: {error}", code="hub-unreachable",
                        hint=f"connect to the network once, {mirror}") from error  # fmt: skip
    except EntryNotFoundError as error:
        raise DataError(f"{what} holds no {FILE}", code="missing-tokenizer",
                        hint="choose one with a fast tokenizer, or let transformers write one into a folder") from error  # fmt: skip
    except GatedRepoError as error:
        raise DataError(f"{options.path} is gated: the Hub gives it to named users only", code="gated-repository",
                        hint=f"accept its terms at https://huggingface.co/{options.path}, then set HF_TOKEN") from error  # fmt: skip
    except RepositoryNotFoundError as error:
        raise DataError(f"the Hub has no repository {options.path}, or does not show it", code="unknown-repository",
                        hint="check the spelling of data.tokenizer.path; for a private one set HF_TOKEN") from error  # fmt: skip
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{what} cannot be fetched: {error}", code="hub-unreachable",
                        hint=f"connect to the network once, {mirror}") from error  # fmt: skip


class Encoder(LibraryEncoder):
    """Whether a text is covered is read off the tokenizer's parts: only bytes as they are give any text back."""

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        parts = json.loads(tokenizer.to_str())
        super().__init__(tokenizer, covers_text=_covers_text(parts), unknown_id=_unknown_id(parts, tokenizer))


def _covers_text(parts: dict[str, Any]) -> bool:
    """Whether the tokens are bytes of the text as it is: GPT-2's way of writing them, nothing normalised, nothing put before."""
    before = _members(parts["pre_tokenizer"], "pretokenizers")
    as_it_is = all(part["type"] in {"Split", "Digits"} and part.get("behavior") != "Removed" for part in before[:-1])
    in_bytes = bool(before) and before[-1]["type"] == "ByteLevel" and not before[-1]["add_prefix_space"]
    back = [part["type"] for part in _members(parts["decoder"], "decoders")] == ["ByteLevel"]
    known = parts["model"]["type"] == "BPE" and len(set(_byte_characters()) - parts["model"]["vocab"].keys()) == 0
    return parts["normalizer"] is None and as_it_is and in_bytes and back and known


def _byte_characters() -> list[str]:
    from tokenizers import pre_tokenizers

    return list(pre_tokenizers.ByteLevel.alphabet())


def _members(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The parts that one is a sequence of."""
    return [] if part is None else part[name] if part["type"] == "Sequence" else [part]


def _unknown_id(parts: dict[str, Any], tokenizer: Tokenizer) -> int | None:
    model = parts["model"]
    if model.get("byte_fallback"):
        return None
    token = model.get("unk_token")
    found: int | None = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    return found
