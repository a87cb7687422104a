"""What `plan` says: golden text, the promised document, and agreement with what is executed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from specrun.engine.plan import Plan, Request
from specrun.engine.workspace import Workspace
from specrun.plan.explain import plan_document, step_lines, summary
from specrun.plan.graph import StepGraph
from specrun.plan.predict import Facts, forecast
from specrun.plan.step import Decision, Predicted, Step
from specrun.runtime.hardware import resolve
from specrun.spec.assembly import check_bytes
from tests.plan.conftest import DOCUMENT, MACHINE


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


def planned(decisions, forecast, *, cores=2, threads=None):
    """A plan of the tests' spec on a machine with so many cores, of which it may ask for as many threads."""
    loaded = check_bytes(json.dumps({**DOCUMENT, "name": "gpt"}).encode(), "test.yaml", folder=Path()).loaded
    hardware = resolve(loaded.spec.hardware, replace(MACHINE, cores=cores, memory_bytes=25_000_000_000))
    store, graph = Path("store"), StepGraph("gpt", loaded.digest, tuple(d.step for d in decisions))
    return Plan(Request(loaded, store), loaded, replace(hardware, threads=threads or cores), Workspace(store), graph, tuple(decisions),
                forecast, signature="s", inputs={}, first_keys={}, asked=loaded)  # fmt: skip


def test_golden_plan_with_every_action(spec, golden):
    golden("plan.txt", planned(decisions(), known(spec)).text() + "\n")


@pytest.mark.parametrize(
    ("cores", "threads", "said"), [(1, 1, "1 core"), (2, 2, "2 cores"), (2, 1, "2 cores, 1 thread"), (8, 64, "8 cores, 64 threads")]
)
def test_the_head_of_a_plan_counts_cores_and_names_threads_where_these_are_not_as_many(spec, cores, threads, said):
    assert planned(decisions(), known(spec), cores=cores, threads=threads).text().startswith(f"gpt on cpu ({said}, 23.3 GiB; float32: ")


def test_golden_plan_of_data_that_is_not_known_yet(spec, golden):
    facts = Facts(None, 8192, exact=False, basis="unknown until the data has been read")
    epochs = spec.schedule.model_copy(update={"duration": type(spec.schedule.duration)(2, "epochs")})
    unknown = forecast(
        spec.model_copy(update={"schedule": epochs}), facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s"
    )
    rows = [decision(kind, "run", "no earlier result", unknown.steps.get(kind)) for kind in ("data", "tokenizer", "tokens", "train")]
    golden("plan_unknown.txt", planned(rows, unknown).text() + "\n")


def test_the_sum_of_a_plan_leaves_no_training_out_unsaid():
    data, train = decision("data", "run", "", Predicted(2.7)), decision("train", "run", "", Predicted(basis="unknown"))
    assert summary([data, train]) == "2 steps to run (data, train), at least 2.7 s, and the training. Nothing was run."
    assert summary([train]) == "1 step to run (train), the training's time is not known yet. Nothing was run."
    assert summary([data, decision("train", "cached")]) == "1 step to run (data), about 2.7 s. Nothing was run."


def test_no_line_is_wider_than_a_terminal_or_ends_in_a_space(spec):
    long = [decision("train", "run", "a reason that goes on " * 20)]
    for line in planned(long, known(spec)).text().splitlines():
        assert len(line) <= 120
        assert line == line.rstrip()


def test_one_step_of_one_sample_is_no_plural(spec):
    found = known(spec)
    schedule = replace(found.schedule, total_steps=1, batch_size=4, micro_batch_size=1)
    text = " ".join(planned(decisions(), replace(found, schedule=schedule)).text().split())
    assert "parameters, 1 step, " in text
    assert "with 1 sample at once" in text


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
