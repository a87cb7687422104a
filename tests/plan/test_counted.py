"""What changes nothing enters no key: settings without effect, defaults that are written out, nothing in another unit."""

from __future__ import annotations

from pathlib import Path

import pytest

import specrun
from specrun.engine.experiment import experiment_digest
from specrun.engine.machine_problems import machine_problems
from specrun.plan.compiler import compile_steps
from specrun.plan.counted import as_it_counts
from specrun.plan.finders import planned_kinds
from specrun.runtime.hardware import resolve
from specrun.spec.checks import problems
from specrun.spec.dump import dump
from specrun.spec.resolved import load_resolved
from specrun.spec.rules.option_without_effect import CODE
from specrun.steps.registry import step_kinds
from specrun.training.learning_rates.cosine_restarts import Options as Restarts

from .conftest import DOCUMENT, MACHINE, spec_of

PACKAGE = Path(specrun.__file__).parent
DATA = {"splits": {"train": {"sha256": "aa"}}}


def laid(document, over):
    """A document with another laid over it; a part of another kind takes the place of what was there."""
    if not isinstance(document, dict) or not isinstance(over, dict) or ("kind" in over and over["kind"] != document.get("kind")):
        return over
    return {**document, **{name: laid(document.get(name), value) for name, value in over.items()}}


def document_of(*over):
    """A document under others; what is None in one is taken out."""
    document = DOCUMENT
    for each in over:
        document = laid(document, each)
    return {**document, "data": {name: value for name, value in document["data"].items() if value is not None}}


def keys_of(*over):
    """The keys of a document under others, the experiment's among them."""
    spec = spec_of(document_of(*over))
    device = resolve(spec.hardware, MACHINE).identity
    graph = compile_steps(spec, kinds=planned_kinds(step_kinds(), spec), digest_inputs=lambda *_: {}, device=device, spec_digest="d")
    return {**{step.id: step.key for step in graph.steps}, "experiment": experiment_digest(spec, DATA, device=device)}


def told(*over):
    """Where a spec is told to have a setting without effect, on this machine too."""
    spec = spec_of(document_of(*over))
    return {".".join(map(str, it.path)) for it in (*problems(spec), *machine_problems(spec, MACHINE)) if it.code == CODE}


def leaves(document, path=()):
    for name, value in document.items():
        yield from leaves(value, (*path, name)) if isinstance(value, dict) else [".".join((*path, name))]


ADAPTERS = {"parameters": {"lora": {"rank": 4}}}
CSV = {"kind": "csv", "path": "a.csv"}
HUB = {"source": {"kind": "huggingface", "path": "a/b"}}
RESTARTS = {"kind": "cosine_restarts", "cycles": 1, "final_fraction": 0.1}
ONE_CYCLE = {"kind": "one_cycle", "warmup": "0%"}

_TABLE = {"source": {"kind": "synthetic_table"}, "columns": {"target": "y"}, "tokenizer": None, "sequence_length": None}
TABLE = {"task": {"kind": "tabular"}, "model": {"kind": "mlp"}, "data": _TABLE}
TEXTS = {"task": {"kind": "text_classification"}, "model": {"kind": "bag_of_ngrams"}, "data": {"source": CSV}}
PAIRS = {"task": {"kind": "seq2seq", "beam_size": 1}, "model": {"kind": "encoder_decoder", "num_heads": 4},
         "data": {"source": CSV, "columns": {"source": "a", "target": "b"}, "tokenizer": {"kind": "bpe"}}}  # fmt: skip
IMAGES = {"task": {"kind": "image_classification"}, "model": {"kind": "cnn"},
          "data": {"source": {"kind": "synthetic_images"}, "tokenizer": None, "sequence_length": None}}  # fmt: skip
SERIES = {"task": {"kind": "forecasting", "context": 8, "horizon": 4}, "model": {"kind": "dlinear"},
          "data": {"source": CSV, "columns": {"time": "t", "target": ["y"]}, "split": {"kind": "time", "validation": "2020-01-01"},
                   "tokenizer": None, "sequence_length": None}}  # fmt: skip

DRAWN_PAIRS = laid(PAIRS, {"data": {"source": {"kind": "synthetic_texts"}}})
MASKED = {"task": {"kind": "masked_lm"}, "model": {"kind": "encoder", "num_heads": 4}}
FOLD = {"kind": "kfold", "fold": 1}

WITHOUT_EFFECT = [
    ("models/bag_of_ngrams/options.py", laid(TEXTS, {"model": {"ngrams": 1}}), {"model": {"buckets": 1000}}),
    ("models/cnn/options.py", IMAGES, {"model": {"groups": 4}}),
    ("models/resnet/options.py", laid(IMAGES, {"model": {"kind": "resnet"}}), {"model": {"groups": 4}}),
    ("models/encoder/options.py", laid(TEXTS, {"model": {"kind": "encoder", "num_heads": 4}}), {"model": {"tie_embeddings": False}}),
    ("models/encoder/options.py", MASKED, {"model": {"pooling": "cls"}}),
    ("models/forecast_sizes.py", SERIES, {"data": {"columns": {"known": ["k"]}}}),
    ("models/forecast_sizes.py", SERIES, {"task": {"calendar": ["hour"]}}),
    ("models/mlp/options.py", laid(TABLE, {"model": {"numbers": "standardized"}}), {"model": {"bins": 7}}),
    ("sources/synthetic_table/options.py", TABLE, {"data": {"source": {"classes": 4}}}),
    ("sources/synthetic_texts/options.py", DRAWN_PAIRS, {"data": {"source": {"classes": 4}}}),
    ("spec/splits/given.py", laid(TABLE, {"data": {**HUB, "split": {"kind": "given"}}}), {"data": {"split": {"seed": 4}}}),
    ("spec/splits/time.py", SERIES, {"data": {"split": {"share_of": "time"}}}),
    ("spec/splits/kfold.py", laid(TABLE, {"data": {"split": {**FOLD, "shuffle": False}}}), {"data": {"split": {"seed": 4}}}),
    ("tasks/forecasting/options.py", SERIES, {"task": {"calendar_encoding": "category"}}),
    ("tasks/tabular/options.py", laid(TABLE, {"task": {"objective": "regression"}}), {"task": {"label_smoothing": 0.1}}),
    ("tasks/seq2seq/options.py", PAIRS, {"task": {"length_penalty": 0.7}}),
    ("spec/rules/option_without_effect.py", {}, {"data": {"split": {"seed": 3}}}),
    ("spec/rules/option_without_effect.py", {}, {"data": {"columns": {"text": "body"}}}),
    ("spec/rules/option_without_effect.py", {}, {"data": {"group_by_length": True}}),
    ("spec/rules/option_without_effect.py", {"schedule": {"evaluate": {"samples": 0}}}, {"task": {"prompt": "a"}}),
    ("spec/rules/option_without_effect.py", {"schedule": ADAPTERS}, {"schedule": {"parameters": {"frozen": ["blocks.0.*"]}}}),
    ("spec/rules/option_without_effect.py",
     {"schedule": {**ADAPTERS, "micro_batch_size": "auto", "optimizer": {"kind": "adamw", "learning_rate": "auto"}}},
     {"schedule": {"parameters": {"frozen": ["blocks.0.*"]}}}),
    ("spec/rules/option_without_effect.py", {"schedule": {"recovery": {"non_finite": "fail"}}},
     {"schedule": {"recovery": {"skips": 7, "max_rollbacks": 1, "learning_rate_factor": 0.1}}}),
    ("spec/rules/option_without_effect.py", {}, {"hardware": {"strategy": "ddp"}}),
    ("spec/rules/compiler.py", {"hardware": {"compile": "default"}}, {"hardware": {"compile": "reduce-overhead"}}),
    ("training/learning_rates/cosine_restarts.py", {"schedule": {"learning_rate": RESTARTS}},
     {"schedule": {"learning_rate": {"cycle_growth": 2.0}}}),
    ("training/learning_rates/one_cycle.py", {"schedule": {"learning_rate": ONE_CYCLE}},
     {"schedule": {"learning_rate": {"initial_fraction": 0.5}}}),
]  # fmt: skip
"""Who tells it, what is given, what has no effect then."""


@pytest.mark.parametrize(("given", "idle"), [(given, idle) for _, given, idle in WITHOUT_EFFECT])
def test_what_is_told_to_have_no_effect_changes_no_key(given, idle):
    assert not told(given)
    assert told(given, idle) == set(leaves(idle))
    assert keys_of(given, idle) == keys_of(given)


def test_rows_of_a_table_are_not_joined():
    given = {"task": {"kind": "tabular"}, "model": {"kind": "mlp"}, "data": {"source": CSV, "columns": {"target": "y"}}}
    joined = {"data": {"source": {"documents": "joined"}}}
    assert told(given, joined) - told(given) == {"data.source.documents"}
    assert keys_of(given, joined) == keys_of(given)
    assert not told({"data": {"source": CSV}}, joined)


def test_a_spec_read_again_from_a_record_in_which_all_is_written_counts_the_same():
    spec = spec_of(laid(DOCUMENT, {"data": {"split": {"seed": 3}}, "model": {"mlp_width": 64}}))
    again = load_resolved(dump(spec))
    assert again.model_fields_set > spec.model_fields_set
    assert as_it_counts(again) == as_it_counts(spec) == as_it_counts(as_it_counts(spec))
    assert as_it_counts(spec) != spec


def test_every_place_that_tells_of_no_effect_is_held_to_it():
    telling = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if f'"{CODE}"' in path.read_text(encoding="utf-8")}
    refused = {"models/gpt/options.py"}  # an error, which no plan has
    assert telling - refused == {place for place, _, _ in WITHOUT_EFFECT}


@pytest.mark.parametrize(
    ("given", "effective"),
    [
        ({"data": {"split": {"shuffle": True}}}, {"data": {"split": {"seed": 3}}}),
        ({"data": {"split": {"kind": "hash"}}}, {"data": {"split": {"seed": 3}}}),
        ({"data": HUB}, {"data": {"columns": {"text": "body"}}}),
        ({"data": {"fallback": HUB["source"]}}, {"data": {"columns": {"text": "body"}}}),
        ({"data": {"packing": "documents"}}, {"data": {"group_by_length": True}}),
        ({}, {"task": {"prompt": "a"}}),
        ({}, {"schedule": {"parameters": {"frozen": ["blocks.0.*"]}}}),
        ({}, {"schedule": {"recovery": {"skips": 7}}}),
        ({"schedule": {"learning_rate": {**RESTARTS, "cycles": 2}}}, {"schedule": {"learning_rate": {"cycle_growth": 2.0}}}),
        ({"schedule": {"learning_rate": {"kind": "one_cycle"}}}, {"schedule": {"learning_rate": {"initial_fraction": 0.5}}}),
    ],
)  # fmt: skip
def test_beside_what_makes_it_count_the_same_setting_is_another_key(given, effective):
    assert not told(given, effective)
    assert keys_of(given, effective) != keys_of(given)


GPT2 = {"kind": "gpt", "num_layers": 2, "width": 16, "num_heads": 2, "num_kv_heads": None, "architecture": "gpt2"}


@pytest.mark.parametrize(
    ("part", "absent", "written", "otherwise"),
    [
        ("model", GPT2, {"num_kv_heads": 2}, {"num_kv_heads": 1}),
        ("model", GPT2, {"mlp_width": 64}, {"mlp_width": 32}),
        ("model", GPT2, {"max_positions": 16}, {"max_positions": 32}),
        ("model", GPT2, {"layers": {"activation": "gelu_tanh"}}, {"layers": {"activation": "gelu"}}),
        ("model", GPT2, {"layers": {"norm": "layer", "positions": "learned", "qk_norm": False}}, {"layers": {"qk_norm": True}}),
        ("model", {**GPT2, "layers": {"activation": "swiglu"}}, {"mlp_width": 64}, {"mlp_width": 128}),
        ("rate", {"kind": "constant"}, {"warmup": "0 epochs"}, {"warmup": "1%"}),
        ("rate", {"kind": "constant"}, {"warmup": "0s"}, {"warmup": "1 step"}),
        ("rate", {"kind": "one_cycle", "warmup": "0 steps"}, {"warmup": "0%"}, {"warmup": "30%"}),
        ("rate", {"kind": "inverse_square_root"}, {"timescale_steps": 10_000}, {"timescale_steps": 9}),
    ],
)  # fmt: skip
def test_what_is_so_anyway_changes_no_key_when_it_is_written(part, absent, written, otherwise):
    place = (lambda over: {"model": over}) if part == "model" else (lambda over: {"schedule": {"learning_rate": over}})
    given, same, another = map(place, (absent, written, otherwise))
    assert keys_of(given, same) == keys_of(given)
    assert keys_of(given, another) != keys_of(given)


def test_a_single_cycle_is_the_same_to_the_bit_whatever_its_growth():
    courses = [Restarts(kind="cosine_restarts", cycles=1, cycle_growth=growth) for growth in (1.0, 1.1, 2.0, 10.0)]
    for step in range(1000):
        factors = {course.factor(step, warmup_steps=0, total_steps=999) for course in courses}
        assert len(factors) == 1
