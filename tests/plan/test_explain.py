"""What `plan` says: golden text, the promised document, and agreement with what is executed."""

from __future__ import annotations

import json

import pytest

from specrun.plan.explain import plan_document, plan_lines, step_lines, summary
from specrun.plan.predict import Facts, forecast
from specrun.plan.step import Decision, Predicted, Step


def decision(kind, action, reason="", predicted=None, id=None):
    return Decision(Step(id or kind, kind, "9e12ab34" * 8, (), {}), action, reason, predicted or Predicted())


def decisions():
    return [
        decision("data", "cached"),
        decision("tokenizer", "skip", "nothing that reads it has to run"),
        decision("tokens", "cached"),
        decision("train", "run", "schedule.optimizer.learning_rate 0.0005 -> 0.001 (specs/gpt.yaml:19)",
                 Predicted(660, 1_300_000_000, 120_000_000, "from 3 earlier runs")),
        decision("evaluate", "run", "its input changes: train", Predicted(4.2, basis="from 3 earlier runs")),
        decision("report", "run", "its input changes: train, evaluate"),
    ]  # fmt: skip


def known(spec):
    facts = Facts(2_088_628, 8192, exact=True, basis="counted")
    return forecast(spec, facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s")


def test_golden_plan_with_every_action(spec, golden):
    lines = plan_lines(name="gpt", place="cpu (2 cores)", decisions=decisions(), forecast=known(spec), memory_bytes=25_000_000_000)
    text = "\n".join(lines) + "\n"
    golden("plan.txt", text)


def test_golden_plan_of_data_that_is_not_known_yet(spec, golden):
    facts = Facts(None, 8192, exact=False, basis="unknown until the data has been read")
    epochs = spec.schedule.model_copy(update={"duration": type(spec.schedule.duration)(2, "epochs")})
    unknown = forecast(
        spec.model_copy(update={"schedule": epochs}), facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s"
    )
    rows = [decision(kind, "run", "no earlier result", unknown.steps.get(kind)) for kind in ("data", "tokenizer", "tokens", "train")]
    lines = plan_lines(name="gpt", place="cpu (2 cores)", decisions=rows, forecast=unknown, memory_bytes=25_000_000_000)
    text = "\n".join(lines) + "\n"
    golden("plan_unknown.txt", text)


def test_no_line_is_wider_than_a_terminal_or_ends_in_a_space(spec):
    long = [decision("train", "run", "a reason that goes on " * 20)]
    for line in plan_lines(name="gpt", place="cpu", decisions=long, forecast=known(spec), memory_bytes=1):
        assert len(line) <= 120
        assert line == line.rstrip()


def test_a_finished_plan_says_that_there_is_nothing_to_do():
    assert summary([decision("data", "cached"), decision("train", "cached")]).startswith("Nothing to do")


def test_the_document_has_the_promised_keys_and_is_json(spec):
    document = plan_document(spec_digest="d", decisions=decisions(), forecast=known(spec), device={"kind": "cpu"})
    assert {"format_version", "spec_digest", "device", "steps", "model", "training"} <= document.keys()
    assert {"id", "kind", "key", "action", "reason", "needs", "predicted"} <= document["steps"][0].keys()
    assert {"seconds", "memory_bytes", "disk_bytes"} <= document["steps"][3]["predicted"].keys()
    assert {"optimizer_steps", "samples", "tokens", "flops"} <= document["training"].keys()
    assert document["changes"]
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("columns", [60, 80, 118])
def test_the_steps_fit_the_terminal(spec, columns):
    place = "cpu (2 cores, 23.3 GiB; float32: this processor has no bf16 instructions; eager: 20 steps would not repay compiling)"
    lines = step_lines(name="gpt", place=place, decisions=decisions(), forecast=known(spec), memory_bytes=1, columns=columns)
    assert max(map(len, lines)) <= columns
    assert " ".join(lines[0].split() + lines[1].split()).startswith("gpt on cpu (2 cores, 23.3 GiB; float32: ")
