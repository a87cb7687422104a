"""A step whose process died is told in words that a person understands, with what to do."""

from __future__ import annotations

import resource

import pytest

from specrun.engine.executors.crash import step_crashed

V8 = """

#
# Fatal process out of memory: Oilpan: CagedHeap reservation.
#
==== C stack trace ===============================

    /work/vl_convert/vl_convert.abi3.so(+0x3a90103) [0x7f6da6e90103]
    /lib/x86_64-linux-gnu/libc.so.6(+0x1098ec) [0x7f6dab7278ec]

"""
PYTHON = """\
Traceback (most recent call last):
  File "/work/charts.py", line 3, in draw
    raise {error}
{error}
"""


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (3 * 2**30, 3 * 2**30))


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.usefixtures("unbounded")
@pytest.mark.parametrize(
    ("stderr", "code", "said"),
    [
        (V8, -5, "Fatal process out of memory: Oilpan: CagedHeap reservation."),
        (PYTHON.format(error="MemoryError"), 1, "MemoryError"),
        ("memory allocation of 4096 bytes failed\nnote: run with `RUST_BACKTRACE=1`\n", -6, "memory allocation of 4096 bytes failed"),
        ("terminate called after throwing an instance of 'std::bad_alloc'\n", -6, "an instance of 'std::bad_alloc'"),
        (PYTHON.format(error="OSError: [Errno 12] Cannot allocate memory"), 1, "OSError: [Errno 12] Cannot allocate memory"),
    ],
)
def test_a_want_of_memory_is_told_whoever_words_it(stderr: str, code: int, said: str) -> None:
    error = step_crashed("report", stderr=stderr, code=code)
    assert error.code == "out-of-memory"
    assert error.message.startswith("the memory did not suffice for the report step: ")
    assert error.message.endswith(said)
    assert error.hint == "free some memory; what was finished before it is kept, and apply again repeats this step alone"


@pytest.mark.usefixtures("bounded")
def test_a_bounded_address_space_is_named_with_how_to_lift_it() -> None:
    assert step_crashed("report", stderr=V8, code=-5).hint == (
        "the address space is bounded to 3 GiB, and libraries reserve far more of it than they use (drawing charts 64 GiB): lift the bound "
        "(ulimit -v unlimited); apply again repeats this step alone"
    )


@pytest.mark.usefixtures("unbounded")
def test_what_a_stack_says_is_not_the_reason() -> None:
    stack = "boom: the engine broke\n" + V8.partition("#\n====")[2]
    assert step_crashed("report", stderr=stack, code=-11).message == "the report step ended by SIGSEGV: boom: the engine broke"
    failed = PYTHON.format(error="RuntimeError: no charts")
    assert step_crashed("report", stderr=failed, code=1).message == "the report step ended with exit code 1: RuntimeError: no charts"
    assert step_crashed("report", stderr="", code=-200).message == "the report step ended by signal 200: it said nothing"


@pytest.mark.usefixtures("unbounded")
def test_a_killed_step_points_to_the_memory() -> None:
    error = step_crashed("report", stderr="", code=-9)
    assert error.message == "the report step was killed (SIGKILL), as the system does when memory runs out"
    assert error.hint is not None
    assert error.hint.startswith("free some memory; ")
