"""What validation says: place, fact, rule, remedy, every mistake at once and each of them once."""

from __future__ import annotations

import pytest

from specrun.spec.nearest import listed
from specrun.spec.parts import kinds
from tests.spec.specs import MINIMAL, check, codes, load, only


def with_line(line: str) -> str:
    return MINIMAL + line + "\n"


@pytest.mark.parametrize(
    ("line", "code", "path", "column", "words"),
    [
        ("schedule: {batch_size: 0}", "out-of-range", "schedule.batch_size", 24, "is 0; it must be an integer from 1 to 1,048,576|use 1"),
        ("schedule: {batch_size: x}", "wrong-type", "schedule.batch_size", 24, 'is "x"; it must be an integer|use 32'),
        ("schedule: {batch_size: 1.5}", "wrong-type", "schedule.batch_size", 24, "is 1.5; it must be an integer|use 2"),
        ("schedule: {batch_size: true}", "wrong-type", "schedule.batch_size", 24, "is true|use 32"),
        ("schedule: {batch_size: 9999999}", "out-of-range", "schedule.batch_size", 24, "is 9999999; it must be an|use 1048576"),
        ("schedule: {gradient_clip: .inf}", "out-of-range", "schedule.gradient_clip", 27, "is .inf|use 1"),
        ("schedule: {micro_batch_size: aut}", "unknown-value", "schedule.micro_batch_size", 30, "or auto|did you mean auto?"),
        ("schedule: {micro_batch_size: 0}", "out-of-range", "schedule.micro_batch_size", 30, "from 1 to 1,048,576 or auto|use 1"),
        ("schedule: {duration: 3}", "quantity-without-unit", "schedule.duration", 22, "an amount with its unit|use 3 epochs"),
        ("schedule: {duration: 3 cows}", "not-a-quantity", "schedule.duration", 22, "cows is not a unit|use 3 epochs"),
        ("schedule: {log_every: 9h}", "unit-not-allowed", "schedule.log_every", 23, "it cannot be a time|use 10 steps"),
        ("schedule: {duration: 0 steps}", "quantity-not-positive", "schedule.duration", 22, "more than 0|use 1 epoch"),
        ("hardware: {profile: cda}", "unknown-value", "hardware.profile", 21, "auto, cpu or cuda|did you mean cuda?"),
        ("hardware: {memory: 16}", "size-without-unit", "hardware.memory", 20, "a size with its unit|use 16 GiB"),
        ("report: {formats: []}", "wrong-length", "report.formats", 10, "one or more values|use [html, md]"),
        ("report: {formats: [html, html]}", "duplicate-item", "report.formats", 10, "listed twice|remove one of the two"),
        ("report: {formats: html}", "wrong-type", "report.formats", 19, "a list of|use [html]"),
        ("seeds: [0, x]", "wrong-type", "seeds.1", 12, "an integer of at least 0|use 0"),
        ("tags: [2024]", "wrong-type", "tags.0", 8, 'is 2024; it must be text|quote it: "2024"'),
        ("description: 3.5", "wrong-type", "description", 14, 'it must be text of at most 2000 characters|quote it: "3.5"'),
        ("schedule: 3", "wrong-type", "schedule", 11, "is 3; it must be a mapping|write schedule: {duration: 1 epoch}"),
        ("schedule:", "wrong-type", "schedule", 1, "is empty; it must be a mapping|indent the keys of schedule"),
        ("schedule: {optimizer: adamw}", "wrong-type", "schedule.optimizer", 23, "a mapping with a kind|{kind: adamw}"),
        ("schedule: {optimizer: {kind: adamv}}", "unknown-kind", "schedule.optimizer.kind", 30, "no optimizer of kind|did you mean adamw?"),
        ("schedule: {optimizer: {kind: my.code:Class}}", "not-available-yet", "schedule.optimizer.kind", 30, "of your own|available"),
        ("schedule: {optimizer: {kind: 3}}", "wrong-type", "schedule.optimizer.kind", 30, "the name of a optimizer|use adamw"),
        ("schedule: {optimizer: {knd: adamw}}", "unknown-key", "schedule.optimizer.knd", 24, 'no key "knd"|did you mean "kind"?'),
        ("schedule: {optimizer: {learning_rte: 1}}", "unknown-key", "schedule.optimizer.learning_rte", 24, "no key|learning_rate"),
        ("search: {trials: 3}", "not-available-yet", "search", 1, "part of the language|remove it for now"),
        ("export: {targets: [onnx]}", "not-available-yet", "export", 1, "not available yet|remove"),
        ("tracking: []", "not-available-yet", "tracking", 1, "not available yet|remove"),
        ("lerning: 3", "unknown-key", "lerning", 1, 'the spec has no key "lerning"|'),
        ("batch_size: 3", "unknown-key", "batch_size", 1, 'no key "batch_size"|"batch_size" belongs to schedule'),
        ("schedule: {width: 3}", "unknown-key", "schedule.width", 12, '|"width" belongs to model of kind gpt and'),
        ("schedule: {hardware: 3}", "unknown-key", "schedule.hardware", 12, '|"hardware" belongs to the top level'),
        ("preset: fastest", "unknown-value", "preset", 9, "fast, balanced or quality|did you mean fast?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_place_fact_rule_and_remedy(line: str, code: str, path: str, column: int, words: str) -> None:
    found = only(with_line(line))
    fact, _, hint = words.partition("|")
    assert (found.code, found.path, found.line, found.column) == (code, path, 8, column)
    assert fact in found.message
    assert found.hint is not None
    assert hint in found.hint
    assert found.source_line == line


@pytest.mark.parametrize(
    ("gone", "code", "path", "line", "hint"),
    [
        ("version: 1\n", "missing-key", "version", 1, "add version: 1"),
        ("name: minimal\n", "missing-key", "name", 1, "add name: my-experiment"),
        ("task: {kind: causal_lm}\n", "missing-key", "task", 1, "add task: {kind: causal_lm}"),
        ("model: {kind: gpt}\n", "missing-key", "model", 1, "add model: {kind: gpt}"),
        ("  source: {kind: synthetic}\n", "missing-key", "data.source", 4, "add source: {kind: huggingface}"),
        (
            "kind: causal_lm",
            "missing-key",
            "task.kind",
            3,
            f"add kind: causal_lm; kinds are {listed(kinds('task'), 'and')}",
        ),
    ],
)
def test_a_missing_key_points_at_its_parent(gone: str, code: str, path: str, line: int, hint: str) -> None:
    found = only(MINIMAL.replace(gone, ""))
    assert (found.code, found.path, found.line, found.hint) == (code, path, line, hint)


def test_a_missing_data_section_shows_how_to_write_one() -> None:
    text = "".join(line for line in MINIMAL.splitlines(keepends=True) if not line.startswith((" ", "data")))
    found = only(text)
    assert (found.path, found.hint) == ("data", "add data: {source: {kind: huggingface}}")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    text = "version: 2\nname: a b\ntask: {kind: causal_ml}\ndata:\n  source: {kind: nowhere}\n  sequence_lenth: 4\n"
    found = check(text + "model: {kind: gpt, width: -1}\nschedule: {duration: x}\nseeds: []\n").diagnostics
    assert [(d.line, d.code) for d in found] == [
        (1, "unknown-value"), (2, "bad-name"), (3, "unknown-kind"), (5, "unknown-kind"), (6, "unknown-key"), (7, "out-of-range"),
        (8, "not-a-quantity"), (9, "wrong-length"),
    ]  # fmt: skip


def test_the_same_text_gives_the_same_diagnostics() -> None:
    text = with_line("schedule: {a: 1, b: 2, duration: x, optimizer: {kind: z}}\nnope: 3")
    assert check(text).diagnostics == check(text).diagnostics


def test_a_misspelt_required_key_is_one_mistake() -> None:
    assert only(MINIMAL.replace("model:", "modle:")).hint == 'did you mean "model"?'
    assert only(MINIMAL.replace("task:", "tsk:")).hint == 'did you mean "task"?'


def test_a_key_in_the_wrong_section_is_one_mistake() -> None:
    moved = MINIMAL.replace("model: {kind: gpt}\n", "").replace("data:\n", "data:\n  model: {kind: gpt}\n")
    assert only(moved).hint == '"model" belongs to the top level'


def test_a_misspelt_kind_does_not_hide_what_else_is_wrong_in_the_part() -> None:
    assert codes(with_line("schedule: {optimizer: {kind: adamv, betas: 3, epsilonn: 1}}")) == ["unknown-kind", "wrong-type", "unknown-key"]


def test_a_part_without_kind_has_the_default_kind() -> None:
    loaded = load(MINIMAL.replace("{kind: ratio}", "{kind: ratio}\n  tokenizer: {vocab_size: 300}"))
    assert loaded.spec.data.tokenizer.kind == "bpe"


def test_a_part_without_kind_whose_keys_are_those_of_another_kind_is_told_so() -> None:
    found = only(MINIMAL.replace("{kind: ratio}", "{validation: 0.2, shuffle: true}"))
    assert (found.code, found.path, found.line) == ("missing-key", "data.split.kind", 6)
    assert found.hint is not None
    assert found.hint.startswith("add kind: ratio")


@pytest.mark.parametrize("version", ["true", "1.0", "2", "'1'", "null"])
def test_only_the_integer_1_is_a_version(version: str) -> None:
    assert codes(MINIMAL.replace("version: 1", f"version: {version}")) == ["unknown-value"]


def test_a_header_indented_too_far_is_one_mistake() -> None:
    text = MINIMAL + "schedule:\n  optimizer:\n    kind: adamw\n    learning_rate: 1\n"
    found = only(text + "    learning_rate:\n    kind: wsd\n    warmup: 3 steps\n")
    assert (found.line, found.code) == (12, "duplicate-key")
    assert only(MINIMAL.replace("data:\n", "data:\n  model:\n  kind: gpt\n  width: 8\n").replace("model: {kind: gpt}\n", "")).line == 5


def test_keys_that_should_stand_under_the_header_above_are_told_so() -> None:
    found = check(with_line("schedule:\n  evaluate:\n  every: 10 steps\n  max_batches: 3")).diagnostics
    assert [(d.code, d.line) for d in found] == [("wrong-indent", 10), ("wrong-indent", 11)]


def test_a_quoted_number_is_not_a_number() -> None:
    assert only(with_line("schedule: {batch_size: '32'}")).code == "wrong-type"


def test_a_whole_number_is_also_a_number() -> None:
    assert load(with_line("schedule: {gradient_clip: 1}")).spec.schedule.gradient_clip == 1.0


def test_a_kind_that_the_language_reserves_is_no_unknown_one() -> None:
    found = only(MINIMAL.replace("{kind: synthetic}", "{kind: tokens}"))
    assert (found.code, found.path) == ("not-available-yet", "data.source.kind")
    assert "part of the language" in found.message
    assert found.hint is not None
    assert "huggingface" in found.hint
