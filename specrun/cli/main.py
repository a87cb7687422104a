"""The `specrun` command: runs one command line and turns whatever ends it into messages, a document and an exit code.

Imports next to nothing by itself, so that a Ctrl-C while the rest is imported is answered as quietly as any other.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from specrun.cli.output import open_streams, unwritten
from specrun.runtime.signals import StopNow


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script."""
    # Pydantic would look for plugins among the entry points of every installed package, and import them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        open_streams()
        _take(signal.SIGTERM, _stop)
        exit_code = run(given)
    except (KeyboardInterrupt, StopNow) as stop:  # a second one, while the first was being told
        exit_code = 128 + getattr(stop, "number", signal.SIGINT)
    # What still comes ends the process as it is: there is nothing left to save or to say.
    _take(signal.SIGINT, signal.SIG_DFL)
    _take(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(exit_code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code and never raises for a user's mistake."""
    try:
        from specrun.cli.commands import invoke

        exit_code = invoke(arguments)
    except (Exception, KeyboardInterrupt, StopNow) as error:  # noqa: BLE001 - whatever ends a command is told in one place
        from specrun.cli.failure import tell

        exit_code = tell(error, as_json="--json" in before_end_of_options(arguments))
    return _with_output(exit_code)


def before_end_of_options(arguments: list[str]) -> list[str]:
    """The part of a command line in which words that begin with dashes are options."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _with_output(exit_code: int) -> int:
    """The exit code, once what was printed is out. Only an answer that did not fit turns a success into a failure."""
    from specrun.errors import EXIT_CHANGES, EXIT_OK

    error = unwritten()
    if error is None or exit_code not in (EXIT_OK, EXIT_CHANGES):
        return exit_code
    print(error, file=sys.stderr)
    return error.exit_code


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StopNow(number)


def _take(number: signal.Signals, handler: object) -> None:
    """Set a signal's handler, where this thread may and nobody asked for the signal to be ignored."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)  # type: ignore[arg-type]
