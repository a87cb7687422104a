"""A model's `config.json` as it is built by: what the data decides put in, and a note of how texts are given to it.

The note, under `specrun`, goes with the config into every checkpoint. before, after: ids that stand around a text; start: the id that
a target begins with in place of the task's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.errors import SpecrunError

NOTE = "specrun"
PLAIN: Mapping[str, Any] = {"before": [], "after": [], "start": None}
CLASSIFIERS = frozenset({"text_classifier", "image_classifier"})


def read_config(folder: Path) -> Any:
    """The config of a folder. Raises: SpecrunError for an architecture that this version of transformers does not have."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (KeyError, OSError, ValueError, TypeError) as error:
        raise SpecrunError(f"{folder} is no model that this version of transformers has: {first_line(error)}", code="unknown-architecture",
                           hint="choose another model, or install a newer transformers") from error  # fmt: skip


def fitted(config: Any, folder: Path, *, interface: str, init: str, dropout: float | None, sizes: Mapping[str, Any]) -> None:
    """Put what the data decides into a config. Raises: SpecrunError for sizes that trained weights are not for."""
    if dropout is not None:
        _set_dropout(config, dropout, folder)
    config.dtype = "float32"
    if interface in CLASSIFIERS:
        config.num_labels = sizes["num_classes"]
    if interface == "image_classifier":
        _fit_images(config, sizes, drawn=init == "scratch")
    elif init == "scratch":
        _fit_vocabulary(config, sizes["vocab_size"], spare=interface == "text_classifier" and not sees_both_ways(config))
    else:
        _check_vocabulary(config, sizes["vocab_size"])
        if interface == "text_classifier" and getattr(config, "pad_token_id", None) is None:
            # An end of text is in no text, so that padding by it is none of the text.
            config.pad_token_id = _first(getattr(config, "eos_token_id", None))
    setattr(config, NOTE, dict(PLAIN) if init == "scratch" else _note(config, folder, interface))


def first_line(error: Exception) -> str:
    """What an error of another library says, as far as a person wants to read it."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def sees_both_ways(config: Any) -> bool:
    """Whether each position sees all others, so that a class is not told from the last token of a text."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    return type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)


def _first(ids: Any) -> int | None:
    found: int | None = ids[0] if isinstance(ids, list) else ids
    return found


def _set_dropout(config: Any, rate: float, folder: Path) -> None:
    settings = [name for name, value in config.to_dict().items() if _is_dropout(name, value)]
    if not settings:
        raise SpecrunError(f"model.dropout: {folder / 'config.json'} sets no dropout", code="no-dropout-to-set", hint="leave dropout out")
    for name in settings:
        setattr(config, name, rate)


def _is_dropout(name: str, value: Any) -> bool:
    return ("dropout" in name or name.endswith("pdrop")) and isinstance(value, int | float) and not isinstance(value, bool)


def _fit_vocabulary(config: Any, vocab_size: int, *, spare: bool) -> None:
    """Rows for the tokenizer's tokens. spare: one more, for padding, that no text has: networks that write tell by it where a text ends."""
    config.vocab_size = vocab_size + spare
    for name, value in config.to_dict().items():
        if name.endswith("_token_id") and isinstance(value, int) and value >= vocab_size:
            try:
                setattr(config, name, None)
            except Exception:  # noqa: BLE001 - the library's own kind: of some architectures it must be a number, and no task goes by it
                setattr(config, name, 0)
    if spare:
        config.pad_token_id = vocab_size


def _check_vocabulary(config: Any, vocab_size: int) -> None:
    rows = getattr(config, "vocab_size", None)
    if rows is not None and rows < vocab_size:
        raise SpecrunError(f"the model's weights have {rows} rows for tokens, and the tokenizer has {vocab_size} tokens",
                           code="vocabulary-exceeds-model",
                           hint="use the tokenizer of the model, with end_of_text: false if it has no end, or init: scratch")  # fmt: skip


def _fit_images(config: Any, sizes: Mapping[str, Any], *, drawn: bool) -> None:
    wanted = {"image_size": (sizes["height"], sizes["width"]), "num_channels": sizes["channels"]}
    for name, value in wanted.items():
        own = getattr(config, name, None)
        if own is None:
            continue
        same = (own, own) if name == "image_size" and isinstance(own, int) else tuple(own) if isinstance(own, list) else own
        if drawn:
            setattr(config, name, value[0] if isinstance(value, tuple) and value[0] == value[1] else value)
        elif same != value:
            raise SpecrunError(f"the model's weights are for {name} {own}, and the images have {value}", code="image-size-of-another-model",
                               hint="set task.size to that of the model, or model.init: scratch")  # fmt: skip


def _note(config: Any, folder: Path, interface: str) -> dict[str, Any]:
    before, after = _around(folder) if interface in ("text_classifier", "seq2seq") else ([], [])
    start = _first(getattr(config, "decoder_start_token_id", None)) if interface == "seq2seq" else None
    # A source has its end from the task.
    return {"before": before, "after": after if interface == "text_classifier" else [], "start": start}


def _around(folder: Path) -> tuple[list[int], list[int]]:
    """What the model's own tokenizer puts before and after a text."""
    from tokenizers import Tokenizer

    if not (folder / "tokenizer.json").is_file():
        return [], []
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    whole = tokenizer.encode("a")
    special = whole.special_tokens_mask
    first = special.index(0) if 0 in special else len(special)
    last = len(special) - special[::-1].index(0) if 0 in special else len(special)
    return whole.ids[:first], whole.ids[last:]
