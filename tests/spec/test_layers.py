"""The one override rule: default < preset < extends < file < --set < added layers; the last wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import SpecError, UsageError
from specrun.spec.assembly import Layer, check_spec, load_spec
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.layers import merge
from specrun.spec.nodes import MapNode, Source, Span, of_value, plain
from specrun.spec.presets import PRESETS, as_mapping
from tests.spec.specs import MINIMAL, check, codes, load, only

SOURCE, SPAN = Source("file", "a.yaml"), Span(1, 1, 1, 1)


def test_each_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    batch = "schedule.batch_size"
    (tmp_path / "base.yaml").write_text(MINIMAL + "schedule: {batch_size: 2}\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nschedule: {batch_size: 3}\n")
    assert load().spec.schedule.batch_size == 32
    assert load_spec(tmp_path / "child.yaml").spec.schedule.batch_size == 2
    assert load_spec(tmp_path / "own.yaml").spec.schedule.batch_size == 3
    assert load_spec(tmp_path / "own.yaml", sets=[f"{batch}=4"]).spec.schedule.batch_size == 4
    assert load_spec(tmp_path / "own.yaml", sets=[f"{batch}=4", f"{batch}=5"]).spec.schedule.batch_size == 5
    assert load_spec(tmp_path / "own.yaml", sets=[f"{batch}=4"], layers=[Layer("smoke", {batch: 6})]).spec.schedule.batch_size == 6


def test_a_preset_fills_what_the_file_leaves_out_and_nothing_else() -> None:
    text = MINIMAL + "preset: quality\nschedule: {evaluate: {every: 3 steps}}\n"
    spec = load(text).spec
    assert str(spec.schedule.evaluate.every) == "3 steps"
    assert spec.schedule.evaluate.samples == 2
    assert load(MINIMAL).spec.schedule.evaluate.samples == 1


def test_the_preset_of_the_command_line_wins_over_the_files() -> None:
    loaded = load(MINIMAL + "preset: quality\n", preset="fast")
    assert loaded.spec.preset == "fast"
    assert loaded.spec.report.formats == ("html",)
    assert loaded.spec.schedule.early_stopping is None


def test_a_preset_may_come_from_the_base_or_from_set(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(MINIMAL + "preset: quality\n")
    (tmp_path / "a.yaml").write_text("extends: base.yaml\n")
    assert load_spec(tmp_path / "a.yaml").spec.schedule.checkpoint.keep_last == 4
    assert load_spec(tmp_path / "a.yaml", sets=["preset=fast"]).spec.report.formats == ("html",)
    assert load_spec(tmp_path / "a.yaml", sets=["preset=null"]).spec.schedule.checkpoint.keep_last == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_with_every_kind(preset: str) -> None:
    spec = load(preset=preset).spec
    assert spec.preset == preset
    assert load(MINIMAL + f"preset: {preset}\nschedule: {{learning_rate: {{kind: wsd}}}}\n").warnings == ()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_touches_no_part(preset: str) -> None:
    assert all(path.startswith(("schedule.", "report.")) for path in PRESETS[preset])
    assert not any(".optimizer." in path or ".learning_rate." in path for path in PRESETS[preset])


def test_an_unknown_preset_of_the_command_line_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="quallity") as caught:
        check(MINIMAL, preset="quallity")
    assert caught.value.hint == "did you mean quality?"


def test_a_change_of_kind_drops_the_old_kinds_fields_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(MINIMAL + "schedule: {learning_rate: {kind: wsd, warmup: 3 steps, decay: 10%}}\n")
    (tmp_path / "a.yaml").write_text("extends: base.yaml\nschedule:\n  learning_rate: {kind: constant}\n")
    loaded = load_spec(tmp_path / "a.yaml")
    assert dump(loaded.spec)["schedule"]["learning_rate"] == {"kind": "constant", "warmup": "0 steps"}
    (warning,) = loaded.warnings
    assert (warning.code, warning.severity, warning.line) == ("kind-changed-drops-fields", "warning", 3)
    assert "wsd and is constant" in warning.message
    assert "warmup and decay" in warning.message


@pytest.mark.parametrize("sets", [
    ["schedule.optimizer={kind: lion, learning_rate: 1e-4, weight_decay: 0.5}"],
    ["schedule.optimizer.kind=lion", "schedule.optimizer.learning_rate=1e-4", "schedule.optimizer.weight_decay=0.5"],
])  # fmt: skip
def test_fields_that_are_set_again_with_another_kind_are_not_told_as_gone(sets: list[str]) -> None:
    text = MINIMAL + "schedule: {optimizer: {kind: adamw, learning_rate: 3e-3, weight_decay: 0.1}}\n"
    assert load(text, sets=sets).warnings == ()


def test_only_the_fields_that_are_not_set_again_are_told_as_gone() -> None:
    text = MINIMAL + "schedule: {optimizer: {kind: adamw, learning_rate: 3e-3, weight_decay: 0.1}}\n"
    (warning,) = load(text, sets=["schedule.optimizer={kind: lion, learning_rate: 1e-4}"]).warnings
    assert "its weight_decay no longer counts" in warning.message


@pytest.mark.parametrize(
    ("kinds", "said", "hint"),
    [
        (["sgd"], "was adamw and is sgd now, so its weight_decay and epsilon no longer", "set weight_decay again; sgd has no epsilon"),
        (["adafactor"], "was adamw and is adafactor now, so its", "set weight_decay again; adafactor has no epsilon"),
        (["muon"], "was adamw and is muon now, so its", "set weight_decay and epsilon again"),
        (["lion", "sgd"], "was adamw and is sgd now, so its", "set weight_decay again; sgd has no epsilon"),
        (["lion", "adamw"], "was adamw and is lion now, so its", "set weight_decay and epsilon again"),
    ],
)  # fmt: skip
def test_the_remedy_names_the_fields_that_the_new_kind_has_and_those_it_lacks(
    tmp_path: Path, kinds: list[str], said: str, hint: str
) -> None:
    (tmp_path / "0.yaml").write_text(MINIMAL + "schedule: {optimizer: {kind: adamw, weight_decay: 0.1, epsilon: 1e-7}}\n")
    for number, kind in enumerate(kinds, 1):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number - 1}.yaml\nschedule: {{optimizer: {{kind: {kind}}}}}\n")
    (warning,) = load_spec(tmp_path / f"{len(kinds)}.yaml").warnings
    assert said in warning.message
    assert warning.hint == hint


def test_a_kind_that_does_not_exist_is_the_only_mistake_told() -> None:
    text = MINIMAL + "schedule: {optimizer: {kind: adamw, learning_rate: 3e-3}}\n"
    assert [d.code for d in check(text, sets=["schedule.optimizer={kind: adamv}"]).diagnostics] == ["unknown-kind"]


def test_the_default_kind_counts_as_the_old_kind() -> None:
    loaded = load(MINIMAL.replace("{kind: ratio}", "{kind: ratio}\n  tokenizer: {vocab_size: 300}"), sets=["data.tokenizer.kind=byte"])
    assert loaded.spec.data.tokenizer.kind == "byte"
    assert [w.code for w in loaded.warnings] == ["kind-changed-drops-fields"]
    assert loaded.warnings[0].file == "--set"


def test_the_same_kind_again_keeps_the_fields() -> None:
    loaded = load(MINIMAL.replace("{kind: gpt}", "{kind: gpt, width: 64}"), sets=["model.kind=gpt", "model.num_heads=4"])
    assert dump(loaded.spec)["model"]["width"] == 64
    assert loaded.warnings == ()


def test_set_writes_what_the_file_would_write() -> None:
    text = MINIMAL + "seeds: [0, 1]\nschedule: {early_stopping: {patience: 3 evaluations}, optimizer: {kind: adamw, betas: [0.5, 0.9]}}\n"
    sets = ["seeds=[0, 1]", "schedule.early_stopping.patience=3 evaluations", "schedule.optimizer.betas=[0.5, 0.9]"]
    assert load(MINIMAL, sets=sets).spec == load(text).spec


@given(
    st.sampled_from(
        ["schedule.batch_size", "model.num_layers", "data.sequence_length", "schedule.gradient_clip", "name", "seeds.0", "nope.x"]
    ),
    st.sampled_from(["4", "64", "-1", "x", "[1]", "{a: 1}", "null", "0.001", "3 epochs", "''"]),
)
def test_set_is_checked_like_the_file(path: str, value: str) -> None:
    *parents, last = path.split(".")
    text = MINIMAL + "seeds: [0]\nschedule: {batch_size: 8, gradient_clip: 1.0}\n"
    nested = f"[{value}]" if last == "0" else value
    for name in reversed(parents[1:] if last != "0" else []):
        nested = f"{{{name}: {nested}}}"
    by_file = check(text, layers=[]).diagnostics
    assert by_file == ()
    by_set = check(text, sets=[f"{path}={value}"])
    edited = check(text, layers=[Layer("edit", {(path if last != "0" else "seeds"): _yaml(nested if last == "0" else value)})])
    assert [(d.code, d.path, d.message) for d in by_set.diagnostics] == [(d.code, d.path, d.message) for d in edited.diagnostics]
    if by_set.loaded is not None:
        assert edited.loaded is not None
        assert by_set.loaded.spec == edited.loaded.spec


def _yaml(text: str) -> object:
    from specrun.spec.findings import Findings
    from specrun.spec.loader import load_node

    node = load_node(text, Source("file", "a"), Findings())
    assert node is not None
    return plain(node)


def test_an_unknown_path_of_set_points_into_the_argument() -> None:
    found = only(MINIMAL, sets=["schedule.batchsize=4"])
    assert (found.file, found.line, found.column, found.code, found.hint) == ("--set", 1, 10, "unknown-key", 'did you mean "batch_size"?')
    assert found.source_line == "schedule.batchsize=4"


def test_a_wrong_value_of_set_points_at_the_value() -> None:
    found = only(MINIMAL, sets=["schedule.batch_size=0"])
    assert (found.file, found.column, found.code) == ("--set", 21, "out-of-range")
    assert only(MINIMAL, sets=["schedule.batch_size=[1"]).code == "unclosed"


def test_what_rules_find_in_a_value_of_set_shows_the_argument() -> None:
    found = only(MINIMAL, sets=["schedule.checkpoint.metric=validation/los"])
    assert (found.code, found.file, found.column) == ("not-a-validation-metric", "--set", 28)
    assert found.source_line == "schedule.checkpoint.metric=validation/los"


def test_set_may_index_lists_given_or_default() -> None:
    assert load(MINIMAL, sets=["seeds.0=7"]).spec.seeds == (7,)
    assert load(MINIMAL + "expect: [validation/loss < 3, validation/loss < 4]\n", sets=["expect.1=validation/loss < 5"]).spec.expect == (
        "validation/loss < 3", "validation/loss < 5",
    )  # fmt: skip
    found = only(MINIMAL, sets=["seeds.3=7"])
    assert (found.code, found.hint) == ("index-out-of-range", "use an index up to 0, or set the whole list")


@pytest.mark.parametrize("argument", ["schedule.batch_size", "=3", ".a=3", "a..b=3", ""])
def test_an_argument_that_is_no_assignment_is_a_usage_error(argument: str) -> None:
    with pytest.raises(UsageError, match="path=value"):
        check(MINIMAL, sets=[argument])


@pytest.mark.parametrize("text", ["The ", " The", "a # b", "first\nsecond", "The end"])
def test_a_bare_text_is_taken_as_it_stands(text: str) -> None:
    spec = load(MINIMAL, sets=[f"task.prompt={text}"]).spec
    assert spec.task.prompt == text  # type: ignore[attr-defined]


def test_a_bare_number_with_something_after_it_is_no_number() -> None:
    assert codes(MINIMAL, sets=["schedule.batch_size=3 # three"]) == ["wrong-type"]
    assert load(MINIMAL, sets=["schedule.batch_size= 3 "]).spec.schedule.batch_size == 3
    assert load(MINIMAL, sets=["seeds=[1, 2] # two"]).spec.seeds == (1, 2)


def test_set_without_a_value_sets_null() -> None:
    assert load(MINIMAL + "schedule: {gradient_clip: 1.0}\n", sets=["schedule.gradient_clip="]).spec.schedule.gradient_clip is None


def test_an_optional_layer_skips_what_the_kinds_do_not_have() -> None:
    values = {"data.tokenizer.vocab_size": 300, "schedule.batch_size": 2, "task.nope": 1, "nope": 1, "model.kind.x": 3}
    text = MINIMAL.replace("{kind: ratio}", "{kind: ratio}\n  tokenizer: {kind: byte}")
    assert load(text, layers=[Layer("smoke", values, optional=True)]).spec.schedule.batch_size == 2
    assert codes(text, layers=[Layer("smoke", values)]) == ["unknown-key", "unknown-key", "unknown-key", "wrong-type"]


class TestExtends:
    def write(self, folder: Path, **files: str) -> Path:
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)
        return folder / "a.yaml"

    def code(self, path: Path, **options: object) -> tuple[str, str, int]:
        (found,) = [d for d in check_spec(path, **options).diagnostics if d.code.startswith("extends") or d.path == "extends"]  # type: ignore[arg-type]
        return found.code, Path(found.file).name, found.line

    def test_bases_are_relative_to_the_file_that_names_them(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        self.write(tmp_path, base=MINIMAL)
        self.write(tmp_path / "deep", middle="extends: ../base.yaml\nname: middle\n", a="extends: middle.yaml\nseeds: [5]\n")
        spec = load_spec(tmp_path / "deep" / "a.yaml").spec
        assert (spec.name, spec.seeds, spec.extends) == ("middle", (5,), "middle.yaml")

    def test_a_cycle_is_told_where_it_closes(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a="extends: b.yaml\n", b="name: b\nextends: a.yaml\n")
        assert self.code(path) == ("extends-cycle", "b.yaml", 2)

    def test_a_chain_has_an_end(self, tmp_path: Path) -> None:
        files = {f"b{n}": f"extends: b{n + 1}.yaml\n" for n in range(20)}
        assert self.code(self.write(tmp_path, a="extends: b0.yaml\n", **files))[0] == "extends-too-long"

    @pytest.mark.parametrize("target", ["/etc/x.yaml", "~/x.yaml", "https://x.org/a.yaml", "C:\\x.yaml", "\\\\host\\x.yaml"])
    def test_only_relative_paths_are_bases(self, tmp_path: Path, target: str) -> None:
        assert self.code(self.write(tmp_path, a=f"extends: '{target}'\n")) == ("extends-escapes", "a.yaml", 1)

    def test_only_yaml_files_are_bases(self, tmp_path: Path) -> None:
        assert self.code(self.write(tmp_path, a="extends: passwd\n")) == ("extends-not-yaml", "a.yaml", 1)

    def test_a_missing_base_names_the_nearest(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a="extends: bse.yaml\n", base=MINIMAL)
        (found,) = check_spec(path).diagnostics
        assert (found.code, found.hint) == ("extends-missing", "did you mean base.yaml?")
        assert check_spec(self.write(tmp_path, a="extends: zzz/nowhere.yaml\n")).diagnostics[0].hint == (
            "name a file that exists, such as base.yaml"
        )
        (tmp_path / "base.yaml").unlink()
        assert check_spec(tmp_path / "a.yaml").diagnostics[0].hint == "write zzz/nowhere.yaml, or leave extends out"

    def test_a_mistake_in_a_base_is_told_in_the_base(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, a="extends: base.yaml\n", base=MINIMAL + "schedule: {batch_size: 0}\n")
        (found,) = check_spec(path).diagnostics
        assert (Path(found.file).name, found.line, found.code) == ("base.yaml", 8, "out-of-range")
        broken = self.write(tmp_path, a="extends: base.yaml\n", base="name: [\n")
        assert "unclosed" in [d.code for d in check_spec(broken).diagnostics]

    def test_a_value_that_is_no_text_is_a_wrong_type(self, tmp_path: Path) -> None:
        assert self.code(self.write(tmp_path, a=MINIMAL + "extends: [b.yaml]\n"))[0] == "wrong-type"

    def test_set_may_choose_the_base(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        path = self.write(tmp_path, a=MINIMAL, other="seeds: [9]\n")
        assert load_spec(path, sets=["extends=other.yaml"]).spec.seeds == (9,)


trees = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3) | st.lists(inner, max_size=2), max_leaves=8
)
maps = st.dictionaries(st.sampled_from("abcd"), trees, max_size=4)


def _node(value: object) -> MapNode:
    node = of_value(value, SOURCE, SPAN)
    assert isinstance(node, MapNode)
    return node


@given(maps, maps, maps)
def test_merging_is_associative_and_the_last_wins(low: dict, middle: dict, high: dict) -> None:
    def lay(*layers: MapNode) -> object:
        tree = layers[0]
        for layer in layers[1:]:
            merged = merge(tree, layer, Spec, [])
            assert isinstance(merged, MapNode)
            tree = merged
        return tree

    left = lay(_node(low), _node(middle), _node(high))
    right = lay(_node(low), lay(_node(middle), _node(high)))  # type: ignore[arg-type]
    assert plain(left) == plain(right)  # type: ignore[arg-type]
    for key, value in high.items():
        if not isinstance(value, dict):
            assert plain(left)[key] == plain(of_value(value, SOURCE, SPAN))  # type: ignore[arg-type]


@given(maps)
def test_merging_with_itself_or_nothing_changes_nothing(values: dict) -> None:
    once = plain(_node(values))
    assert plain(merge(_node(values), _node(values), Spec, [])) == once
    assert plain(merge(None, _node(values), Spec, [])) == once
    assert plain(merge(_node(values), _node({}), Spec, [])) == once


def test_dotted_values_nest() -> None:
    assert as_mapping({"a.b.c": 1, "a.d": 2, "e": 3}) == {"a": {"b": {"c": 1}, "d": 2}, "e": 3}


def test_an_invalid_spec_raises_with_every_diagnostic(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(MINIMAL + "a: 1\nb: 2\n")
    with pytest.raises(SpecError, match="2 errors") as caught:
        load_spec(path)
    assert len(caught.value.diagnostics) == 2


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(MINIMAL)
    with pytest.raises(UsageError, match="No such file") as caught:
        load_spec(tmp_path / "experimnt.yaml")
    assert caught.value.hint == f"did you mean {tmp_path / 'experiment.yaml'}?"
    with pytest.raises(UsageError, match="is a folder, not a spec"):
        load_spec(tmp_path)
    with pytest.raises(UsageError, match="not a path"):
        load_spec("a\0b")
    with pytest.raises(UsageError, match="No such file"):
        load_spec(tmp_path / "none" / "a.yaml")
