"""What `apply` does on every machine but the first: it lends its devices to each step that several processes do together.

The first machine plans, prepares the data, records and saves; all of them see the same store. A step that is finished when this
machine plans is not waited for.
"""

from __future__ import annotations

from specrun.engine.executors.nodes import this_node
from specrun.engine.executors.torchrun import lend_workers
from specrun.engine.outcome import Outcome, StepOutcome
from specrun.engine.plan import Plan
from specrun.events import Emit, Message
from specrun.runtime.signals import StopSignals


def help_first_node(prepared: Plan, *, signals: StopSignals, show: Emit) -> Outcome:
    """Take part in every step of the plan that is parallel and has to run, run after run; it has no runs of its own."""
    node = this_node(prepared.hardware.nodes)
    folder = prepared.workspace.store / "nodes" / f"node-{node.rank}"
    done = []
    in_order = [d for seed in prepared.loaded.spec.seeds for d in prepared.decisions if d.step.seed == seed]
    for decision in in_order:
        if decision.action in ("run", "resume") and prepared.kinds[decision.step.kind].parallel:
            show(Message(f"{decision.step.id}: machine {node.rank} (of {node.count}, the first is 0) waits for {node.address}:{node.port}"))
            with signals.polite():
                lend_workers(prepared.hardware, folder / decision.step.id, emit=show, signals=signals)
            done.append(StepOutcome(decision.step.id, decision.action, 0.0))
    return Outcome((), tuple(done))
