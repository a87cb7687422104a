"""A hint names a value that would do, the nearest to what was written."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.spec.amounts import meant_quantity
from specrun.spec.bounds import limits
from specrun.spec.document import Spec
from specrun.spec.shape import Field, alternatives, fields, members, walk_classes
from specrun.spec.units import MOST, UNITS, parse_quantity
from specrun.spec.yaml_text import yaml_value
from tests.spec.specs import MINIMAL, check, only
from tests.spec.strategies import leaf_paths
from tests.spec.test_laws import OF_TYPES

UNIT_WORDS = ("epoch", "iters", "GB", "min", "%", "Steps", "rows", "M")
JUNK = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text("abk3M%-. <>/", max_size=8),
    st.lists(st.one_of(st.integers(-2, 2), st.sampled_from(["html", "x", "7"])), max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.just("< 3")),
    st.builds(lambda n, unit: f"{n} {unit}", st.floats(-9, 1e20), st.sampled_from(UNIT_WORDS)),
)  # fmt: skip


@given(st.sampled_from(leaf_paths()), JUNK)
@settings(max_examples=120)
def test_what_a_hint_says_to_use_is_a_value_of_the_field(leaf: tuple[tuple[str, ...], Field], junk: object) -> None:
    path = ".".join(leaf[0])
    for found in check(MINIMAL, sets=[f"{path}={yaml_value(junk)}"]).diagnostics:
        if found.code not in OF_TYPES or not (found.hint or "").startswith("use "):
            continue
        whole = found.path == path
        text = f"{path}={(found.hint or '').removeprefix('use ')}"
        again = check(MINIMAL, sets=[text if whole else f"{path}={yaml_value(_mended(junk, found.path, text))}"])
        assert not [d for d in again.diagnostics if d.code in OF_TYPES and d.path == found.path], (junk, found)


def _mended(junk: object, path: str, text: str) -> object:
    last, value = path.rpartition(".")[2], text.partition("=")[2]
    mended = yaml.safe_load(value)
    if isinstance(junk, dict):
        return {**junk, last: mended}
    assert isinstance(junk, list)
    return [*junk[: int(last)], mended, *junk[int(last) + 1 :]]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("schedule: {duration: 6}", "use 6 epochs"),
        ("schedule: {duration: '6'}", "use 6 epochs"),
        ("schedule: {duration: 29}", "use 29 epochs"),
        ("schedule: {duration: 100}", "use 100 steps"),
        ("schedule: {duration: 3000000}", "use 3000000 tokens"),
        ("schedule: {duration: 3 epohcs}", "use 3 epochs"),
        ("schedule: {duration: 3 Epochs}", "use 3 epochs"),
        ("schedule: {duration: -3 epochs}", "use 3 epochs"),
        ("schedule: {duration: '0,5 epochs'}", "use 0.5 epochs"),
        ("schedule: {duration: '1,50 epohcs'}", "use 1.5 epochs"),
        ("schedule: {duration: '0,500 epochs'}", "use 0.5 epochs"),
        ("schedule: {duration: '12,34 steps'}", "use 13 steps"),
        ("hardware: {memory: '1,5 GiB'}", "use 1.5 GiB"),
        ("schedule: {evaluate: {every: 0.07}}", "use 7%"),
        ("schedule: {duration: 500 iterations}", "use 500 steps"),
        ("schedule: {duration: 50M}", "use 50000000 tokens"),
        ("schedule: {duration: 5k example}", "use 5000 samples"),
        ("schedule: {duration: 1.5 steps}", "use 2 steps"),
        ("schedule: {evaluate: {every: 6 evaluations}}", "use 6 steps"),
        ("schedule: {log_every: 6 hours}", "use 10 steps"),
        ("schedule: {duration: 20%}", "use 1 epoch"),
        ("schedule: {early_stopping: {patience: 3}}", "use 3 evaluations"),
        ("schedule: {early_stopping: {patience: 3 evals}}", "use 3 evaluations"),
        ("schedule: {early_stopping: {patience: 3 steps}}", "use 3 evaluations"),
        ("schedule: {evaluate: {every: 0.1}}", "use 10%"),
        ("schedule: {evaluate: {every: 500}}", "use 500 steps"),
        ("schedule: {checkpoint: {every: 10 minuts}}", "use 10min"),
        ("schedule: {batch_size: '64'}", "use 64"),
        ("schedule: {batch_size: 64.0}", "use 64"),
        ("schedule: {batch_size: 1e9}", "use 1048576"),
        ("schedule: {batch_size: .inf}", "use 32"),
        ("schedule: {optimizer: {betas: [0.9]}}", "use [0.9, 0.95]"),
        ("schedule: {optimizer: {betas: [0.9, 1.0]}}", "use 0.95"),
        ("seeds: 3", "use [3]"),
        ("seeds: [1.0]", "use 1"),
        ("tags: sheep", "use [sheep]"),
        ("tags: [true]", 'quote it: "true"'),
        ("report: {formats: md}", "use [md]"),
        ("expect: validation/loss < 3", 'use ["validation/loss < 3"]'),
        ("expect: {validation/loss: < 3}", 'use ["validation/loss < 3"]'),
        ("expect: |\n  - validation/loss < 3\n  - validation/accuracy > 0\n", 'use ["validation/loss < 3", "validation/accuracy > 0"]'),
        ("expect: [3]", 'use "validation/loss < 4"'),
        ("hardware: {memory: 16}", "use 16 GiB"),
        ("hardware: {memory: 400}", "use 400 MiB"),
        ("hardware: {memory: '8192'}", "use 8192 MiB"),
        ("hardware: {precision: fp16}", "did you mean float16?"),
        ("hardware: {precision: 16-mixed}", "did you mean float16?"),
        ("hardware: {precision: 32}", "did you mean float32?"),
        ("hardware: {precision: bf16}", "did you mean bfloat16?"),
        ("hardware: {precision: fp8}", "use auto"),
        ("hardware: {compile: false}", "did you mean off?"),
        ("schedule: {learning_rate: {kind: cosine}}", "did you mean warmup_cosine?"),
        ("schedule: {learning_rate: {kind: CosineAnnealingLR}}", "did you mean warmup_cosine?"),
        ("schedule: {learning_rate: {kind: cosine_with_restarts}}", "did you mean cosine_restarts?"),
        ("schedule: {learning_rate: {kind: linear}}", "did you mean warmup_linear?"),
        ("schedule: {learning_rate: {kind: OneCycleLR}}", "did you mean one_cycle?"),
        ("schedule: {learning_rate: {kind: plateau}}", "did you mean reduce_on_plateau?"),
        ("schedule: {optimizer: {kind: Adam}}", "did you mean adamw?"),
        ("hardware: {memory: 512 mb}", "use 512 MiB"),
        ("hardware: {memory: 0 B}", "use 16 GiB"),
        ("description: " + "x" * 2001, "shorten its 2,001 characters to 2,000"),
    ],
)
def test_a_hint_keeps_what_was_written(line: str, hint: str) -> None:
    found = only(f"{MINIMAL}{line}\n")
    assert found.hint == hint


@pytest.mark.parametrize(("written", "found"), [("yes", "true"), ("Off", "false"), ("1", "true")])
def test_words_for_true_and_false_are_understood_in_hints(written: str, found: str) -> None:
    assert only(MINIMAL.replace("{kind: gpt}", f"{{kind: gpt, bias: {written}}}")).hint == f"use {found}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seeds: [1.0]", "seeds.0 is 1.0; it must be an integer of at least 0 and below 9,223,372,036,854,775,808"),
        ("schedule: {batch_size: .inf}", "schedule.batch_size is .inf; it must be an integer from 1 to 1,048,576"),
        ("schedule: {batch_size: -.inf}", "schedule.batch_size is -.inf; it must be an integer from 1 to 1,048,576"),
        ("schedule: {gradient_clip: .nan}", "schedule.gradient_clip is .nan; it must be a number above 0 and at most 1,000,000"),
        ("schedule: {log_every: 3 epochs}", 'schedule.log_every is "3 epochs"; it cannot be a number of epochs; '
         "it must be an amount with its unit, such as 2000 steps"),
        ("schedule: {duration: 20%}", 'schedule.duration is "20%"; it cannot be a share; '
         "it must be an amount with its unit, such as 3 epochs, 2000 steps, 50M tokens, 100k samples or 9h"),
    ],
)  # fmt: skip
def test_a_value_is_told_as_it_was_written(line: str, message: str) -> None:
    assert only(f"{MINIMAL}{line}\n").message == message


@pytest.mark.parametrize("unit", UNITS)
def test_an_amount_that_nobody_means_is_out_of_range(unit: str) -> None:
    assert parse_quantity(f"{MOST[unit]:.0f} {unit}".replace(" percent", "%")).amount == MOST[unit]  # type: ignore[index]
    for amount in ("1e300", "1e999", "9" * 30):
        with pytest.raises(ValueError, match="it must be at most 1"):
            parse_quantity(f"{amount} {unit}".replace(" percent", "%"))


@pytest.mark.parametrize("line", ["schedule: {duration: 999999999999999999999 epochs}", "hardware: {memory: 2e9 TiB}"])
def test_an_absurd_amount_is_told_with_the_most_there_is(line: str) -> None:
    found = only(f"{MINIMAL}{line}\n")
    assert found.code == "out-of-range"
    assert "; it must be at most 1," in found.message


def test_every_number_of_the_language_has_a_bound_on_both_sides() -> None:
    open_ended = []
    for path, cls in walk_classes(Spec):
        for name, field in fields(cls).items():
            for annotation, metadata in alternatives(field.info):
                inner = members(annotation.__args__[0]) if getattr(annotation, "__origin__", None) is tuple else [(annotation, metadata)]
                for kind, notes in inner:
                    bounds = limits(notes).keys()
                    if kind in (int, float) and not (bounds & {"ge", "gt"} and bounds & {"le", "lt"}):
                        open_ended.append((*path, name))
    assert open_ended == []


@given(st.one_of(st.floats(), st.text(max_size=12), st.integers()), st.frozensets(st.sampled_from(UNITS), min_size=1))
def test_what_is_kept_of_an_amount_is_one_of_an_allowed_unit(value: object, allowed: frozenset[str]) -> None:
    text = meant_quantity(value, sorted(allowed))  # type: ignore[arg-type]
    assert text is None or parse_quantity(text).unit in allowed


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("schedule: {optimizer: {kind: adamw, learning_rate: 3e-3s}}", "use 0.003"),
        ("schedule: {optimizer: {kind: adamw, learning_rate: fast}}", "use 0.0003"),
        ("schedule: {batch_size: 1k}", "use 1000"),
        ("schedule: {batch_size: 16x}", "use 16"),
    ],
)
def test_a_number_that_a_word_is_written_behind_is_kept(line: str, use: str) -> None:
    assert [found.hint for found in check(MINIMAL + line + "\n").diagnostics] == [use]
