"""What another run takes over of the course of a training: the same as the records have of it."""

from __future__ import annotations

from specrun.events import Alert, Example, Metrics, StepRecord
from specrun.records.course import course_until
from specrun.records.queries import open_records

TRAIN = StepRecord("train", "train", "k1", "run", "new")
DONE = StepRecord("train", "train", "k1", "run", "new", actual={"seconds": 1.0})


def test_a_course_is_what_the_records_have_of_the_training_up_to_a_step(store, new_run):
    run = new_run().emit(TRAIN, Example(2, "sample", {"text": "a"})).log(2, train_loss=4.0).log(4, train_loss=3.0).log(5, train_loss=9.0)
    run.log(4, validation_loss=3.5).emit(Example(5, "sample", {"text": "gone"})).log(4, train_loss=3.1)
    run.attempt(resumed_from=4).emit(TRAIN).log(6, train_loss=2.0).emit(Example(6, "sample", {"text": "b"})).log(8, train_loss=1.0)
    run.emit(DONE, Metrics(4, {"test/loss": 7.0}), Example(4, "final", {"text": "of an evaluation"})).end()
    found = list(course_until(run.folder, 6))
    assert [event.step for event in found] == sorted(event.step for event in found)
    of_it = {(e.step, name): value for e in found if isinstance(e, Metrics) for name, value in e.values.items()}
    with open_records(store) as records:
        curves = records.series(run.run_id)
        examples = [(it.step, it.name, it.data) for it in records.examples(run.run_id) if it.name == "sample"]
    assert of_it == {(p.step, name): p.value for name, points in curves.items() for p in points if p.step <= 6 and name != "test/loss"}
    assert sorted((e.step, e.name, e.data) for e in found if isinstance(e, Example)) == sorted(examples)
    assert {step for step, _ in of_it} == {2, 4, 6}


def test_a_course_has_what_was_told_of_steps_of_the_training_once_whatever_was_made_anew(new_run):
    skipped, reduced = Alert("warning", "step-skipped", "loss was NaN", 5), Alert("info", "learning-rate-reduced", "halved", 7)
    run = new_run().emit(Alert("warning", "of-the-spec", "no step"), TRAIN, Alert("warning", "compile-failed", "no compiler"))
    run.log(4, train_loss=3.0).emit(skipped, reduced, Alert("warning", "step-skipped", "loss was NaN", 9))
    run.attempt(resumed_from=4).emit(TRAIN, skipped).log(6, train_loss=2.0).emit(DONE, Alert("warning", "of-evaluation", "slow", 5)).end()
    assert [event for event in course_until(run.folder, 8) if isinstance(event, Alert)] == [skipped, reduced]


def test_a_run_that_is_gone_has_no_course(store):
    assert list(course_until(store / "runs" / "nothing", 9)) == []
