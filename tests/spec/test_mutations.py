"""The mutation corpus: every key of every shipped spec and of a rich one, broken in every way a person does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from specrun.spec.diagnostics import errors
from specrun.spec.dump import dump
from specrun.spec.parts import options_class
from specrun.spec.section import Section
from tests.spec.mutations import WAYS, Mutant, keys, mutants
from tests.spec.specs import MINIMAL, check, load, texts


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, Mutant]]:
    return [(text, mutant) for text in checked() for mutant in mutants(text)]


def checked() -> list[str]:
    """The texts, but for those with a part of one's own, whose keys are not checked before its code is allowed."""
    return [text for text in texts().values() if "own_model" not in text]


def _is_default(original: str, mutant: Mutant) -> bool:
    """Whether a deletion that is valid left exactly what the language fills in: the same spec but for what was deleted."""
    loaded = load(mutant.text)
    value: object = loaded.spec
    holder: object = loaded.spec
    for name in mutant.path:
        holder, value = value, getattr(value, name)
    if mutant.path[-1] == "kind":  # the holder's default kind
        return isinstance(holder, Section) and loaded.provenance.describe(".".join(mutant.path)) == "default"
    below = (f"{'.'.join(mutant.path)}.{name}" for name in getattr(type(value), "model_fields", {}))
    origins = {loaded.provenance.origin(path).kind for path in [".".join(mutant.path), *below]}
    same_elsewhere = _without(dump(load(original).spec), mutant.path) == _without(dump(loaded.spec), mutant.path)
    return origins <= {"default", "preset"} and same_elsewhere


def _without(document: dict, path: tuple[str, ...]) -> dict:
    name, *rest = path
    kept = {key: value for key, value in document.items() if key != name}
    if rest and isinstance(document.get(name), dict):
        kept[name] = _without(document[name], tuple(rest))
    return kept


@pytest.mark.slow
def test_every_mistake_is_told_on_its_line_and_none_is_accepted(corpus: list[tuple[str, Mutant]]) -> None:
    told: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    legal: Counter[str] = Counter()
    silent = []
    for original, mutant in corpus:
        tried[mutant.way] += 1
        found = errors(check(mutant.text).diagnostics)
        told[mutant.way] += len(found)
        exact[mutant.way] += sum(d.line in mutant.lines for d in found)
        if not found:
            harmless = mutant.way == "wrong indent" and dump(load(original).spec) == dump(load(mutant.text).spec)
            if harmless or (mutant.way == "delete" and _is_default(original, mutant)):
                legal[mutant.way] += 1
            else:
                silent.append((mutant.way, mutant.path))
    print()
    for way in WAYS:
        print(f"{way:>13}: {tried[way]:4} mutants, {told[way]:4} diagnostics, {exact[way]:4} on the exact line, {legal[way]:3} legal")
    share = exact.total() / told.total()
    print(f"{tried.total()} mutants: {100 * share:.2f} % of {told.total()} diagnostics on the exact line, {len(silent)} silently accepted")
    assert silent == []
    assert share >= 0.99


def test_the_corpus_breaks_every_key_in_every_way_that_applies(corpus: list[tuple[str, Mutant]]) -> None:
    for text in checked():
        paths = {key.path for key in keys(text)}
        for way in ("delete", "misspell", "wrong type", "duplicate"):
            assert {m.path for original, m in corpus if original == text and m.way == way} == paths


def test_the_measure_notices_a_diagnostic_on_another_line(corpus: list[tuple[str, Mutant]]) -> None:
    _, mutant = next((t, m) for t, m in corpus if m.way == "misspell")
    moved = replace(mutant, lines=frozenset({10_000}))
    found = errors(check(moved.text).diagnostics)
    assert found
    assert not any(d.line in moved.lines for d in found)


def test_the_measure_notices_a_spec_that_is_accepted_silently() -> None:
    text = MINIMAL.replace("{kind: gpt}", "{kind: gpt, num_layers: 3}")
    key = next(k for k in keys(text) if k.path == ("model", "num_layers"))
    accepted = Mutant("delete", key.path, text, frozenset(), key.field)
    assert errors(check(accepted.text).diagnostics) == ()
    assert not _is_default(text, accepted)
    assert options_class("model", "gpt").model_fields["num_layers"].default != 3
