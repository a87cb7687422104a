"""How a failure is told: as text on standard error and, where JSON was asked for, as one document on standard output.

Owns the form of that document and the words for a wrong command line. Imports none of the toolkits whose errors it knows.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from specrun.cli.output import has_answered
from specrun.errors import InterruptedRun, SpecError, SpecrunError, UsageError, unforeseen
from specrun.runtime.signals import StopNow
from specrun.spec.visible import visible

FORMAT_VERSION = 1
_SIGINT = 2


def tell(failure: BaseException, *, as_json: bool) -> int:
    """Say what ended a command; returns the exit code. as_json: print the document too, unless an answer is out already."""
    error = _masked(as_error(failure))
    if as_json and not has_answered():
        print(json.dumps(document(error), indent=2, ensure_ascii=False))
    if isinstance(error, SpecError):
        from specrun.spec.render import render_text

        print(render_text(error.diagnostics), file=sys.stderr)
    elif isinstance(failure, KeyboardInterrupt | StopNow) or _is_click(failure, "Abort"):
        print("interrupted", file=sys.stderr)
    elif error.code == "no-command":
        print(error.message, file=sys.stderr)
    else:
        if error.code == "internal-error" and os.environ.get("SPECRUN_DEBUG"):
            traceback.print_exception(failure)
        print(visible(str(error)), file=sys.stderr)
    return error.exit_code


def document(error: SpecrunError) -> dict[str, Any]:
    """The document of a failure: of an invalid spec what `validate` says of it, and for all of them `error` and `exit_code`."""
    found: dict[str, Any] = {"format_version": FORMAT_VERSION}
    if isinstance(error, SpecError):
        from specrun.spec.renderers.json import document as diagnostics_document

        found = diagnostics_document(error.diagnostics)
    return {**found, "error": {"code": error.code, "message": error.message, "hint": error.hint}, "exit_code": error.exit_code}


def as_error(failure: BaseException) -> SpecrunError:
    """Whatever ended a command, as one of the errors that have a code, a message and an exit code."""
    if isinstance(failure, SpecrunError):
        return failure
    if isinstance(failure, StopNow):
        return InterruptedRun(f"stopped by signal {failure.number}", signal_number=failure.number)
    if isinstance(failure, KeyboardInterrupt) or _is_click(failure, "Abort"):
        return InterruptedRun("stopped at the keyboard", signal_number=_SIGINT)
    if _is_click(failure, "ClickException"):
        return _wrong_command_line(failure)
    return unforeseen(failure)


def _masked(error: SpecrunError) -> SpecrunError:
    """The error without credentials: a wrong command line is repeated in what is said of it."""
    from specrun.engine.secrecy import process_mask

    return process_mask().error(error)


def _is_click(failure: BaseException, name: str) -> bool:
    """Newer typer releases carry their own copy of click, so its errors are known by their names."""
    return any(cls.__name__ == name for cls in type(failure).__mro__)


def _wrong_command_line(failure: Any) -> UsageError:
    """What the parser found, in the form of every other error: code, fact, remedy."""
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else "specrun"
    help_hint = f"{command} --help shows what it takes"
    match type(failure).__name__:
        case "NoArgsIsHelpError":
            return UsageError(failure.format_message(), code="no-command")
        case "NoSuchOption":
            name = failure.option_name
            return _unknown("option", name, command, _options(context), help_hint)
        case "MissingParameter":
            return UsageError(_sentence(failure), code="missing-argument", hint=help_hint)
        case "BadParameter":
            return UsageError(_sentence(failure), code="bad-value", hint=_range(failure) or help_hint)
    if "No such command" in failure.message and context is not None:
        name = failure.message.split("'")[1]
        return _unknown("command", name, command, context.command.list_commands(context), help_hint)
    return UsageError(_sentence(failure), code="wrong-command-line", hint=help_hint)


def _range(failure: Any) -> str | None:
    """The numbers that an option takes, where it has bounds."""
    parameter = getattr(failure, "param", None)
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is None:
        return None
    return f"use {least:g} or more" if most is None else f"use a number from {least:g} to {most:g}"


def _unknown(noun: str, name: str, command: str, known: list[str], help_hint: str) -> UsageError:
    from specrun.spec.nearest import listed, nearest

    near = nearest(name, known)
    if near:
        hint = f"did you mean {near}?"
    else:
        hint = f"use {listed(known)}" if noun == "command" else help_hint
    return UsageError(f"{command} has no {noun} {name!r}", code=f"unknown-{noun}", hint=hint)


def _options(context: Any) -> list[str]:
    if context is None:
        return []
    return [name for parameter in context.command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
            if name.startswith("--")]  # fmt: skip


def _sentence(failure: Any) -> str:
    text = failure.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}"
