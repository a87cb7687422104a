"""What a plan knows of the data before it is read: by the split that trains, under the limit that holds."""

from __future__ import annotations

import pytest

from specrun.engine.api import compile_plan

LINE = "a line of text\n"


def facts(spec_file, tmp_path, source: str, *sets: str):
    text = spec_file.read_text().replace("{kind: synthetic, characters: 6000, document_characters: 200, states: 8}", source)
    spec_file.write_text(text)
    return compile_plan(spec_file, store=tmp_path / "none", sets=sets).forecast.facts


@pytest.fixture
def splits(tmp_path) -> str:
    """A source of two files: the one that trains is ten times the other."""
    (tmp_path / "big.txt").write_text(LINE * 1000)
    (tmp_path / "small.txt").write_text(LINE * 100)
    return "{kind: text, path: {large: big.txt, little: small.txt}, documents: lines}"


@pytest.mark.parametrize(("train", "validation", "factor"), [("large", "little", 1), ("little", "large", 0.1)])
def test_the_split_that_trains_is_counted_whatever_it_is_called(spec_file, tmp_path, splits, train, validation, factor):
    split = f"data.split={{kind: given, train: {train}, validation: {validation}}}"
    found = facts(spec_file, tmp_path, splits, split, "schedule.evaluate.max_batches=1000000")
    assert found.train_tokens == len(LINE) * 1000 * factor
    assert found.evaluation_tokens == len(LINE) * 100 / factor
    assert not found.exact


def test_no_split_is_cut_off_a_given_one(spec_file, tmp_path, splits):
    split = "data.split={kind: given, train: large, validation: little, test: little}"
    assert facts(spec_file, tmp_path, splits, split).train_tokens == len(LINE) * 1000


def test_a_limit_of_documents_counts(spec_file, tmp_path, splits):
    split = "data.split={kind: given, train: large, validation: little}"
    assert facts(spec_file, tmp_path, splits, split, "data.limit=50").train_tokens == len(LINE) * 50


def test_what_cannot_be_known_is_not_guessed(spec_file, tmp_path):
    found = facts(spec_file, tmp_path, "{kind: python_docs}", "data.limit=5")
    assert found.train_tokens is None
    assert found.basis == "unknown until the data has been read"


def test_what_was_counted_beats_what_was_estimated(spec_file, store):
    before = compile_plan(spec_file, store=store / "none").forecast.facts
    after = compile_plan(spec_file, store=store).forecast.facts
    assert (before.exact, after.exact, after.basis) == (False, True, "counted")
    assert before.train_tokens == pytest.approx(after.train_tokens, rel=0.05)


def test_pieces_of_documents_are_estimated_before_they_are_counted(spec_file, store):
    documents = "data.packing=documents"
    before = compile_plan(spec_file, store=store / "none", sets=[documents]).forecast
    after = compile_plan(spec_file, store=store, sets=[documents]).forecast
    assert (before.facts.exact, after.facts.exact) == (False, True)
    assert "documents" in before.facts.basis
    assert before.facts.train_samples == pytest.approx(after.facts.train_samples, rel=0.2)
    assert after.schedule.samples_per_epoch == after.facts.train_samples
    assert after.schedule.sample_tokens == after.facts.predicted_tokens / after.facts.train_samples < after.schedule.sequence_length
    assert compile_plan(spec_file, store=store).forecast.facts.train_samples is None


def test_steps_are_foreseen_from_earlier_ones_alone_that_had_about_as_much_text(spec_file, store):
    def basis(*sets) -> dict[str, str]:
        decisions = compile_plan(spec_file, store=store, sets=sets).decisions
        return {d.step.kind: d.predicted.basis for d in decisions if d.action == "run"}

    alike = basis("data.source.seed=1")
    assert {alike[kind] for kind in ("data", "tokenizer", "tokens", "report")} == {"from 1 earlier run"}
    larger = basis("data.source.characters=600000")
    assert {larger[kind] for kind in ("data", "tokenizer", "tokens")} == {"from 1 earlier run on other data or settings"}


def test_the_disk_that_a_training_was_to_take_is_about_what_it_takes(spec_file, store):
    (run_folder,) = (store / "runs").iterdir()
    plan = compile_plan(spec_file, store=store, sets=["schedule.optimizer.learning_rate=2e-2"])
    predicted = plan.decision("train").predicted.disk_bytes
    weights = [path.stat().st_size for path in (run_folder / "checkpoints").rglob("*.safetensors")]
    assert predicted == pytest.approx(sum(weights), rel=0.2)
