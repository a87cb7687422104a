"""`specrun lr-find`: a range test of the learning rate, its curve and what it suggests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from specrun.cli import options
from specrun.errors import UsageError
from specrun.records.place import command_on
from specrun.spec.visible import visible

if TYPE_CHECKING:
    from specrun.engine.plan import Request
    from specrun.plan.step import StepResult

_RATE = "schedule.optimizer.learning_rate"
_PLOT = "range_test.svg"
_FEWEST, _MOST = 10, 100_000


def run(
    spec: options.SpecPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Plot to write, .svg or .png; absent means beside the result.")
    ] = None,
    low: Annotated[float | None, typer.Option("--low", metavar="RATE", help="First rate; absent means 1e-7.")] = None,
    high: Annotated[float | None, typer.Option("--high", metavar="RATE", help="Last rate; absent means 10.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Steps from one to the other; absent means 100.")] = None,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    data_root: options.DataRoot = None,
    allow_code: options.AllowCode = [],  # noqa: B006 - typer copies it
    store: options.Store = options.DEFAULT_STORE,
    as_json: options.Json = False,
) -> None:
    """Find a learning rate."""
    from specrun.cli import planned
    from specrun.cli.progress import progress
    from specrun.cli.report import refuse_stripped
    from specrun.engine.plan import Request
    from specrun.engine.rate_search import plan_search, search
    from specrun.spec.assembly import load_spec

    refuse_stripped()
    settings = _settings(low=low, high=high, steps=steps)
    if output is not None:
        _refuse_place(output)
    loaded = load_spec(spec, sets=set_, preset=preset)
    prepared = plan_search(loaded, Request(loaded, store, data_root=data_root, allow_code=tuple(allow_code)), settings=settings)
    planned.warn(prepared)
    with progress(sys.stderr) as show:
        result = search(prepared, show=show)
    folder = prepared.workspace.store / result.folder
    curve = json.loads((folder / "range_test.json").read_bytes())
    plot = output or folder / _PLOT
    if output is not None or not plot.exists():
        from specrun.report.range_chart import write_range_chart

        write_range_chart(plot, curve, rate=result.values["found"], title=prepared.name)
    if as_json:
        print(json.dumps(_document(result, curve, plot), indent=2))
    else:
        asked = Request(spec, store, tuple(set_), preset, data_root, allow_code=tuple(allow_code))
        print(visible("\n".join([*_lines(prepared.name, result, curve, plot), _go_on(asked, result)])))


def _settings(*, low: float | None, high: float | None, steps: int | None) -> dict[str, Any]:
    """What was asked to be other than the planned step has it. Raises UsageError for a range that is none."""
    from specrun.steps.find_learning_rate.step import STEP

    asked = {name: value for name, value in (("low", low), ("high", high), ("steps", steps)) if value is not None}
    whole = {**STEP.settings, **asked}
    if not 0 < whole["low"] < whole["high"] <= 10:
        raise UsageError(
            f"--low {whole['low']:g} --high {whole['high']:g}: the range is empty, or beyond what rates can be",
            code="empty-range",
            hint="give rates above 0 and up to 10, the lower one first, such as --low 1e-6 --high 1",
        )
    if not _FEWEST <= whole["steps"] <= _MOST:
        raise UsageError(
            f"--steps {whole['steps']}: a curve takes {_FEWEST} to {_MOST:,} steps", code="steps-out-of-bounds", hint="use --steps 100"
        )
    return {name: value for name, value in asked.items() if value != STEP.settings[name]}


def _refuse_place(output: Path) -> None:
    """Raise UsageError where no plot can be written, before anything is run."""
    suffixes = (".svg", ".png")
    if output.suffix.lower() not in suffixes:
        raise UsageError(
            f"-o {output}: the suffix says what is drawn", code="unknown-format", hint=f"use {' or '.join(suffixes)}, such as -o lr.svg"
        )
    if output.is_dir() or not output.parent.is_dir():
        what = f"{output} is a folder" if output.is_dir() else f"{output.parent} is not a folder"
        raise UsageError(f"{what}, so no plot can be written there", code="missing-folder", hint="choose another place for -o")


def _go_on(asked: Request, result: StepResult) -> str:
    """How to train with the rate that was found, what was tested and where."""
    from specrun.engine.plan import spec_options
    from specrun.plan import figures

    found = figures.learning_rate(result.values["found"])
    if asked.source == "-":
        return f"train with {_RATE}: {found} in the spec"
    sets = [text for text in asked.sets if not text.startswith(f"{_RATE}=")]
    options = spec_options(sets=[*sets, f"{_RATE}={found}"], preset=asked.preset, data_root=asked.data_root,
                           allow_code=asked.allow_code)  # fmt: skip
    return f"train with it: {command_on(asked.store, 'apply', str(asked.source), *options)}"


def _lines(name: str, result: StepResult, curve: dict[str, list[float]], plot: Path) -> list[str]:
    from specrun.cli.output import columns_of
    from specrun.cli.plot_text import range_lines
    from specrun.plan import figures

    values = result.values
    found, lowest, tenth = (figures.learning_rate(values[each]) for each in ("found", "lowest", "tenth_of_lowest"))
    end = "where the loss diverged" if values["diverged"] else "to the end"
    return [
        f"{name}: learning rate {found}",
        f"  where the smoothed loss falls steepest; it is lowest at {lowest}, a tenth of which is {tenth}",
        f"  {values['steps']} steps from {figures.learning_rate(values['low'])} {end}, in {figures.seconds(result.seconds)}",
        "",
        *range_lines(curve["rates"], curve["smoothed"], mark=values["found"], columns=columns_of(sys.stdout, at_most=110)),
        "",
        f"plot: {plot}",
    ]


def _document(result: StepResult, curve: dict[str, list[float]], plot: Path) -> dict[str, Any]:
    names = ("found", "lowest", "tenth_of_lowest", "low", "high", "steps", "diverged")
    return {
        "format_version": 1,
        **{name: result.values[name] for name in names},
        "key": result.key,
        "seconds": result.seconds,
        "finished_at": result.finished_at,
        "plot": str(plot),
        "curve": curve,
    }
