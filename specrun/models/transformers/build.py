"""Builds a model of the transformers library behind the interface that a task asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from specrun.errors import MissingExtraError, SpecrunError
from specrun.models.transformers.adapter import Adapter, not_as_taken
from specrun.models.transformers.classifiers import ImageClassifier, TextClassifier
from specrun.models.transformers.configuration import CLASSIFIERS, first_line, fitted, read_config
from specrun.models.transformers.folder import fetched, folder_problem
from specrun.models.transformers.language import Decoder, WordFiller
from specrun.models.transformers.options import EXTRA, Options
from specrun.models.transformers.translator import Translator

ADAPTERS: Mapping[str, tuple[str, type[Adapter]]] = {
    "language_model": ("AutoModelForCausalLM", Decoder),
    "masked_language_model": ("AutoModelForMaskedLM", WordFiller),
    "text_classifier": ("AutoModelForSequenceClassification", TextClassifier),
    "seq2seq": ("AutoModelForSeq2SeqLM", Translator),
    "image_classifier": ("AutoModelForImageClassification", ImageClassifier),
}
"""By interface, the library's class of such models, and what makes one of them serve it."""


def build(options: Options, *, interface: str, **sizes: Any) -> Adapter:
    """The network with trained weights, or with ones from torch's generator. sizes: keywords of the interface.

    Raises: SpecrunError for a model that cannot be had, does not serve, or is not for these sizes.
    """
    with _library():
        folder = _folder(options)
        config = read_config(folder)
        if type(config) not in _auto(interface)._model_mapping:  # noqa: SLF001 - the library's only list of what it has
            raise _does_not_serve(config, interface)
        fitted(config, folder, interface=interface, init=options.init, dropout=options.dropout, sizes=sizes)
        network = _drawn(config, interface) if options.init == "scratch" else _loaded(config, interface, folder)
        return _adapted(network, interface, sizes)


def restore(options: Options, *, interface: str, **sizes: Any) -> Adapter:
    """The network as the config beside its weights describes it, for these to be put into. options: of a checkpoint's folder."""
    with _library():
        return _adapted(_drawn(read_config(Path(options.name)), interface), interface, sizes)


def _folder(options: Options) -> Path:
    folder = Path(options.name)
    if not folder.is_dir():
        folder = fetched(options.name, revision=options.revision, init=options.init)
    if (problem := folder_problem(folder, init=options.init)) is not None:
        code, message, remedy = problem
        raise SpecrunError(message, code=code, hint=remedy)
    return folder


def _drawn(config: Any, interface: str) -> Any:
    return _auto(interface).from_config(config, trust_remote_code=False)


def _loaded(config: Any, interface: str, folder: Path) -> Any:
    try:
        network, found = _auto(interface).from_pretrained(
            str(folder), config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, local_files_only=True,
            ignore_mismatched_sizes=interface in CLASSIFIERS, output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # the library's and safetensors' own, of no common kind
        raise _do_not_fit(folder, first_line(error)) from error
    # What is put on the body for a task is drawn where it is not there; a body is not.
    body = f"{network.base_model_prefix}."
    lacking = sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])})
    if strange := [name for name in lacking if name.startswith(body) and "pooler" not in name]:
        raise _do_not_fit(folder, f"{strange[0]} is not there, or of another size ({len(strange)} such)")
    return network


def _adapted(network: Any, interface: str, sizes: Mapping[str, Any]) -> Adapter:
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):  # noqa: SLF001 - what they have in common
        raise SpecrunError(f"{type(network).__name__} has batch norm, which goes by the micro-batch", code="batch-norm",
                           hint="use model.kind: resnet, or an architecture without, such as vit or convnext")  # fmt: skip
    _, adapter = ADAPTERS[interface]
    try:
        adapted = adapter(network, sizes)
        adapted.check()
    except SpecrunError:
        raise
    except Exception as error:  # whatever a network of another kind meets
        raise not_as_taken(network, f"cannot be computed with: {first_line(error)}") from error
    return adapted


def _auto(interface: str) -> Any:
    import transformers

    name, _ = ADAPTERS[interface]
    return getattr(transformers, name)


def _does_not_serve(config: Any, interface: str) -> SpecrunError:
    return SpecrunError(f"transformers has no {config.model_type} of the kind {_auto(interface).__name__}, which the task asks for",
                        code="architecture-does-not-serve-task",
                        hint="choose a model of another architecture for model.name")  # fmt: skip


def _do_not_fit(folder: Path, reason: str) -> SpecrunError:
    return SpecrunError(f"the weights in {folder} do not fit its config.json: {reason}", code="weights-do-not-fit",
                        hint="fetch the folder anew, or set model.init: scratch")  # fmt: skip


@contextmanager
def _library() -> Iterator[None]:
    """With the library at hand, and silent: what it would warn of is an error here, or told in words of our own."""
    try:
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtraError("model.kind transformers needs the transformers library", code="missing-extra", hint=EXTRA) from error
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
