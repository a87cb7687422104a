"""The files of a model of the transformers library: which there are, what is wrong with them, and fetching them from the Hub.

Standard library only, but for what is fetched. Weights are read from safetensors alone: what is pickled can run code as it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from specrun.errors import DataError

CONFIG = "config.json"
PATTERNS: Mapping[str, Sequence[str]] = {
    "scratch": (CONFIG,),
    "pretrained": (CONFIG, "tokenizer.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"),
}
"""Names of the files that decide a model, by how its weights begin."""
COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")

Found = tuple[str, str, str]
"""Code, message, remedy."""


def is_hub_name(name: str) -> bool:
    """Whether it can be a name on the Hub."""
    return _HUB_NAME.fullmatch(name) is not None and ".." not in name


def named_files(folder: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """The files of a folder that a pattern names, sorted."""
    return tuple(sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}))


def folder_problem(folder: Path, *, init: str) -> Found | None:
    """Why a folder cannot be used, or None."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except OSError:
        return "missing-model", f"{folder} holds no {CONFIG}", "have transformers write the folder: model.save_pretrained(DIR)"
    except ValueError as error:
        return "damaged-model", f"{folder / CONFIG} is not JSON: {error}", "have transformers write it: model.save_pretrained(DIR)"
    if not isinstance(config, dict) or "model_type" not in config:
        return "damaged-model", f"{folder / CONFIG} says no model_type", "have transformers write it: model.save_pretrained(DIR)"
    if "auto_map" in config:
        return ("remote-code", f"{folder / CONFIG} has an auto_map: its model is code of the repository's own, which is never run",
                "choose a model whose architecture the transformers library has")  # fmt: skip
    if "quantization_config" in config:
        return ("quantized-weights", f"{folder / CONFIG} has a quantization_config: quantized weights are not trained",
                "choose the repository with the weights as they were before")  # fmt: skip
    if init == "pretrained" and not any(folder.glob("model*.safetensors")):
        return _no_weights(folder)
    return None


def _no_weights(folder: Path) -> Found:
    pickled = sorted(file.name for suffix in ("*.bin", "*.pt", "*.ckpt", "*.h5", "*.msgpack") for file in folder.glob(suffix))
    if pickled:
        return ("weights-not-safetensors", f"{folder} holds its weights as {pickled[0]} alone, which can run code as it is read",
                "where you trust it, convert it: AutoModel.from_pretrained(DIR).save_pretrained(DIR)")  # fmt: skip
    return "missing-weights", f"{folder} holds no model.safetensors", "add the weights, or set model.init: scratch"


def fetched(name: str, *, revision: str | None, init: str) -> Path:
    """The folder of a commit of the Hub, from the library's cache or the network. Raises: DataError where it is out of reach."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    if revision is None:
        raise DataError(f"{name} is neither a folder nor a commit of the Hub", code="missing-model",
                        hint="set model.revision, or name a folder with config.json")  # fmt: skip
    mirror = f"or give --data-root DIR with a copy in DIR/{name}/"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(PATTERNS[init])))
    except GatedRepoError as error:
        raise DataError(f"{name} is gated: the Hub gives it to named users only", code="gated-repository",
                        hint=f"accept its terms at https://huggingface.co/{name}, then set HF_TOKEN") from error  # fmt: skip
    except RepositoryNotFoundError as error:
        raise DataError(f"the Hub has no repository {name}, or does not show it", code="unknown-repository",
                        hint="check the spelling of model.name; for a private one set HF_TOKEN") from error  # fmt: skip
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{name} at commit {revision} cannot be fetched: {reason}", code="hub-unreachable",
                        hint=f"connect to the network once, {mirror}") from error  # fmt: skip
