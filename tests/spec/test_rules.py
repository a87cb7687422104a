"""Rules that cross fields: what each finds, and what it lets pass."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec import rules
from specrun.spec.checks import all_rules, parts, problems
from specrun.spec.diagnostics import Diagnostic
from specrun.spec.gates import Gate, parse_gate
from specrun.spec.metrics import final_metrics
from specrun.spec.parts import FAMILIES, kinds
from specrun.spec.quantities import comparable
from specrun.spec.rules.profile import profile_problems
from specrun.spec.section import Part, Problem
from specrun.spec.units import Quantity
from tests.spec.specs import MINIMAL, check, codes, load, only

MODULES = [importlib.import_module(f"{rules.__name__}.{m.name}") for m in pkgutil.iter_modules(rules.__path__)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("validation/loss << 4.5", "validation/loss < 4.5"),
        ("validation/perplexity =< 4,5", "validation/perplexity <= 4.5"),
        ("validation/loss => 2e1", "validation/loss >= 2e1"),
        ("validation/loss = 3", "validation/loss == 3"),
        ("validation/loss below 3", "validation/loss < 3"),
        ("loss under 3", "validation/loss < 4"),
        ("validation/loss", "validation/loss < 4"),
        ("nonsense", "validation/loss < 4"),
    ],
)
def test_the_remedy_of_an_unreadable_gate_keeps_what_was_written_and_can_be_read(text: str, meant: str) -> None:
    (found,) = check(MINIMAL + f'expect: ["{text}"]\n').diagnostics
    assert (found.code, found.hint) == ("unreadable-gate", f"write {meant}")
    parse_gate(meant)


@pytest.mark.parametrize(("metric", "meant"), [("valid/los", "validation/loss"), ("val/perplexity", "validation/perplexity")])
def test_a_metric_cut_short_is_known(metric: str, meant: str) -> None:
    (found,) = check(MINIMAL + f'expect: ["{metric} < 4"]\n').diagnostics
    assert found.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_rule_says_what_why_example_and_remedy(module: object) -> None:
    text = module.__doc__ or ""
    assert all(word in text for word in ("What:", "Why:", "Example:", "Remedy:"))
    assert module.CODE.lower() == module.CODE  # type: ignore[attr-defined]


def test_codes_are_distinct() -> None:
    found = [module.CODE for module in MODULES]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "schedule",
    [
        "{batch_size: 30, micro_batch_size: 10}",
        "{batch_size: 30, micro_batch_size: auto}",
        "{batch_size: 8, micro_batch_size: 8}",
        "{duration: 400 steps, learning_rate: {kind: warmup_cosine, warmup: 399 steps}}",
        "{duration: 3 epochs, learning_rate: {kind: warmup_cosine, warmup: 500 steps}}",
        "{duration: 3 epochs, learning_rate: {kind: warmup_cosine, warmup: 99%}}",
        "{duration: 1M tokens, learning_rate: {kind: constant, warmup: 10 steps}}",
        "{duration: 400 steps, evaluate: {every: 400 steps}}",
        "{duration: 3 epochs, evaluate: {every: 5000 steps}, checkpoint: {every: 10min}}",
        "{early_stopping: {metric: validation/accuracy}, checkpoint: {metric: validation/bits_per_byte}}",
    ],
)
def test_what_fits_together_passes(schedule: str) -> None:
    assert check(MINIMAL + f"schedule: {schedule}\n").diagnostics == ()


@pytest.mark.parametrize(
    ("line", "code", "path", "hint"),
    [
        ("schedule: {batch_size: 4, micro_batch_size: 8}", "batch-not-divisible", "schedule.micro_batch_size", "use 4 or less, or auto"),
        ("schedule: {learning_rate: {kind: constant, warmup: 100%}}", "warmup-not-shorter", "schedule.learning_rate.warmup", "use 5%"),
        (
            "schedule: {duration: 1000 tokens, learning_rate: {kind: constant, warmup: 1 step}}",
            "warmup-not-shorter",
            "schedule.learning_rate.warmup",
            "use 5%",
        ),
        (
            "schedule: {learning_rate: {kind: one_cycle, warmup: 9s}}",
            "warmup-without-clock",
            "schedule.learning_rate.warmup",
            "use 5%, or set schedule.duration to a time, such as 9h",
        ),
        (
            "schedule: {duration: 1min, learning_rate: {kind: constant, warmup: 1min}}",
            "warmup-not-shorter",
            "schedule.learning_rate.warmup",
            "use 5%",
        ),
        ("schedule: {duration: 1min, evaluate: {every: 2min}}", "cadence-exceeds-duration", "schedule.evaluate.every", "use 10%"),
        ("schedule: {evaluate: {every: 150%}}", "cadence-exceeds-duration", "schedule.evaluate.every", "use 10%"),
        (
            "schedule: {duration: 10 steps, checkpoint: {every: 20 steps}}",
            "cadence-exceeds-duration",
            "schedule.checkpoint.every",
            "use 10%",
        ),
        (
            "schedule: {checkpoint: {metric: validation/perplexty}}",
            "not-a-validation-metric",
            "schedule.checkpoint.metric",
            "use validation/perplexity",
        ),
        ("schedule: {checkpoint: {metric: train/loss}}", "not-a-validation-metric", "schedule.checkpoint.metric", "use validation/loss"),
        ("expect: [speed > 3]", "unreadable-gate", "expect.0", "write validation/loss < 4"),
        ("expect: [validation/loss < 3, validation/los < 3]", "gate-without-metric", "expect.1", "did you mean validation/loss?"),
        (
            "schedule: {parameters: {frozen: [final_norm.*, block.0.*]}}",
            "pattern-matches-nothing",
            "schedule.parameters.frozen.1",
            "did you mean blocks.0.*?",
        ),
        ("schedule: {parameters: {frozen: ['*']}}", "nothing-to-train", "schedule.parameters.frozen", "leave some out, or add lora"),
        ("seeds: [3, 3]", "duplicate-seed", "seeds.1", "use 0, or remove it"),
        ("tags: [sk-" + "a" * 30 + "]", "secret-literal", "tags.0", "use env:NAME, and revoke this one"),
    ],
)
def test_what_does_not_fit_is_told_with_a_value_that_would(line: str, code: str, path: str, hint: str) -> None:
    found = only(f"{MINIMAL}{line}\n")
    assert (found.code, found.path, found.hint, found.line) == (code, path, hint, 8)


def test_the_byte_tokenizer_needs_a_row_for_its_end_of_text() -> None:
    def text(rows: int, end: str) -> str:
        return MINIMAL.replace("{kind: ratio}", f"{{kind: ratio}}\n  tokenizer: {{kind: byte, end_of_text: {end}}}").replace(
            "{kind: gpt}", f"{{kind: gpt, vocab_size: {rows}}}"
        )

    assert codes(text(256, "true")) == ["vocabulary-exceeds-model"]
    assert codes(text(257, "true")) == codes(text(256, "false")) == []


def test_a_test_metric_needs_a_test_split() -> None:
    gate = "expect: [test/perplexity < 60]\n"
    assert codes(MINIMAL + gate) == ["gate-without-metric"]
    assert codes(MINIMAL.replace("{kind: ratio}", "{kind: ratio, test: 0.1}") + gate) == []
    assert "test/loss" not in final_metrics(load().spec)


def test_a_cuda_profile_needs_a_device() -> None:
    spec = load(MINIMAL + "hardware: {profile: cuda}\n").spec
    (found,) = profile_problems(spec, has_cuda=False)
    assert (found.code, found.path) == ("profile-without-device", ("hardware", "profile"))
    assert list(profile_problems(spec, has_cuda=True)) == []
    assert list(profile_problems(load().spec, has_cuda=False)) == []


def test_a_rule_whose_input_is_invalid_is_skipped_and_the_others_run() -> None:
    text = MINIMAL + "seeds: [1, 1]\nschedule: {batch_size: x, micro_batch_size: 7, duration: 10 steps, evaluate: {every: 20 steps}}\n"
    assert sorted(codes(text)) == ["cadence-exceeds-duration", "duplicate-seed", "wrong-type"]


def test_a_rule_that_fails_on_a_valid_spec_is_a_bug_and_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(spec: object) -> object:
        raise AttributeError("a bug")

    spec = load().spec
    monkeypatch.setattr("specrun.spec.checks.all_rules", lambda: (broken,))
    with pytest.raises(AttributeError, match="a bug"):
        list(problems(spec))


def test_every_part_is_asked_for_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def remember(self: Part, spec: object, path: tuple[str, ...]) -> list[Problem]:
        asked.append((path, self.kind))
        return [Problem(path, "told", "a warning", severity="warning")]

    spec = load().spec
    for _, part in parts(spec):
        monkeypatch.setattr(type(part), "problems", remember)
    found = list(problems(spec))
    assert {p.path for p in found} == {path for path, _ in asked} == {path for path, _ in parts(spec)}
    assert ("data", "tokenizer") in dict(asked)


def test_all_rules_are_found() -> None:
    assert len(all_rules()) == sum(hasattr(module, "check") for module in MODULES)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.sampled_from(["test/loss", "validation/bits_per_byte", "a/b-c/d.e"]), st.sampled_from(["<", "<=", ">", ">=", "=="]), numbers, numbers
)
def test_a_gate_judges_as_its_operator_says(metric: str, operator: str, bound: float, value: float) -> None:
    gate = parse_gate(f" {metric}{operator} {bound!r} ")
    assert gate == Gate(metric, operator, bound)
    assert gate.evaluate(value) is eval(f"{value!r} {operator} {bound!r}")


def test_a_gate_prints_as_it_is_read() -> None:
    assert parse_gate(str(parse_gate("test/loss<=1e-3"))) == Gate("test/loss", "<=", 0.001)


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "=="])
def test_no_gate_holds_for_what_is_not_a_number(operator: str) -> None:
    assert not parse_gate(f"test/loss {operator} 3").evaluate(float("nan"))


@pytest.mark.parametrize(
    "text", ["", "loss < 3", "test/loss", "test/loss < x", "test/loss != 3", "test/loss < 3 extra", "3 < test/loss", "test/loss < 1e999"]
)
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not metric|more than"):
        parse_gate(text)


def test_a_credential_is_found_wherever_it_stands() -> None:
    secret = "hf_" + "Z9" * 17
    text = MINIMAL.replace("{kind: synthetic}", f"{{kind: text, path: {{train: a.txt, validation: [{secret}]}}}}")
    text = text.replace("split: {kind: ratio}", "split: {kind: given}")
    assert [(d.code, d.path) for d in check(text).diagnostics] == [("secret-literal", "data.source.path.validation.0")]


def test_a_credential_is_not_printed() -> None:
    from specrun.spec.render import render_text

    secret = "hf_" + "Z9" * 17
    assert secret not in render_text(check(MINIMAL + f"description: {secret}\n").diagnostics)
    found = check(MINIMAL.replace("minimal", f"{secret} b  # {'x' * 200}")).diagnostics
    assert [d.code for d in found] == ["bad-name"]
    assert secret not in render_text(found)
    assert secret not in f"{found[0].message} {found[0].hint}"


@pytest.mark.parametrize(
    "line",
    [
        "{secret}: 3",
        "schedule: {{{secret}: 3}}",
        "description: [{secret}]",
        "description: {long}-{secret}",
        "seeds: {long} {secret}",
        "extends: {long}/{secret}.txt",
        "schedule: {{optimizer: {{kind: {long}-{secret}}}}}",
        "schedule: {{{long}-{secret}: 1}}",
        "schedule: {{duration: 3 {secret}}}",
    ],
)
def test_a_credential_that_is_cut_or_a_key_is_shown_nowhere(line: str) -> None:
    from specrun.spec.render import render_text

    secret = "hf_" + "Z9" * 17
    text = MINIMAL + line.format(secret=secret, long="x" * 45) + "\n"
    checked = check(text)
    for found in checked.diagnostics:
        told = f"{found.message} {found.hint} {found.path} {render_text([found])}"
        assert secret[:8] not in told
    assert checked.loaded is None
    by_set = check(MINIMAL, sets=[line.format(secret=secret, long="x" * 45).replace(": ", "=", 1)]).diagnostics
    assert not any(secret[:8] in f"{d.message} {d.hint} {d.path} {render_text([d])}" for d in by_set)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('tags: ["\\u0000"]', "tags.0"),
        ('description: "a\\eb"', "description"),
        ('report: {title: "\\u202Egpj.exe"}', "report.title"),
        ('expect: ["validation/loss < 3", "\\a"]', "expect.1"),
    ],
)
def test_a_character_that_cannot_be_seen_is_refused_though_it_is_escaped(line: str, path: str) -> None:
    assert ("control-character", path) in [(d.code, d.path) for d in check(f"{MINIMAL}{line}\n").diagnostics]


def test_line_breaks_tabs_and_any_script_are_characters_like_others() -> None:
    assert codes(MINIMAL + 'description: "two\\nlines\\tand 日本語 and 👩\\u200d👧"\n') == []


@pytest.mark.parametrize("line", ['extends: "a\\0.yaml"', 'extends: "a\\0"'])
def test_a_base_that_can_be_no_file_is_a_finding(line: str) -> None:
    (found,) = check(f"{MINIMAL}{line}\n").diagnostics
    assert found.code in {"extends-missing", "extends-not-yaml"}
    assert found.hint


def test_quantities_compare_where_the_spec_relates_their_units() -> None:
    spec = load(MINIMAL.replace("data:", "data:\n  sequence_length: 8") + "schedule: {batch_size: 4}\n").spec

    def sizes(a: tuple[float, str], b: tuple[float, str]) -> tuple[float, float] | None:
        return comparable(Quantity(*a), Quantity(*b), spec)  # type: ignore[arg-type]

    assert sizes((2, "epochs"), (3, "epochs")) == (2, 3)
    assert sizes((1, "steps"), (4, "samples")) == (4, 4)
    assert sizes((64, "tokens"), (2, "steps")) == (8, 8)
    assert sizes((1, "epochs"), (3, "steps")) is None


def test_tokens_of_documents_are_not_steps_before_the_data_is_known() -> None:
    spec = load(MINIMAL.replace("data:", "data:\n  packing: documents")).spec
    assert comparable(Quantity(64, "tokens"), Quantity(2, "steps"), spec) is None
    assert comparable(Quantity(1, "steps"), Quantity(2, "samples"), spec) is not None


def test_padding_is_a_metric_of_documents_alone() -> None:
    documents = MINIMAL.replace("data:", "data:\n  packing: documents")
    gate = "expect: [throughput/padding_share < 0.1]\n"
    assert check(documents + gate).diagnostics == ()
    assert codes(MINIMAL + gate) == ["gate-without-metric"]


@pytest.mark.parametrize("metric", ["train/loss", "throughput/tokens_per_second", "throughput/padding_share"])
@pytest.mark.parametrize("section", ["checkpoint: {", "early_stopping: {", "learning_rate: {kind: reduce_on_plateau, "])
def test_a_metric_of_training_is_told_to_be_one_and_not_one_of_evaluations(section: str, metric: str) -> None:
    found = only(f"{MINIMAL}schedule: {{{section}metric: {metric}}}}}\n")
    assert found.code == "not-a-validation-metric"
    assert found.message == f"{metric} is no metric of evaluations: it is measured on what is trained on, between them"
    assert "validation/loss" in (found.hint or "")


def test_every_kind_that_other_tools_name_otherwise_is_one_that_exists() -> None:
    for name, family in FAMILIES.items():
        assert set(family.synonyms.values()) <= set(kinds(name))
        assert not {kind.replace("_", "") for kind in kinds(name)} & family.synonyms.keys()


def test_muon_needs_momentum_for_nesterovs() -> None:
    def told(options: str) -> list[tuple[str, str, str]]:
        checked = check(f"{MINIMAL}schedule: {{optimizer: {{kind: muon, {options}}}}}\n")
        return [(d.code, d.path or "", d.message) for d in checked.diagnostics]

    code, at = "nesterov-without-momentum", "schedule.optimizer"
    assert told("momentum: 0, nesterov: true") == [(code, f"{at}.nesterov", "nesterov: true needs a momentum, which is 0")]
    assert told("momentum: 0") == [(code, f"{at}.momentum", "nesterov: true, as it is by default, needs a momentum, which is 0")]
    assert told("momentum: 0, nesterov: false") == told("momentum: 0.5") == []


def test_muon_is_warned_of_where_no_hidden_matrix_is_trained() -> None:
    def told(parameters: str) -> list[Diagnostic]:
        spec = f"{MINIMAL}schedule: {{optimizer: {{kind: muon}}, parameters: {{{parameters}}}}}\n"
        return [found for found in check(spec).diagnostics if found.code == "muon-without-matrices"]

    (found,) = told("frozen: ['blocks.*']")
    assert (found.path, found.severity, found.hint) == ("schedule.optimizer.kind", "warning", "use kind: adamw, or freeze less")
    assert found.message == ("muon moves hidden matrices, and schedule.parameters.frozen freezes all of them: what is left is trained by "
                             "AdamW, at rest_learning_rate 0.003")  # fmt: skip
    assert told("frozen: ['blocks.*.weight']")
    for trained in ("frozen: ['blocks.0.*']", "frozen: ['blocks.*.bias', '*norm*', token_embedding.*]", "lora: {rank: 2}"):
        assert not told(trained)


@pytest.mark.parametrize(("rank", "targets", "told"), [(64, "*", False), (65, "*", True), (96, "*.mlp.*", True), (64, "*.mlp.*", False)])
def test_adapters_of_a_higher_rank_than_their_matrix_are_told(rank: int, targets: str, told: bool) -> None:
    model = MINIMAL.replace("kind: gpt", "kind: gpt, width: 64, mlp_width: 128")
    found = check(f"{model}schedule: {{parameters: {{lora: {{rank: {rank}, targets: ['{targets}']}}}}}}\n").diagnostics
    assert [d.hint for d in found if d.path == "schedule.parameters.lora.rank"] == ["use 64 or less"] * told


def test_windows_have_no_lengths_to_group_by() -> None:
    def told(data: str) -> list[tuple[str, str, str]]:
        checked = check(MINIMAL.replace("data:", f"data:\n{data}"))
        return [(d.code, d.path or "", d.severity) for d in checked.diagnostics]

    assert told("  group_by_length: true") == [("option-without-effect", "data.group_by_length", "warning")]
    assert told("  group_by_length: true\n  packing: documents") == []
    assert told("  group_by_length: false") == []


def test_adapters_are_warned_of_and_their_targets_are_looked_for() -> None:
    def told(parameters: str) -> list[tuple[str, str, str]]:
        checked = check(f"{MINIMAL}schedule: {{parameters: {{{parameters}}}}}\n")
        return [(d.code, d.path or "", d.severity) for d in checked.diagnostics]

    random = ("lora-on-random-weights", "schedule.parameters.lora", "warning")
    assert told("lora: {rank: 2}") == [random]
    assert ("pattern-matches-nothing", "schedule.parameters.lora.targets.1", "error") in told("lora: {targets: ['*.mlp.out', head]}")
    assert ("option-without-effect", "schedule.parameters.frozen", "warning") in told("lora: {rank: 2}, frozen: ['blocks.0.*']")
