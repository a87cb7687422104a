"""A fork whose weights cannot be its model's is refused by the plan; one whose weights mean something else there is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrun.cli.main import run as specrun
from specrun.engine.api import apply, compile_plan
from specrun.errors import SpecError
from specrun.models.gpt.options import Options
from specrun.records.queries import open_records
from specrun.training.weight_shapes import weight_shapes
from tests.golden_files import Compare

BYTES = "data.tokenizer={kind: byte}"
LORA = "schedule.parameters.lora={rank: 2, targets: ['*attention*']}"


def only_run(store: Path) -> str:
    (folder,) = (store / "runs").iterdir()
    return folder.name


def fork(spec_file: Path, store: Path, *sets: str, run: str | None = None):
    return compile_plan(spec_file, store=store, sets=["schedule.duration=4 steps", *sets], resume=run or only_run(store), fork=True)


def refusal(spec_file: Path, store: Path, *sets: str, run: str | None = None):
    with pytest.raises(SpecError) as refused:
        fork(spec_file, store, *sets, run=run)
    (found,) = [one for one in refused.value.diagnostics if one.severity == "error"]
    assert found.code == "checkpoint-does-not-fit"
    return found


def warnings(plan) -> dict[str, str]:
    return {one.path: one.code for one in plan.loaded.warnings}


@pytest.mark.parametrize(
    ("sets", "path", "said", "remedy"),
    [
        (["model.width=32"], "model.width", "token_embedding.weight is 9 x 32 here and 9 x 16 there", "set model.width: 16"),
        (["model.num_layers=2"], "model.num_layers", "there is no blocks.1.attention_norm.weight there", "set model.num_layers: 1"),
        (["model.bias=false"], "model.bias", "this model has no final_norm.bias", "set model.bias: true"),
        (["model.mlp_width=48"], "model.mlp_width", "mlp.up.weight is 48 x 16 here and 64 x 16 there", "leave out model.mlp_width"),
        (["model.architecture=llama"], "model.architecture", "", "set model.architecture: gpt2"),
        ([BYTES], "data.tokenizer.kind", "is 257 x 16 here and 9 x 16 there", "set data.tokenizer.kind: char"),
        (["data.sequence_length=24"], "data.sequence_length", "is 24 x 16 here and 16 x 16 there", "set data.sequence_length: 16"),
        (["data.sequence_length=8"], "data.sequence_length", "is 8 x 16 here and 16 x 16 there", "set model.max_positions: 16"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_by_plan_at_the_key_that_changed(spec_file, store, sets, path, said, remedy):
    found = refusal(spec_file, store, *sets)
    assert found.path == path
    assert said in found.message
    assert found.hint.startswith(remedy)


def test_the_remedy_names_all_that_does_not_fit_and_nothing_that_does(spec_file, store):
    found = refusal(spec_file, store, "model.width=32", "model.num_layers=2", "model.dropout=0.1", "schedule.batch_size=8", BYTES)
    assert found.hint.startswith("set model.width: 16, data.tokenizer.kind: char and model.num_layers: 1; ")
    assert "dropout" not in found.hint


@pytest.mark.parametrize("remedy", ["model.max_positions=16", "data.sequence_length=16"])
def test_the_remedy_of_a_shorter_sequence_is_one(spec_file, store, remedy):
    assert fork(spec_file, store, "data.sequence_length=8", remedy).decision("train").action == "run"


def test_what_a_person_reads_when_weights_do_not_fit(spec_file, store, capsys, monkeypatch, golden: Compare):
    monkeypatch.chdir(spec_file.parent)
    command = ["plan", spec_file.name, "--store", str(store), "--resume", only_run(store), "--fork"]
    assert specrun([*command, "--set", "model.width=32", "--set", "model.num_layers=2"]) == 3
    assert specrun([*command, "--set", BYTES]) == 3
    golden("fork-does-not-fit.txt", capsys.readouterr().err.replace(only_run(store), "RUN"))


def test_what_a_person_reads_when_weights_fit_another_computation(spec_file, store, capsys, monkeypatch, golden: Compare):
    monkeypatch.chdir(spec_file.parent)
    command = ["plan", spec_file.name, "--store", str(store), "--resume", only_run(store), "--fork"]
    assert specrun([*command, "--set", "model.num_heads=4", "--set", "model.layers.activation=relu"]) == 0
    golden("fork-computes-otherwise.txt", capsys.readouterr().err.replace(only_run(store), "RUN"))


@pytest.mark.parametrize("changed", ["model.num_heads=4", "model.layers.activation=relu"])
def test_weights_that_fit_but_are_computed_with_otherwise_are_warned_of(spec_file, store, changed):
    assert warnings(fork(spec_file, store, changed)) == {changed.partition("=")[0]: "fork-computes-otherwise"}


def test_what_only_several_changes_together_make_unfit_names_them_all(spec_file, store):
    found = refusal(spec_file, store, "model.num_heads=4", "model.num_kv_heads=2")
    assert found.hint.startswith("set model.num_heads: 2; leave out model.num_kv_heads")


@pytest.mark.parametrize("sets", [[], ["model.dropout=0.1"], ["model.num_kv_heads=2"], ["model.layers.activation=gelu_tanh"],
                                  ["model.max_positions=16"], ["model.mlp_width=64"], ["data.limit=25"], ["seeds=[3]"],
                                  ["schedule.batch_size=2"]])  # fmt: skip
def test_what_leaves_the_weights_their_meaning_is_not_warned_of(spec_file, store, sets):
    assert warnings(fork(spec_file, store, *sets)) == {}


def test_a_vocabulary_that_is_not_known_yet_is_judged_once_it_is(spec_file, store):
    sets = ["schedule.duration=4 steps", "data.tokenizer={kind: bpe, vocab_size: 300}"]
    parent = only_run(store)
    assert compile_plan(spec_file, store=store, sets=sets, resume=parent, fork=True).decision("train").action == "run"
    outcome = apply(spec_file, store=store, sets=sets, resume=parent, fork=True)
    (run,) = outcome.runs
    assert run.error.code == "checkpoint-does-not-fit"
    assert "set data.tokenizer.kind: char" in run.error.hint
    assert not (run.folder / "checkpoints").exists()


@pytest.mark.slow
def test_ids_that_are_other_tokens_are_warned_of_once_the_tokenizer_is_there(spec_file, tmp_path):
    store, sized = tmp_path / "store", "model.vocab_size=400"
    (parent,) = apply(spec_file, store=store, sets=[sized]).runs
    (child,) = apply(spec_file, store=store, sets=[sized, BYTES, "schedule.duration=4 steps"], resume=parent.run_id, fork=True).runs
    assert child.error is None
    with open_records(store) as records:
        told = {alert.code: alert.message for alert in records.alerts(child.run_id)}
    assert parent.run_id in told["fork-of-another-vocabulary"]


def test_adapters_are_warned_of_unless_the_weights_below_them_come_of_a_run(spec_file, store):
    sets = ["schedule.duration=4 steps", LORA]
    assert "lora-on-random-weights" in warnings(compile_plan(spec_file, store=store, sets=sets)).values()
    parent = only_run(store)
    assert warnings(fork(spec_file, store, LORA)) == {}
    (child,) = apply(spec_file, store=store, sets=sets, resume=parent, fork=True).runs
    with open_records(store) as records:
        assert "lora-on-random-weights" not in {alert.code for alert in records.alerts(child.run_id)}
    assert warnings(fork(spec_file, store, LORA, run=parent)) == {}, "it is finished"
    assert warnings(fork(spec_file, store, LORA, "schedule.parameters.lora.rank=3", run=child.run_id)) == {}
    assert warnings(fork(spec_file, store, run=child.run_id)) == {}
    assert refusal(spec_file, store, LORA, "model.width=32", run=child.run_id).path == "model.width"


def test_other_text_with_other_characters_is_told_as_such_beside_what_else_does_not_fit(spec_file, store):
    parent, sets = only_run(store), ["data.source.states=7", "schedule.duration=4 steps"]
    apply(spec_file, store=store, sets=sets, resume=parent, fork=True)
    for more, begins in (["model.num_kv_heads=2"], "fork with the data of"), (["model.width=32"], "set model.width: 16; fork with"):
        found = refusal(spec_file, store, *sets, *more, run=parent)
        assert found.hint.startswith(begins)
        assert "data.tokenizer.kind: byte" in found.hint


def test_a_model_that_tells_no_shapes_is_judged_when_training_begins(spec_file, store, monkeypatch):
    monkeypatch.delattr(Options, "parameter_shapes")
    parent = only_run(store)
    for sets in (["model.width=24"], ["model.width=24", LORA], ["model.num_layers=2"]):
        outcome = apply(spec_file, store=store, sets=sets, resume=parent, fork=True)
        error = outcome.runs[0].error
        assert error.code == "checkpoint-does-not-fit"
        assert f"use the model, data.tokenizer and data.sequence_length of {parent}" in error.hint
        assert error.message.endswith("there")


def test_the_shapes_of_a_checkpoint_are_those_that_its_model_tells(store):
    folder = store / "runs" / only_run(store) / "checkpoints" / "step-00000012"
    told = Options(kind="gpt", num_layers=1, width=16, num_heads=2).parameter_shapes(vocab_size=9, sequence_length=16)
    assert weight_shapes(folder / "model.safetensors") == dict(told)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x05" + bytes(7) + b"{", b"\x02" + bytes(7) + b"[]", b"\x07" + bytes(7) + b'{"a":1}']
)
def test_a_file_whose_head_cannot_be_read_has_no_shapes(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert weight_shapes(tmp_path / "x") is None
    assert weight_shapes(tmp_path / "none") is None


@pytest.mark.slow
def test_a_fork_of_adapters_is_applied_and_begins_where_they_ended(spec_file, store):
    sets = ["schedule.duration=4 steps", "schedule.optimizer={kind: adamw, learning_rate: 1e-30, weight_decay: 0}"]
    (adapted,) = apply(spec_file, store=store, sets=["schedule.duration=4 steps", LORA], resume=only_run(store), fork=True).runs
    for more in ([], [LORA, "schedule.parameters.lora.rank=3"], [LORA, "schedule.parameters.lora.alpha=64"]):
        (child,) = apply(spec_file, store=store, sets=[*sets, *more], resume=adapted.run_id, fork=True).runs
        assert child.error is None, child.error
        assert child.metrics["validation/loss"] == pytest.approx(adapted.metrics["validation/loss"], rel=1e-6)
