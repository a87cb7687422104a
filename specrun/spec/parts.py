"""Finds the options class of a part by its family and `kind`, importing only the module that is named.

A kind is a folder (or a module, for learning rates) of the family's package. User code is not looked up here: nothing that a spec
says can make this module import outside specrun. Parts of a user's own are in `own_parts`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specrun.spec.section import Part


@dataclass(frozen=True, slots=True)
class Family:
    """Where the parts of a family live. module: pattern of the options module; noun: for messages; usual: the kind that is shown as an
    example; synonyms: what other tools call a kind, without underscores."""

    package: str
    module: str
    noun: str
    planned: tuple[str, ...] = ()
    usual: str = ""
    synonyms: Mapping[str, str] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {
    "task": Family("specrun.tasks", "specrun.tasks.{kind}.options", "task",
                   usual="causal_lm"),
    "model": Family("specrun.models", "specrun.models.{kind}.options", "model", usual="gpt",
                    synonyms={"hf": "transformers", "huggingface": "transformers", "automodel": "transformers"}),
    "source": Family("specrun.sources", "specrun.sources.{kind}.options", "data source",
                     ("tokens",), usual="huggingface", synonyms={"jsonl": "json", "ndjson": "json", "tsv": "csv"}),
    "tokenizer": Family("specrun.tokenizers", "specrun.tokenizers.{kind}.options", "tokenizer",
                        synonyms={"bert": "wordpiece", "sentencepiece": "unigram", "spm": "unigram", "hub": "pretrained",
                                  "huggingface": "pretrained"}),
    "split": Family("specrun.spec.splits", "specrun.spec.splits.{kind}", "split",
                    synonyms={"cv": "kfold", "crossvalidation": "kfold", "random": "ratio", "grouped": "group", "temporal": "time",
                              "chronological": "time"}),
    "optimizer": Family("specrun.training.optimizers", "specrun.training.optimizers.{kind}.options", "optimizer",
                        synonyms={"adam": "adamw", "momentum": "sgd", "nesterov": "sgd"}),
    "learning_rate": Family("specrun.training.learning_rates", "specrun.training.learning_rates.{kind}", "learning-rate schedule",
                            synonyms={"cosine": "warmup_cosine", "cosineannealing": "warmup_cosine", "cosinedecay": "warmup_cosine",
                                      "cosinewithrestarts": "cosine_restarts", "cosineannealingwarmrestarts": "cosine_restarts",
                                      "sgdr": "cosine_restarts", "linear": "warmup_linear", "lineardecay": "warmup_linear",
                                      "constantwithwarmup": "constant", "inversesqrt": "inverse_square_root",
                                      "noam": "inverse_square_root", "warmupstabledecay": "wsd", "trapezoidal": "wsd",
                                      "plateau": "reduce_on_plateau"}),
}  # fmt: skip
"""planned: names the language reserves; they get a `not-available-yet` diagnostic rather than `unknown-kind`."""
OWN_FAMILIES = ("task", "model", "source")
"""Those whose kind may also be `package.module:Name`, a part of a user's own: see `own_parts`."""


@cache
def kinds(family: str) -> tuple[str, ...]:
    """Names of the kinds that exist in a family, sorted, without importing them."""
    package = importlib.import_module(FAMILIES[family].package)
    in_folders = FAMILIES[family].module.endswith(".options")
    modules = pkgutil.iter_modules(package.__path__)
    return tuple(sorted(m.name for m in modules if m.ispkg == in_folders and not m.name.startswith("_")))


def suggested(family: str) -> str:
    """The kind that a message shows as an example."""
    return FAMILIES[family].usual or kinds(family)[0]


@cache
def options_class(family: str, kind: str) -> type[Part]:
    """The options class of a kind. Raises KeyError for a kind that does not exist."""
    if kind not in kinds(family):
        raise KeyError(kind)
    module = importlib.import_module(FAMILIES[family].module.format(kind=kind))
    options: type[Part] = module.Options
    assert options.model_fields["kind"].annotation is not str, f"{options} must narrow `kind` to a literal"
    return options
