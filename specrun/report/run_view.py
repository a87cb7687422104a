"""Turns the records of one run into the view that its report shows. A pure function of the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun import __version__
from specrun.report import sections, verdict
from specrun.report.evaluation import evaluation
from specrun.report.facts import RunRecords, read, when
from specrun.report.machine_facts import machine_facts
from specrun.report.machine_panels import machine_panels
from specrun.report.panels import panels
from specrun.report.task_figures import task_figures
from specrun.report.views import RunView


def run_view(
    records: RunRecords, run_id: str, *, results: Mapping[str, Mapping[str, Any]] | None = None, title: str | None = None
) -> RunView:
    """The report of a run as plain data. results: see `facts.read`. title: the heading; absent means the run's name.

    Raises what the records raise for an unknown run.
    """
    facts = read(records, run_id, results=results)
    words, tone = verdict.status(facts)
    shown, samples_note = sections.samples(facts)
    plan, plan_note = sections.plan_rows(facts)
    hardware, reasons = sections.hardware_facts(facts)
    spec = sections.spec_rows(facts)
    environment, command, packages = sections.environment(facts)
    return RunView(
        title=title or facts.run.name,
        name=facts.run.name,
        run_id=facts.run.run_id,
        description=str(facts.option("description") or ""),
        status=words,
        tone=tone,
        headline=verdict.headline(facts),
        subtitle=tuple(filter(None, (facts.run.run_id, facts.run.task, f"seed {facts.run.seed}", facts.fold, when(facts.run.started_at)))),
        notices=verdict.notices(facts),
        gates=verdict.gates(facts),
        tiles=verdict.tiles(facts),
        what=sections.what_ran(facts),
        attempts=sections.attempts_table(facts),
        panels=panels(facts),
        evaluation=evaluation(facts),
        figures=task_figures(facts),
        samples=shown,
        samples_note=samples_note,
        data=sections.data_facts(facts),
        splits=sections.splits_table(facts),
        plan=plan,
        plan_note=plan_note,
        hardware=(*hardware, *machine_facts(facts)),
        reasons=reasons,
        machine=machine_panels(facts),
        spec=spec,
        spec_set_count=sum(not row.is_default for row in spec),
        environment=environment,
        command=command,
        packages=packages,
        artifacts=sections.artifacts_table(facts),
        version=__version__,
    )
