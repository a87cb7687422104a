"""The commands: finds a command's module by name and imports it alone."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = {
    "init": "Write a commented spec to start from.",
    "validate": "Check specs: every error of every file.",
    "explain": "Show the resolved spec, or where one value came from.",
    "data": "Show the data of a spec: sizes, types, lengths, classes, leaks.",
    "plan": "Show what apply would do, and what it would cost.",
    "apply": "Plan and run: train, evaluate, record, report.",
    "lr-find": "Find a learning rate by a short range test.",
    "runs": "List, show, tag or remove recorded runs.",
    "sql": "Ask the records in SQL, read-only.",
    "report": "Write the report of a run again.",
    "generate": "Generate text with a trained model.",
    "new": "Write a model or a task of your own to start from, with its test and a spec.",
    "schema": "Print the JSON Schema of the spec language.",
    "doctor": "Say what this machine and installation can do.",
    "store": "Check or rebuild the store of records.",
}
"""Command -> one line. The module is `specrun.cli.<command>`, a dash as an underscore; it has `run`, a function, or `app`, a Typer of
subcommands."""


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
    module = importlib.import_module(f"specrun.cli.{name.replace('-', '_')}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name, help=COMMANDS[name], no_args_is_help=False)(module.run)
    command = get_command(app)
    command.name = name
    return command


_EPILOG = (
    "To start: specrun init, then specrun apply specrun.yaml. "
    "Exit codes: 0 done; 1 a run failed; 2 wrong command line; 3 invalid spec; 4 a gate failed; 5 locked by another apply; "
    "6 there are changes; 7 stale plan file; 130 (Ctrl-C), 138 (SIGUSR1), 143 (SIGTERM) interrupted, state saved."
)

app = typer.Typer(
    cls=LazyGroup, rich_markup_mode=None, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG,
)  # fmt: skip


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """One YAML file becomes a planned, trained, recorded and reported model."""
    if version:
        from specrun import __version__

        typer.echo(f"specrun {__version__}")
        raise typer.Exit


def invoke(arguments: list[str]) -> int:
    """Parse a command line and run its command; returns its exit code. Raises whatever the command raises.

    A command finds the whole line in its context's `obj`.
    """
    command = get_command(app)
    try:
        # Not `command.main`: it turns a closed standard output into exit 1 before anyone here can see it.
        with command.make_context("specrun", list(arguments), obj=tuple(arguments)) as context:
            outcome: Any = command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    return outcome if isinstance(outcome, int) else 0
