"""What is done about a step that fails: the ladder's decisions, skipped updates, and steps that do not fit in memory."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_loop import Windows, batches, new_model, new_state

from specrun.errors import SpecrunError
from specrun.plan.resolve import ResolvedSchedule
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.runtime.exhaustion import is_out_of_memory
from specrun.spec.sections.recovery import Recovery
from specrun.training.checkpoints import optimizer_tensors
from specrun.training.loop import StepStats, TrainState, train_step
from specrun.training.recovery import Climb, Fault, Ladder, batch_that_fits, evaluate_what_fits, examples_that_fit, train_step_that_fits
from specrun.training.starting_again import StartAgain

Warned = list[tuple[str, str, int]]
SCHEDULE = ResolvedSchedule(
    samples_per_epoch=1000, batch_size=8, micro_batch_size=8, sequence_length=12, total_steps=50, warmup_steps=0, evaluate_every_steps=10,
    checkpoint_every_steps=10, checkpoint_every_seconds=None, log_every_steps=10,
)  # fmt: skip


def new_ladder(warned: Warned | None = None, **options: Any) -> Ladder:
    heard = [] if warned is None else warned
    return Ladder(Recovery(**options), lambda code, message, step: heard.append((code, message, step)), SCHEDULE)


def tensors(state: TrainState) -> dict[str, torch.Tensor]:
    """Copies of the weights and of the optimizer's state."""
    both = {**state.model.state_dict(), **optimizer_tensors(state.model, state.optimizer)}
    return {name: tensor.clone() for name, tensor in both.items()}


def assert_equal_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Tight(Windows):
    """A task for which no more than `fits` samples fit in memory, from its call number `first` on."""

    def __init__(self, *, fits: int, first: int = 0, error: Callable[[], Exception] | None = None) -> None:
        super().__init__()
        self.fits, self.first, self.calls = fits, first, 0
        self.error = error or (lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))

    def loss_sum(self, model: Any, batch: Any) -> torch.Tensor:
        self.calls += 1
        loss = super().loss_sum(model, batch)
        if self.calls > self.first and len(batch.ids) > self.fits:
            raise self.error()
        return loss

    def fail(self, *, divided: int) -> None:
        raise self.error()


class Poisoned(Windows):
    """A task whose loss is not finite at the steps that a test names."""

    def __init__(self, state: TrainState, steps: set[int], value: float = math.nan) -> None:
        super().__init__()
        self.state, self.steps, self.value = state, steps, value

    def loss_sum(self, model: Any, batch: Any) -> torch.Tensor:
        loss = super().loss_sum(model, batch)
        return loss * self.value if self.state.step in self.steps else loss


def train_tight(task: Tight, *, micro: int = 8, steps: int = 4, dropout: float = 0.0, ladder: Ladder | None = None) -> TrainState:
    state: Any = new_state(new_model(dropout=dropout), micro=micro)
    state.task = task
    for batch in batches(steps):
        train_step_that_fits(state, batch, ladder or new_ladder())
    return state  # type: ignore[no-any-return]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(("micro", "fits", "smaller"), [(8, 4, 4), (8, 3, 2), (4, 1, 1), (7, 3, 3)])
def test_what_did_not_fit_in_the_first_step_ends_as_a_training_of_the_smaller_micro_batch(
    dropout: float, micro: int, fits: int, smaller: int
) -> None:
    tight = train_tight(Tight(fits=fits), micro=micro, dropout=dropout)
    small = train_tight(Tight(fits=8), micro=smaller, dropout=dropout)
    assert tight.micro_batch_size == smaller
    assert_equal_bits(tensors(tight), tensors(small))


@pytest.mark.parametrize("first", range(1, 9))
def test_wherever_in_a_step_memory_ends_all_of_it_is_computed_again_in_smaller_parts(first: int) -> None:
    """Two micro-batches a step: `first` of them go well."""
    tight = train_tight(Tight(fits=2, first=first), micro=4, dropout=0.2)
    changing: Any = new_state(new_model(dropout=0.2), micro=4)
    for number, batch in enumerate(batches(4)):
        changing.micro_batch_size = 4 if number < first // 2 else 2
        train_step(changing, batch)
    assert_equal_bits(tensors(tight), tensors(changing))


def test_each_halving_is_an_alert_that_names_the_step_and_the_new_size() -> None:
    warned: Warned = []
    ladder = new_ladder(warned)
    train_tight(Tight(fits=2, first=1), steps=3, ladder=ladder)
    assert [(code, step) for code, _, step in warned] == [("out-of-memory", 2), ("out-of-memory", 2)]
    assert [message.rpartition("the same batch is computed ")[2] for _, message, _ in warned] == [
        "4 sequences at a time from here on", "2 sequences at a time from here on",
    ]  # fmt: skip
    state: Any = new_state(new_model(), micro=8)
    Ladder(Recovery(), ladder.warn, SCHEDULE).restore(json.loads(json.dumps(ladder.to_json())), state)
    assert state.micro_batch_size == 2


def test_a_smaller_size_asked_for_later_counts_more_than_one_that_fitted() -> None:
    state: Any = new_state(new_model(), micro=1)
    new_ladder().restore({**new_ladder().to_json(), "micro_batch_size": 4}, state)
    assert state.micro_batch_size == 1


def test_a_single_sample_that_does_not_fit_is_an_error_with_a_remedy() -> None:
    with pytest.raises(SpecrunError, match=r"a micro-batch of 1 does not fit in memory at step 1: CUDA out of memory") as caught:
        train_tight(Tight(fits=0))
    assert "data.sequence_length: 6" in str(caught.value.hint)


def test_without_recovery_the_first_want_of_memory_ends_the_run() -> None:
    with pytest.raises(SpecrunError, match="a micro-batch of 8 does not fit") as caught:
        train_tight(Tight(fits=4), ladder=new_ladder(out_of_memory="fail"))
    assert "schedule.micro_batch_size: 4" in str(caught.value.hint)


def test_what_the_allocator_of_this_machine_says_is_understood() -> None:
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(real.value)
    state = train_tight(Tight(fits=4, error=lambda: RuntimeError(str(real.value))))
    assert state.micro_batch_size == 4
    assert train_tight(Tight(fits=4, error=MemoryError)).micro_batch_size == 4


def test_another_failure_of_a_step_stays_what_it_is() -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), OSError(12, "Cannot allocate memory")):
        assert not is_out_of_memory(error)
    with pytest.raises(RuntimeError, match="mat1"):
        train_tight(Tight(fits=4, error=lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied")))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bad", [0, 3])
def test_a_skipped_step_changes_nothing_but_the_place(value: float, bad: int) -> None:
    state: Any = new_state(new_model())
    state.task, state.skip_non_finite = Poisoned(state, {bad}, value), True
    feed = list(batches(6))
    for batch in feed[:bad]:
        train_step(state, batch)
    before = tensors(state)
    stats = train_step(state, feed[bad])
    assert not math.isfinite(stats.loss.item())
    assert (state.step, state.position) == (bad + 1, bad + 1)
    after = tensors(state)
    assert all(torch.equal(after[name], before[name] if name in before else torch.zeros_like(after[name])) for name in after)
    for batch in feed[bad + 1 :]:
        assert math.isfinite(train_step(state, batch).loss.item())


@pytest.mark.parametrize(
    ("warmup_steps", "clip", "rest"),
    [
        (0, None, ", set schedule.learning_rate.warmup: 5% or set schedule.gradient_clip: 1.0"),
        (9, 5.0, ", lengthen schedule.learning_rate.warmup or lower schedule.gradient_clip from 5 to 1.0"),
        (9, 1.0, " or lengthen schedule.learning_rate.warmup"),
        (0, 0.5, " or set schedule.learning_rate.warmup: 5%"),
    ],
)
def test_the_remedy_of_a_bad_step_names_nothing_that_is_set_already(warmup_steps: int, clip: float | None, rest: str) -> None:
    state: Any = new_state(new_model())
    state.gradient_clip = clip
    for options in ({"non_finite": "fail"}, {"skips": 1, "max_rollbacks": 0}):
        ladder = replace(new_ladder(**options), schedule=replace(SCHEDULE, warmup_steps=warmup_steps))
        with pytest.raises(SpecrunError) as caught:
            ladder.judge([Fault(1, math.nan, 1.0)], state)
        assert caught.value.hint == "lower schedule.optimizer.learning_rate (a tenth is a good try)" + rest


def test_a_training_without_faults_is_the_same_to_the_bit_with_recovery_and_without() -> None:
    states = new_state(new_model()), new_state(new_model())
    states[1].skip_non_finite = True
    for batch in batches(6):
        for state in states:
            train_step(state, batch)
    assert_equal_bits(tensors(states[0]), tensors(states[1]))


def judged(ladder: Ladder, skipped: set[int], *, steps: int, every: int) -> Any:
    """The decision about a training of which some steps were skipped, and after how many steps it was made. every: between looks."""
    state: Any = SimpleNamespace(gradient_clip=None)
    for step in range(1, steps + 1):
        state.step, state.position = step, step + 100
        if step % every == 0 or step == steps:
            found = [Fault(bad, math.nan, 1.0) for bad in sorted(skipped) if step - (step % every or every) < bad <= step]
            if (way := ladder.judge(found, state)) is not None:
                return way
    return None


@given(skipped=st.sets(st.integers(1, 40)), skips=st.integers(1, 5), every=st.integers(1, 45))
def test_the_decision_does_not_depend_on_how_often_the_host_looks(skipped: set[int], skips: int, every: int) -> None:
    at_once, seldom = (judged(new_ladder(skips=skips), skipped, steps=40, every=n) for n in (1, every))
    assert at_once == seldom
    rows = [step for step in range(skips, 41) if set(range(step - skips + 1, step + 1)) <= skipped]
    assert (at_once is None) == (not rows)
    if rows:
        assert (at_once.fault.step, at_once.newest_step, at_once.position) == (rows[0], rows[0] - skips, rows[0] + 100)


def test_training_goes_back_so_often_and_then_fails_with_what_was_tried() -> None:
    warned: Warned = []
    ladder, state = new_ladder(warned, skips=2, max_rollbacks=3, learning_rate_factor=0.5), new_state(new_model())
    targets = []
    for _ in range(3):
        way = judged(ladder, {9, 10}, steps=10, every=10)
        targets.append(way.newest_step)
        state.step = 4
        state.rate_factor = 1.0
        ladder.gone_back(state, way, Climb())
    assert targets == [8, 8, 8]
    assert state.rate_factor == 0.25
    assert [code for code, _, _ in warned if code != "step-skipped"] == [
        "rolled-back", "rolled-back", "learning-rate-lowered", "rolled-back", "learning-rate-lowered",
    ]  # fmt: skip
    with pytest.raises(SpecrunError, match=r"step 10 is nan, after training went back 3 times, at last with 0.25 of the learning rate"):
        judged(ladder, {9, 10}, steps=10, every=10)


def test_a_good_checkpoint_beyond_the_bad_place_starts_a_new_stretch() -> None:
    warned: Warned = []
    ladder, state = new_ladder(warned, skips=1, max_rollbacks=9), new_state(new_model())
    for bad, saved in ((5, 4), (12, 8), (11, 8), (30, 29)):
        way = judged(ladder, {bad}, steps=bad, every=1)
        state.step = saved
        ladder.gone_back(state, way, Climb(lowered=ladder.climb.lowered))
    lowered = [step for code, _, step in warned if code == "learning-rate-lowered"]
    assert lowered == [11], "8 is not beyond 12"


def test_where_no_step_counts_after_going_back_the_checkpoint_before_is_tried() -> None:
    ladder, state = new_ladder(skips=2), new_state(new_model())
    way = judged(ladder, {9, 10}, steps=10, every=1)
    assert way.newest_step == 8
    state.step = 8
    ladder.gone_back(state, way, Climb())
    assert judged(ladder, {9, 10}, steps=10, every=1).newest_step == 7


def test_how_far_a_run_has_climbed_survives_a_checkpoint() -> None:
    ladder, state = new_ladder(skips=2, max_rollbacks=1), new_state(new_model())
    state.step = 8
    ladder.gone_back(state, judged(ladder, {9, 10}, steps=10, every=1), Climb())
    again = new_ladder(skips=2, max_rollbacks=1)
    again.restore(json.loads(json.dumps(ladder.to_json())), state)
    with pytest.raises(SpecrunError, match="after training went back once"):
        judged(again, {14, 15}, steps=20, every=1)


def test_without_recovery_the_first_fault_ends_the_run() -> None:
    with pytest.raises(SpecrunError, match="the gradient's norm of step 4 is inf") as caught:
        new_ladder(non_finite="fail").judge([Fault(4, 1.0, math.inf), Fault(5, math.nan, 1.0)], new_state(new_model()))
    assert caught.value.code == "non-finite-gradient"


def test_an_alert_names_the_first_and_the_last_of_the_steps_that_were_skipped() -> None:
    warned: Warned = []
    judged(new_ladder(warned, skips=4), {3, 5, 6, 13}, steps=20, every=10)
    assert warned == [
        ("step-skipped", "the loss of step 3 is nan; its update was left out; so were 2 more up to step 6", 3),
        ("step-skipped", "the loss of step 13 is nan; its update was left out", 13),
    ]


def test_a_step_is_skipped_by_its_gradient_as_by_its_loss() -> None:
    state: Any = new_state(new_model(), clip=None)
    state.skip_non_finite = True
    next(iter(state.model.parameters())).register_hook(lambda gradient: gradient * math.inf)
    before = tensors(state)
    stats: StepStats = train_step(state, next(batches(1)))
    assert math.isfinite(stats.loss.item())
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.model.state_dict().items())


def test_an_evaluation_that_does_not_fit_is_done_in_smaller_pieces_each_time_told() -> None:
    asked: list[int] = []
    warned: list[str] = []

    def evaluate(*, divided: int) -> str:
        asked.append(divided)
        if divided < 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return "sums"

    device = new_state(new_model()).device
    assert evaluate_what_fits(evaluate, device=device, warn=lambda code, _: warned.append(code)) == ("sums", 4)
    assert (asked, warned) == ([1, 2, 4], ["out-of-memory", "out-of-memory"])
    with pytest.raises(SpecrunError, match="an evaluation does not fit in memory: CUDA out of memory") as caught:
        evaluate_what_fits(Tight(fits=0).fail, device=device, warn=lambda *_: None)
    assert caught.value.code == "out-of-memory"


def test_an_evaluation_that_one_of_several_processes_cannot_make_is_begun_anew_by_all_in_smaller_pieces():
    told: list[tuple[str, str]] = []
    device, two = new_state(new_model()).device, Workers(rank=1, size=2)

    def attempt(divided: int) -> None:
        evaluate_what_fits(Tight(fits=0).fail, device=device, workers=two, divided=divided, warn=lambda *alert: told.append(alert))

    with pytest.raises(StartAgain, match=r"CUDA out of memory.*; evaluations compute 1/4 as much at once from here on") as again:
        attempt(1)
    assert (again.value.divided, again.value.alert) == (4, told[0])
    assert told[0][1] == "an evaluation does not fit in memory; from here on 1/4 as much as usual is computed at once"
    with pytest.raises(SpecrunError) as caught:
        attempt(1024)
    assert (caught.value.code, caught.value.hint) == ("out-of-memory", "halve data.sequence_length, or make the model smaller")


@pytest.mark.parametrize("begun", [1, 2, 8, 512])
def test_an_evaluation_that_fits_in_no_pieces_ends_the_run_whatever_another_number_of_processes_had_divided_it_by(begun: int) -> None:
    device, two, divided = new_state(new_model()).device, Workers(rank=1, size=2), [begun]

    def start() -> None:
        evaluate_what_fits(Tight(fits=0).fail, device=device, workers=two, divided=divided[-1], warn=lambda *_: None)

    while divided[-1] < 1024:
        with pytest.raises(StartAgain) as again:
            start()
        divided.append(again.value.divided)
    with pytest.raises(SpecrunError, match="an evaluation does not fit in memory"):
        start()
    assert divided[1:] == [min(1024, begun * 4**starts) for starts in range(1, len(divided))]


def fails_until(calls: int) -> Callable[[], Any]:
    """Gives a thing at the call of that number, for which there was no memory before."""
    asked: list[None] = []

    def take() -> list[dict[str, Any]]:
        asked.append(None)
        if len(asked) < calls:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [{"text": "a"}]

    return take


def test_a_batch_that_found_no_memory_beside_a_step_is_asked_for_once_more() -> None:
    device = new_state(new_model()).device
    assert batch_that_fits(fails_until(2), device) == [{"text": "a"}]
    with pytest.raises(SpecrunError, match="a batch does not fit in memory beside the model: CUDA out of memory") as caught:
        batch_that_fits(fails_until(3), device)
    assert (caught.value.code, caught.value.hint) == ("out-of-memory", "halve schedule.batch_size, or make the model smaller")
    with pytest.raises(KeyError):
        batch_that_fits(lambda: {}["a"], device)


def test_what_is_held_of_memory_that_is_free_is_given_back_before_anything_is_tried_again() -> None:
    """On a device whose allocator keeps it, and on a processor whose C library does, the second try fails as the first otherwise."""

    @dataclass(frozen=True, slots=True)
    class Hoard(Device):
        done: list[str] = field(default_factory=list)

        def free_cached_memory(self) -> None:
            self.done.append("free")

    def once(device: Hoard, compute: Callable[[], Any]) -> Any:
        device.done.append("try")
        if len(device.done) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute()

    def tried(attempt: Callable[[Hoard], Any]) -> list[str]:
        device = Hoard("cpu", torch.device("cpu"), torch.float32)
        attempt(device)
        return device.done

    def step(device: Hoard) -> None:
        state = replace(new_state(new_model()), device=device)
        real, state.task = state.task.loss_sum, SimpleNamespace()  # type: ignore[assignment]
        state.task.loss_sum = lambda model, batch: once(device, lambda: real(model, batch))
        train_step_that_fits(replace(state, micro_batch_size=8), next(iter(batches(1))), new_ladder())

    def evaluation(device: Hoard) -> None:
        evaluate_what_fits(lambda divided: once(device, lambda: divided), device=device, warn=lambda *_: None)

    assert tried(lambda device: batch_that_fits(lambda: once(device, list), device)) == ["try", "free", "try"]
    assert tried(evaluation) == ["try", "free", "try"]
    assert tried(step)[:3] == ["try", "free", "try"]


def test_samples_that_do_not_fit_are_left_out_with_an_alert_unless_other_workers_are_at_them_too() -> None:
    warned: list[tuple[str, str]] = []

    def write(calls: int, *, together: bool = False) -> list[dict[str, Any]]:
        return examples_that_fit(fails_until(calls), warn=lambda *alert: warned.append(alert), together=together)

    assert (write(1), warned) == ([{"text": "a"}], [])
    assert write(2) == []
    assert [code for code, _ in warned] == ["out-of-memory"]
    assert warned[0][1].endswith("does not fit in memory; they are left out: CUDA out of memory.")
    with pytest.raises(SpecrunError, match="does not fit in memory: CUDA out of memory") as caught:
        write(2, together=True)
    assert (caught.value.code, caught.value.hint) == ("out-of-memory", "set schedule.evaluate.samples: 0")


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_recovery import new_ladder, tensors
from test_loop import batches, new_model, new_state
from specrun.training.recovery import train_step_that_fits
size, warned = int(sys.argv[2]), []
state, [batch] = new_state(new_model(), micro=size), batches(1, samples=4096)
if size == 4096:
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 90 * 2**20,) * 2)
train_step_that_fits(state, batch, new_ladder(warned))
print(state.micro_batch_size, [code for code, _, _ in warned], sum(t.double().sum().item() for t in tensors(state).values()).hex())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits a process's memory as Linux does")
def test_where_memory_really_ends_a_step_is_that_of_the_size_that_fitted() -> None:
    def child(size: int) -> list[str]:
        command = [sys.executable, "-c", LIMITED, str(Path(__file__).parent), str(size)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(maxsplit=1)

    size, rest = child(4096)
    assert int(size) < 4096
    assert rest.count("out-of-memory") == math.log2(4096 / int(size))
    assert child(int(size))[1].rpartition(" ")[2] == rest.rpartition(" ")[2]
