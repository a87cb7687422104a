"""What passes between an apply and the processes that train for it: requests, events, errors, commands, places to meet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from tiny_run import Listener, context, hardware, parents, spec

from specrun.engine.executors.deaths import Deaths
from specrun.engine.executors.hearing import Hearing
from specrun.engine.executors.nodes import Node, this_node
from specrun.engine.executors.request import as_error, as_output, error_document, output_document, requested_call, step_request
from specrun.engine.executors.strategy import settle_strategy
from specrun.engine.executors.torchrun import Workers, _follow, command, environment
from specrun.engine.executors.wire import ORPHANED, Lines, Wire, as_event
from specrun.engine.plan import Request
from specrun.engine.prepare import prepare
from specrun.errors import InterruptedRun, SpecrunError, StorageFailure, UsageError
from specrun.events import Alert, Example, Label, Metrics, Progress, Status
from specrun.runtime.hardware import Choice
from specrun.steps.contract import StepOutput
from specrun.steps.registry import step_kinds
from specrun.training.starting_again import StartAgain, remember

TRAIN = next(kind for kind in step_kinds() if kind.kind == "train")
TWO = replace(hardware(), devices=2, strategy=Choice("ddp", "a test"))


def test_a_call_comes_out_of_its_request_as_it_was(tmp_path):
    given, inputs, settings = replace(context(tmp_path / "run", Listener(), seed=3), hardware=TWO), parents(tmp_path), spec()
    request = json.loads(json.dumps(step_request(TRAIN, given, settings, inputs)))
    kind, made, read, gained = requested_call(request, emit=given.emit, stop_requested=given.stop_requested)
    assert (kind, read, gained) == (TRAIN, settings, inputs)
    assert replace(made, base_folder=given.base_folder) == given


@pytest.mark.parametrize(
    "error",
    [
        SpecrunError("a fact", code="a-code", hint="a remedy"),
        StorageFailure("full", code="disk-full", hint="make room"),
        InterruptedRun("stopped", signal_number=15, hint="apply again"),
    ],
)
def test_an_error_arrives_as_what_it_was(error):
    found = as_error(json.loads(json.dumps(error_document(error))))
    assert type(found) is type(error)
    assert (str(found), found.exit_code) == (str(error), error.exit_code)


def test_an_output_arrives_with_what_the_parent_adds():
    output = StepOutput({"steps": 3}, {"a/b": "role"}, ("one",), "stopped_early")
    assert as_output(output_document(output), more_warnings=("two",)) == replace(output, warnings=("one", "two"))


@pytest.mark.parametrize(
    "event",
    [
        Metrics(3, {"train/loss": 0.5}, epoch=0.1, tokens=7),
        Status("running", "resumed", resumed_from=4),
        Alert("warning", "a-code", "a\nmessage", 2),
        Example(1, "sample", {"text": "naïve"}),
        Label("name", ("a",), ("b",), 2),
        Progress("train", 1, None, "step", {"loss": 1.0}),
    ],
)
def test_an_event_arrives_as_it_was(event, tmp_path):
    read = send(tmp_path, lambda wire: wire.emit(event))
    assert [as_event(document["event"]) for document in Lines().feed(read)] == [event]


def test_what_a_killed_worker_had_half_told_spoils_nothing(tmp_path):
    whole = send(tmp_path, lambda wire: wire.send(hello={"pid": 1}))
    lines, pieces = Lines(), whole[:-9] + whole + b"\n17\n"
    found = [document for byte in pieces for document in lines.feed(bytes([byte]))]
    assert found == [{"hello": {"pid": 1}}]


def test_workers_that_are_lost_too_often_end_the_step_and_starts_they_ask_for_do_not_count(tmp_path):
    listener, checkpoints = Listener(), tmp_path / "checkpoints"
    heard = Hearing(listener.emit, tmp_path, checkpoints)
    heard.started(0)
    for number in (1, 2, 3):
        heard.take({"lost": f"rank 0 no longer heard the others, {number}", "cause": False})
        heard.started(number)
    alert = ("out-of-memory", "2 do not fit")
    for number in (4, 5):
        remember(checkpoints, StartAgain("no room", alert=alert, micro_batch_size=8 // number))
        heard.take({"lost": "rank 1: no room", "cause": True})
        heard.take({"lost": "rank 0 no longer heard the others", "cause": False})
        heard.started(number)
    alerts = [(it.code, it.message) for it in listener.of(Alert)]
    assert [code for code, _ in alerts] == ["worker-restarted"] * 3 + ["out-of-memory"] + ["worker-restarted"] * 2
    assert alerts[3] == alert
    assert alerts[5][1] == f"all workers were started again (rank 1: no room): {tmp_path} has their logs"
    assert heard.warnings == [message for _, message in alerts]
    with pytest.raises(SpecrunError, match="of the train step were lost, and again after each of 5 new starts: rank 1: no room") as lost:
        heard.started(6)
    assert lost.value.code == "workers-lost"


FAILED = "E1121 20:17 26210 torch/distributed/x.py:1002] failed (exitcode: {code}) local_rank: {rank} (pid: 26233) of binary: python\n"


def test_a_worker_that_was_killed_is_told_by_what_torchrun_saw_and_how_often_all_were_started_again(tmp_path):
    listener, log = Listener(), tmp_path / "torchrun.log"
    log.write_text(FAILED.format(code=-9, rank=0))  # of another step
    heard = Hearing(listener.emit, tmp_path, tmp_path / "checkpoints", step="evaluate")
    heard.started(0)
    assert "rank" not in heard.lost_all().message
    for number, rank in enumerate((1, 0, 1), start=1):
        with log.open("a") as file:
            file.write(FAILED.format(code=-9, rank=rank))
        heard.take({"lost": "rank 0 no longer heard the others", "cause": False})
        heard.started(number)
        killed = f"rank {rank} was killed (SIGKILL), as the system does when memory runs out"
        assert list(listener.of(Alert))[-1].message == (
            f"a worker was lost ({killed}); all were started again, {number} of at most 3 times: {tmp_path} has their logs"
        )
    with pytest.raises(SpecrunError) as lost:
        heard.started(4)
    assert lost.value.message == (
        "the workers of the evaluate step were lost, and again after each of 3 new starts: rank 1 was killed (SIGKILL), as the system "
        "does when memory runs out"
    )
    assert lost.value.hint == (
        f"free some memory, or use fewer hardware.devices; what they said is in {tmp_path}; apply again repeats the evaluate step alone"
    )


def test_an_exit_code_is_told_where_no_worker_says_more_and_torchruns_own_end_before_all(tmp_path):
    heard = Hearing(Listener().emit, tmp_path, tmp_path / "checkpoints", first_rank=4)
    (tmp_path / "torchrun.log").write_text(FAILED.format(code=1, rank=1))
    assert heard.lost_all(1).hint.endswith("apply again begins anew: no checkpoint was saved")
    (tmp_path / "checkpoints" / "step-00000004").mkdir(parents=True)
    assert heard.lost_all(1).message == "the workers of the train step were lost: rank 5 ended with exit code 1"
    assert heard.lost_all(1).hint == f"what they said is in {tmp_path}; apply again goes on from the last checkpoint"
    killed = heard.lost_all(-9)
    assert killed.message.endswith("torchrun, which watches them, was killed (SIGKILL), as the system does when memory runs out")
    assert killed.hint.startswith("free some memory, ")
    assert heard.lost_all(-11).message.endswith("torchrun, which watches them, ended by SIGSEGV")


def test_workers_that_end_before_they_can_say_anything_are_counted_too(tmp_path):
    heard = Hearing(Listener().emit, tmp_path, tmp_path / "checkpoints")
    for _ in range(3):
        with (tmp_path / "torchrun.log").open("a") as file:
            file.write(FAILED.format(code=1, rank=0))
        heard.look_for_deaths()
        heard.look_for_deaths()
    with (tmp_path / "torchrun.log").open("a") as file:
        file.write(FAILED.format(code=1, rank=0))
    with pytest.raises(SpecrunError, match="were lost, and again after each of 3 new starts: rank 0 ended with exit code 1"):
        heard.look_for_deaths()


class Told(Workers):
    """What workers would tell, without any."""

    def __init__(self, documents: Iterator[dict[str, Any]]) -> None:
        self.starts, self.code, self._told = 0, 1, documents

    def documents(self) -> Iterator[dict[str, Any]]:
        return self._told


def follow(documents: Iterator[dict[str, Any]], heard: Hearing) -> None:
    _follow(Told(documents), heard, stop_pending=lambda: None, stop_requested=lambda: None)


def test_what_a_worker_tells_before_the_first_has_said_hello_is_heard(tmp_path):
    heard = Hearing(Listener().emit, tmp_path, tmp_path / "checkpoints")
    error = {"error": error_document(StorageFailure("rank-1.log: no space", code="disk-full"))}
    with pytest.raises(StorageFailure, match="no space"):
        follow(iter([{}, error, {"hello": {"restarts": 0}}]), heard)


def test_workers_that_end_before_they_say_anything_are_counted_after_each_start(tmp_path):
    """One that has said hello begins the count anew; why it was lost is no reason why others are."""
    listener, deaths = Listener(), []

    def told() -> Iterator[dict[str, Any]]:
        for start in (0, 3, 5):
            yield {"hello": {"restarts": start}}
            yield {"lost": "rank 1: no room", "cause": True}
            for _ in range({0: 3, 3: 2, 5: 9}[start]):
                with (tmp_path / "torchrun.log").open("a") as file:
                    file.write(FAILED.format(code=-9, rank=0))
                deaths.append(start)
                yield {}
                yield {}

    with pytest.raises(SpecrunError) as lost:
        follow(told(), Hearing(listener.emit, tmp_path, tmp_path / "checkpoints"))
    assert (lost.value.code, deaths) == ("workers-lost", [0, 0, 0, 3, 3, 5, 5, 5, 5, 5])
    assert "were lost, and again after each of 9 new starts: rank 0 was killed (SIGKILL)" in lost.value.message
    assert [it.code for it in listener.of(Alert)] == ["worker-restarted"] * 2


def test_a_death_is_told_of_though_its_line_was_half_written_when_the_log_was_read(tmp_path):
    log, line = tmp_path / "torchrun.log", FAILED.format(code=-9, rank=1)
    for cut in (1, line.index("exitcode") + 3, len(line) - 1):
        deaths = Deaths(log)
        with log.open("a") as file:
            file.write(line[:cut])
        assert deaths.newest() is None
        with log.open("a") as file:
            file.write(line[cut:] + "half of an")
        assert deaths.newest() == ("rank 1 was killed (SIGKILL), as the system does when memory runs out", -9)
        assert deaths.newest() is None
        with log.open("a") as file:
            file.write("other line\n")


def test_a_port_that_is_taken_is_told_as_such(tmp_path):
    heard = Hearing(Listener().emit, tmp_path)
    (tmp_path / "torchrun.log").write_text("The server socket has failed to listen: port: 29500, code: -98, name: EADDRINUSE\n")
    assert heard.lost_all(1).code == "port-in-use"


@pytest.mark.parametrize(("cause", "code", "told"), [(True, -9, "rank 1: no room"), (False, 1, "rank 1: no room"), (False, -11, "SIGSEGV")])
def test_what_a_worker_says_goes_before_what_torchrun_saw_but_that_another_has_gone(cause, code, told, tmp_path):
    heard = Hearing(Listener().emit, tmp_path, tmp_path / "checkpoints")
    (tmp_path / "torchrun.log").write_text(FAILED.format(code=code, rank=0))
    heard.take({"lost": "rank 1: no room", "cause": cause})
    assert heard.lost_all().message.endswith(told)


def test_an_alert_that_the_first_worker_has_told_is_not_told_twice(tmp_path):
    listener, alert = Listener(), ("out-of-memory", "2 do not fit")
    heard = Hearing(listener.emit, tmp_path, tmp_path / "checkpoints")
    heard.take(next(Lines().feed(send(tmp_path, lambda wire: wire.emit(Alert("warning", *alert, 7))))))
    remember(tmp_path / "checkpoints", StartAgain("no room", alert=alert, micro_batch_size=1))
    heard.started(1)
    assert [it.code for it in listener.of(Alert)] == ["out-of-memory", "worker-restarted"]
    assert heard.warnings[0] == alert[1]


def test_a_machine_that_lends_its_workers_leaves_the_count_to_the_first(tmp_path):
    heard = Hearing(Listener().emit, tmp_path)
    for number in range(9):
        heard.started(number)
    assert list(tmp_path.iterdir()) == []


def send(folder: Path, tell) -> bytes:
    """What a process tells through its standard output, whatever else it prints."""
    import os

    reading, writing = os.pipe()
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(writing, 1)
        wire = Wire()
        wire.print_to(folder / "log")
        os.write(1, b"a library's own words")
        tell(wire)
    finally:
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(writing)
    os.close(wire._out)
    assert (folder / "log").read_bytes() == b"a library's own words"
    with os.fdopen(reading, "rb") as file:
        return file.read()


def test_workers_share_the_threads_and_meet_on_this_machine_alone(monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    words = command(Path("/run/workers/train.json"), TWO, Node())
    assert words[words.index("--nproc-per-node") + 1] == "2"
    assert words[words.index("--rdzv-endpoint") + 1] == "127.0.0.1:0"
    assert words[-2:] == ["cpu", "/run/workers/train.json"]
    assert environment(replace(TWO, threads=3))["OMP_NUM_THREADS"] == "3"
    assert environment(TWO)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_machines_meet_at_the_first_one():
    node = this_node(3, {"SPECRUN_RDZV_ENDPOINT": "first:4000", "SPECRUN_NODE_RANK": "2"})
    assert node == Node(2, 3, "first", 4000)
    words = command(Path("request.json"), replace(TWO, nodes=3), node)
    assert words[words.index("--nnodes") + 1] == "3"
    assert words[words.index("--node-rank") + 1] == "2"
    assert words[words.index("--master-addr") + 1] == "first"
    assert this_node(2, {"MASTER_ADDR": "first", "NODE_RANK": "1"}) == Node(1, 2, "first", 29500)
    assert this_node(2, {"MASTER_ADDR": "first", "MASTER_PORT": "5", "SLURM_NODEID": "0"}) == Node(0, 2, "first", 5)
    assert this_node(1, {}) == Node()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"SPECRUN_NODE_RANK": "0"},
        {"MASTER_ADDR": "first"},
        {"MASTER_ADDR": "first", "NODE_RANK": "2"},
        {"MASTER_ADDR": "first", "NODE_RANK": "-1"},
        {"SPECRUN_RDZV_ENDPOINT": "first:port", "NODE_RANK": "0"},
        {"SPECRUN_RDZV_ENDPOINT": ":29500", "NODE_RANK": "0"},
        {"SPECRUN_RDZV_ENDPOINT": "first:70000", "NODE_RANK": "0"},
    ],
)
def test_a_machine_that_does_not_know_its_place_says_what_to_set(given):
    with pytest.raises(UsageError) as error:
        this_node(2, given)
    assert error.value.code == "node-not-named"
    assert "SPECRUN_" in (error.value.hint or "")


def test_a_model_too_large_for_each_device_is_shared_out(spec_file, tmp_path):
    sets = ("hardware.engine=torchrun", "hardware.devices=2", "schedule.batch_size=4", "hardware.threads=1", "model.width=512",
            "model.num_layers=4", "schedule.micro_batch_size=1")  # fmt: skip
    roomy = prepare(Request(str(spec_file), tmp_path / "store", sets))
    assert roomy.hardware.strategy is not None
    assert roomy.hardware.strategy.value == "ddp"
    assert "2 devices by ddp" in roomy.text(columns=1000)
    assert roomy.as_document()["device"]["strategy"] == "ddp"
    short = replace(roomy, hardware=replace(roomy.hardware, memory_bytes=10**9))
    asked = []
    settle_strategy(short, lambda machine: asked.append(machine) or short)
    assert roomy.forecast.memory is not None
    assert roomy.forecast.memory.total > 10**9
    assert [machine.strategy.value for machine in asked] == ["fsdp"]


def test_the_number_of_devices_changes_no_key(spec_file, tmp_path):
    def keys(*sets: str) -> list[str]:
        return [step.key for step in prepare(Request(str(spec_file), tmp_path / "store", sets)).graph.steps]

    alone = keys()
    together = ("hardware.engine=torchrun", "hardware.devices=2")
    assert keys(*together) == keys(*together, "hardware.strategy=fsdp") == alone
    # Masks are drawn a micro-batch at a time: with dropout two halves are not the whole.
    assert keys("model.dropout=0.1", "schedule.micro_batch_size=2") == keys("model.dropout=0.1", "schedule.micro_batch_size=2", *together)
    assert keys("model.dropout=0.1") != keys("model.dropout=0.1", *together)


STUBBORN = """
import subprocess, sys, time
from specrun.engine.executors import launch
launch._END_SECONDS = 0.1
def start(*_, **__):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    print(subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True).pid, flush=True)
    time.sleep(600)
launch.runpy.run_module = start
launch.main()
"""


def test_torchrun_ends_with_its_starter_and_takes_workers_along_that_do_not_heed_it():
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    said = {process.stdout.readline().strip(), process.stdout.readline().strip()}
    process.stdin.close()
    assert process.stdout.read() == ""  # until the last process that holds the other end has gone
    assert process.wait() == ORPHANED
    process.stdout.close()
    assert "deaf" in said
