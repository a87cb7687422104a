"""Every error at once: what is wrong in one place hides nothing that is wrong in another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.spec.assembly import Draft, Layer, check_value, relaid
from specrun.spec.diagnostics import Diagnostic
from specrun.spec.dump import dump
from specrun.spec.resolved import further
from specrun.spec.rules.threads_exceed_cores import thread_problems
from specrun.spec.section import InvalidField, Problem, apart
from tests.spec.specs import MINIMAL, check, codes, load

FLAWS: dict[str, tuple[str, str]] = {
    "{kind: causal_lm}": ("{kind: causal_lm, sample_tokens: 0}", "task.sample_tokens"),
    "[1, 2]": ("[1.0, 2, 2]", "seeds"),
    "[sheep]": ("[2024]", "tags.0"),
    '["validation/loss < 4"]': ('[7, "validation/los < 3", speed]', "expect"),
    "encoding: utf-8": ("encoding: base64", "data.source.encoding"),
    "path: a.txt": ("path: [3]", "data.source.path"),
    "documents: files": ("documents: pages", "data.source.documents"),
    "kind: ratio": ("kind: given", "data.split"),
    "sequence_length: 64": ("sequence_length: x", "data.sequence_length"),
    "width: 64": ("width: 250", "model"),
    "mlp_width: 128": ("mlp_width: []", "model.mlp_width"),
    "batch_size: 8": ("batch_size: 0", "schedule.batch_size"),
    "every: 20 steps": ("every: 500 steps", "schedule.evaluate.every"),
    "every: 30 steps": ("every: 30", "schedule.checkpoint.every"),
    "metric: validation/loss": ("metric: []", "schedule.checkpoint.metric"),
    "metric: validation/perplexity": ("metric: test/loss", "schedule.early_stopping.metric"),
    "[html]": ("[html, html]", "report.formats"),
}
"""What is right -> what is wrong, and the key it is told at."""

RIGHT = """\
version: 1
name: many
seeds: [1, 2]
tags: [sheep]
task: {kind: causal_lm}
data:
  source: {kind: text, path: a.txt, encoding: utf-8, documents: files}
  split: {kind: ratio}
  sequence_length: 64
model: {kind: gpt, width: 64, mlp_width: 128}
schedule:
  duration: 400 steps
  batch_size: 8
  evaluate: {every: 20 steps}
  checkpoint: {every: 30 steps, metric: validation/loss}
  early_stopping: {metric: validation/perplexity}
expect: ["validation/loss < 4"]
report: {formats: [html]}
"""

LOST_INPUTS = {("path: a.txt", "kind: ratio")}
"""Of each pair, the first is an input of the rule that finds the second."""


def with_flaws(chosen: frozenset[str]) -> set[tuple[str, str, str, int]]:
    text = RIGHT
    for right in sorted(chosen):
        assert text.count(right + "\n") + text.count(right + "}") + text.count(right + ",") == 1, right
        for end in "\n},":
            text = text.replace(right + end, FLAWS[right][0] + end)
    return {(d.code, d.path, d.message, d.line) for d in check(text).diagnostics}


def test_the_spec_without_flaws_is_valid() -> None:
    assert codes(RIGHT) == []


@pytest.mark.parametrize("right", FLAWS)
def test_each_flaw_alone_is_told_at_its_key(right: str) -> None:
    found = with_flaws(frozenset({right}))
    assert found
    assert all(path.startswith(FLAWS[right][1]) for _, path, _, _ in found), found


@given(st.frozensets(st.sampled_from(sorted(FLAWS)), min_size=2))
@settings(max_examples=80)
def test_what_is_wrong_together_is_what_is_wrong_apart(chosen: frozenset[str]) -> None:
    lost = {second for first, second in LOST_INPUTS if {first, second} <= chosen}
    expected = set().union(*(with_flaws(frozenset({right})) for right in chosen - lost))
    assert expected <= with_flaws(chosen)


def test_an_invalid_gate_hides_no_other_gate() -> None:
    text = MINIMAL + 'expect: ["validation/los < 3", 3, "validation/lss < 2"]\n'
    assert [(d.code, d.path) for d in check(text).diagnostics] == [
        ("gate-without-metric", "expect.0"), ("wrong-type", "expect.1"), ("gate-without-metric", "expect.2"),
    ]  # fmt: skip


def test_a_gate_that_cannot_be_read_is_told_though_the_task_is_invalid() -> None:
    text = MINIMAL.replace("{kind: causal_lm}", "{kind: causal_ml}") + "expect: [validation/loss < 3, speed > 1]\n"
    assert codes(text) == ["unknown-kind", "unreadable-gate"]


def test_the_flaw_of_a_default_is_told_at_the_value_that_does_not_fit_it() -> None:
    (found,) = check(MINIMAL.replace("{kind: gpt}", "{kind: gpt, width: 250}")).diagnostics
    assert (found.code, found.path, found.line, found.column) == ("heads-do-not-divide-width", "model.width", 7, 27)


def later(draft: Draft) -> Iterator[Problem]:
    yield from apart(thread_problems(draft.spec, cores=2), iter([Problem(("name",), "later", "an error")]))


def told(found: tuple[Diagnostic, ...]) -> list[tuple[str, str]]:
    return [(d.code, d.severity) for d in found]


def test_later_checks_see_what_is_valid_of_an_invalid_spec() -> None:
    invalid = check(MINIMAL + "hardware: {threads: 64, profile: gpu}\nseeds: [x]\n")
    assert invalid.loaded is None
    checked = further(invalid, later)
    assert checked.loaded is None
    assert told(checked.diagnostics) == [
        ("later", "error"), ("threads-exceed-cores", "warning"), ("unknown-value", "error"), ("wrong-type", "error"),
    ]  # fmt: skip


def test_a_later_check_whose_input_is_invalid_is_left_out() -> None:
    checked = further(check(MINIMAL + "hardware: {threads: many}\n"), later)
    assert told(checked.diagnostics) == [("later", "error"), ("wrong-type", "error")]


def test_later_warnings_join_the_spec_and_later_errors_refuse_it() -> None:
    checked = check(MINIMAL + "hardware: {threads: 3}\n")
    warned = further(checked, lambda draft: thread_problems(draft.spec, cores=2))
    assert warned.loaded is not None
    assert told(warned.loaded.warnings) == [("threads-exceed-cores", "warning")]
    assert warned.diagnostics[0].hint == "use 2 or fewer, or remove threads"
    assert further(checked, later).loaded is None
    assert list(thread_problems(load(MINIMAL + "hardware: {threads: 2}\n").spec, cores=2)) == []


@pytest.mark.parametrize("written", ["", ", bias: true"])
def test_plain_data_can_be_laid_over_again_whatever_it_is_made_of(written: str) -> None:
    text = MINIMAL.replace("{kind: gpt}", f"{{kind: gpt, architecture: llama{written}}}")
    from_file, layer = check(text), Layer("shrunk", {"schedule.batch_size": 2})
    assert (from_file.loaded is None) == bool(written)
    resolved = check_value(dump(load(MINIMAL.replace("{kind: gpt}", "{kind: gpt, architecture: llama}")).spec), "<Spec>").loaded
    assert resolved is not None
    again = relaid(resolved, [layer])
    assert again.diagnostics == ()
    assert again.loaded is not None
    assert again.loaded.spec.schedule.batch_size == 2


def test_where_a_base_is_missing_nothing_more_is_checked() -> None:
    broken = check(MINIMAL.replace("version: 1\n", "version: 1\nextends: no.yaml\n"))
    assert broken.draft is None
    assert further(broken, later) == broken


def test_a_field_that_is_invalid_cannot_be_read_and_any_other_name_is_a_bug() -> None:
    draft = check(MINIMAL + "hardware: {threads: many}\n").draft
    assert draft is not None
    with pytest.raises(InvalidField):
        _ = draft.spec.hardware.threads
    with pytest.raises(AttributeError) as caught:
        _ = draft.spec.hardware.thread  # type: ignore[attr-defined]
    assert not isinstance(caught.value, InvalidField)


def test_more_gates_than_a_run_can_have_are_one_finding() -> None:
    gates = ", ".join(f"validation/los{index} < 3" for index in range(1001))
    assert codes(f"{MINIMAL}expect: [{gates}]\n") == ["wrong-length"]


def test_an_undefined_alias_is_compared_with_the_anchors_just_before_it() -> None:
    anchors = "".join(f"a{index}: &anchor{index} 1\n" for index in range(200))
    hints = [d.hint for d in check(f"{anchors}x: [*anchr199, *zebra]\n").diagnostics if d.code == "undefined-alias"]
    assert hints == ["did you mean *anchor199?", "put &zebra before the value it should repeat"]


def replaced(*sets: str) -> list[tuple[str, str]]:
    return [(d.path, d.message) for d in check(MINIMAL, sets=sets).diagnostics if d.code == "set-twice"]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("schedule.batch_size=4", "schedule.batch_size=8"),
        ("schedule.batch_size=8", "schedule.batch_size=8"),
        ("seeds.0=4", "seeds=[1]"),
        ("schedule.early_stopping.patience=3 evaluations", "schedule.early_stopping=null"),
    ],
)
def test_a_set_that_a_later_one_replaces_is_told_with_both(first: str, last: str) -> None:
    path = first.partition("=")[0]
    assert replaced(first, "name=x", last) == [(path, f"--set {last} comes later and replaces this --set; the last wins")]
    found = next(d for d in check(MINIMAL, sets=[first, last]).diagnostics if d.code == "set-twice")
    assert (found.hint, found.severity) == (f"remove --set {first}, or the other", "warning")


@pytest.mark.parametrize(
    "sets",
    [
        ("schedule.batch_size=4", "schedule.evaluate.every=10%"),
        ("seeds=[1]", "seeds.0=4"),
        ("seeds=[1, 2]", "seeds.0=4", "seeds.1=5"),
        ("schedule.evaluate={every: 5%}", "schedule.evaluate={samples: 2}"),
        ("schedule.early_stopping=null", "schedule.early_stopping.patience=3 evaluations"),
    ],
)
def test_sets_that_all_count_are_not_warned_of(sets: tuple[str, ...]) -> None:
    assert replaced(*sets) == []


COURSE = "{kind: gpt}\nschedule: {learning_rate: "
RECOVERING = "{kind: gpt}\nschedule:\n  recovery: "
HUB = "{kind: ratio}\n  fallback: {kind: huggingface, path: a/b}"


@pytest.mark.parametrize(
    ("right", "without", "counting"),
    [
        ("{kind: ratio}", "{kind: ratio, seed: 3}", "{kind: ratio, seed: 3, shuffle: true}"),
        ("{kind: ratio}", "{kind: ratio}\n  columns: {text: words}", HUB + "\n  columns: {text: words}"),
        ("{kind: gpt}\n", "{kind: gpt}\nschedule: {evaluate: {samples: 0}}\n", "{kind: gpt}\nschedule: {evaluate: {samples: 1}}\n"),
        ("{kind: gpt}\n", COURSE + "{kind: one_cycle, warmup: 0 steps, initial_fraction: 0.1}}\n", COURSE + "{kind: one_cycle}}\n"),
        ("{kind: gpt}\n", COURSE + "{kind: cosine_restarts, cycles: 1, cycle_growth: 2}}\n", COURSE + "{kind: cosine_restarts}}\n"),
        ("{kind: gpt}\n", RECOVERING + "{non_finite: fail, skips: 5}\n", RECOVERING + "{skips: 5}\n"),
        ("{kind: gpt}\n", RECOVERING + "{max_rollbacks: 1, learning_rate_factor: 0.1}\n", RECOVERING + "{learning_rate_factor: 0.1}\n"),
    ],
)  # fmt: skip
def test_a_setting_that_nothing_reads_is_warned_of(right: str, without: str, counting: str) -> None:
    text = MINIMAL.replace("{kind: causal_lm}", "{kind: causal_lm, prompt: Once}")
    (found,) = check(text.replace(right, without)).diagnostics
    assert (found.code, found.severity) == ("option-without-effect", "warning")
    assert codes(text.replace(right, counting)) == []


def test_a_set_of_a_field_without_effect_is_warned_of_there() -> None:
    (found,) = check(MINIMAL, sets=["data.split.seed=3"]).diagnostics
    assert (found.code, found.file, found.column) == ("option-without-effect", "--set", 17)
