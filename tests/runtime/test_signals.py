"""Signals: the first is answered at once and waited for, the second is not, and an echo of the first is no second."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from specrun.runtime.signals import StopNow, StopSignals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Heard:
    """What was answered; `wait` until it was."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._event = threading.Event()

    def __call__(self, number: int) -> None:
        self.numbers.append(number)
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(10)


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(autouse=True)
def handlers_are_handed_back() -> Iterator[None]:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    yield
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert "specrun-signals" not in {thread.name for thread in threading.enumerate()}


def test_a_first_signal_is_answered_by_another_thread_and_only_noted(number: int) -> None:
    heard = Heard()
    signals = StopSignals(on_request=heard)
    with signals.listening(), signals.polite():
        assert signals.requested() is None
        os.kill(os.getpid(), number)
        heard.wait()
        assert signals.requested() == number
    assert heard.numbers == [number]


def test_a_second_signal_stops_at_once(number: int) -> None:
    heard, clock = Heard(), Clock()
    signals = StopSignals(on_request=heard, clock=clock)
    with signals.listening(), signals.polite():
        os.kill(os.getpid(), number)
        heard.wait()
        clock.now = 1.0
        with pytest.raises(StopNow) as stop:
            os.kill(os.getpid(), number)
        assert stop.value.number == number
    assert heard.numbers == [number]


def test_two_signals_in_one_long_call_are_two_though_the_handler_is_called_once(number: int) -> None:
    heard, clock = Heard(), Clock()
    signals = StopSignals(on_request=heard, clock=clock)
    with signals.listening(), signals.polite():
        signals._watch_one(number)
        clock.now = 1.0
        signals._watch_one(number)
        with pytest.raises(StopNow):
            signals._handle(number, None)


def test_the_echo_that_a_wrapper_sends_is_no_second_signal(number: int) -> None:
    heard, clock = Heard(), Clock()
    signals = StopSignals(on_request=heard, clock=clock)
    with signals.listening(), signals.polite():
        os.kill(os.getpid(), number)
        heard.wait()
        clock.now = 0.1
        os.kill(os.getpid(), number)
        assert signals.requested() == number
    assert heard.numbers == [number]


def test_where_nobody_polls_the_first_signal_stops_at_once_and_is_not_promised_to_be_waited_for(number: int) -> None:
    heard = Heard()
    signals = StopSignals(on_request=heard)
    with signals.listening(), pytest.raises(StopNow):
        os.kill(os.getpid(), number)
    assert heard.numbers == []


def test_outside_the_main_thread_nothing_is_taken_over() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with StopSignals().listening():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def wait_out(signals: StopSignals) -> None:
    """A step that does not end; Python's own code of it does, when a handler raises."""
    threading.Event().wait(20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_step_that_outlasts_the_grace_is_left(number: int) -> None:
    signals = StopSignals(grace_seconds=0.05)
    with signals.listening(), pytest.raises(StopNow) as stop, signals.polite():  # noqa: PT012
        os.kill(os.getpid(), number)
        wait_out(signals)
    assert (stop.value.number, stop.value.late) == (number, True)


def test_the_grace_holds_for_each_training_of_an_apply() -> None:
    signals = StopSignals(grace_seconds=0.05)
    with signals.listening(), pytest.raises(StopNow) as stop:  # noqa: PT012
        with signals.polite():
            pass
        with signals.polite():
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(2)
    assert stop.value.late


def test_a_person_who_asks_is_waited_for() -> None:
    heard = Heard()
    signals = StopSignals(on_request=heard, grace_seconds=0.0)
    with signals.listening(), signals.polite():
        os.kill(os.getpid(), signal.SIGINT)
        heard.wait()
        assert "specrun-grace" not in {thread.name for thread in threading.enumerate()}
        assert signals.requested() == signal.SIGINT


def test_the_grace_ends_with_the_step_and_saving_has_the_time_it_takes() -> None:
    heard = Heard()
    signals = StopSignals(on_request=heard, grace_seconds=0.05, end_process=lambda _: None)
    with signals.listening(), signals.polite():
        os.kill(os.getpid(), signal.SIGTERM)
        heard.wait()
        assert signals.requested() == signal.SIGTERM
        signals._watch_grace(signal.SIGTERM)
        assert signals.requested() == signal.SIGTERM


def test_to_pass_a_signal_on_is_not_to_heed_it() -> None:
    heard = Heard()
    signals = StopSignals(on_request=heard, grace_seconds=0.05)
    with signals.listening(), pytest.raises(StopNow) as stop, signals.polite():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        heard.wait()
        assert signals.pending() == signal.SIGTERM
        wait_out(signals)
    assert stop.value.late


def test_a_call_that_never_returns_is_left_by_ending_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specrun.runtime.signals._HUNG_SECONDS", 0.0)
    monkeypatch.setattr(signal, "pthread_kill", lambda *_: None)  # a call in C: no handler runs
    ended: list[int] = []
    signals = StopSignals(grace_seconds=0.0, end_process=ended.append)
    with signals.listening(), signals.polite():
        signals._watch_grace(signal.SIGTERM)
    assert ended == [143]
