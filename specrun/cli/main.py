"""The `specrun` command: finds the command's module by name, imports it alone, and turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from specrun.cli.output import close_output, open_streams
from specrun.errors import SpecError, SpecrunError

COMMANDS = {
    "init": "Write a commented spec to start from.",
    "validate": "Check specs: every error of every file.",
    "explain": "Show the resolved spec, or where one value came from.",
    "plan": "Show what apply would do, and what it would cost.",
    "apply": "Plan and run: train, evaluate, record, report.",
    "runs": "List, show, tag or remove recorded runs.",
    "sql": "Ask the records in SQL, read-only.",
    "report": "Write the report of a run again.",
    "generate": "Generate text with a trained model.",
    "schema": "Print the JSON Schema of the spec language.",
    "doctor": "Say what this machine and installation can do.",
    "store": "Check or rebuild the store of records.",
}
"""Command -> one line. The module is `specrun.cli.<command>`; it has `run`, a function, or `app`, a Typer of subcommands."""


CommandLineError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Click's base of command-line errors; newer typer releases carry their own copy of click, so it is found through typer."""


class LazyGroup(TyperGroup):
    """Lists every command without importing one, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def load_command(name: str) -> Any:
    """Import a command's module and build the click command."""
    module = importlib.import_module(f"specrun.cli.{name}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name, help=COMMANDS[name], no_args_is_help=False)(module.run)
    command = get_command(app)
    command.name = name
    return command


app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """One YAML file becomes a trained, recorded, compared, reported and deployable model."""
    if version:
        from specrun import __version__

        typer.echo(f"specrun {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script."""
    # Pydantic would look for plugins among the entry points of every installed package, and import them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    open_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code and never raises for a user's mistake."""
    try:
        command = get_command(app)
        # Not `command.main`: it turns a closed standard output into exit 1 before anyone here can see it.
        with command.make_context("specrun", list(arguments)) as context:
            outcome: Any = command.invoke(context)
        return _flushed(outcome if isinstance(outcome, int) else 0)
    except typer.Exit as stop:
        return _flushed(stop.exit_code)
    except CommandLineError as error:
        shown = io.StringIO()
        error.show(file=shown)
        print(shown.getvalue(), end="", file=sys.stderr)
        return 2
    except SpecError as error:
        from specrun.spec.render import render_text

        print(render_text(error.diagnostics), file=sys.stderr)
        return error.exit_code
    except SpecrunError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: a bug in specrun, said as such
        if isinstance(error, BrokenPipeError) and arguments[:1] != ["apply"]:  # apply guards its own answer: this is another pipe
            close_output()
            return 0
        if os.environ.get("SPECRUN_DEBUG"):
            traceback.print_exc()
        print(f"internal-error: {type(error).__name__}: {error}\n  this is a bug in specrun; SPECRUN_DEBUG=1 shows where", file=sys.stderr)
        return 1


def _flushed(exit_code: int) -> int:
    """The exit code, once what was printed is out: a reader who has gone by now changes nothing about how it went."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        close_output()
    return exit_code
