"""Opens the task of a spec on its data, as a training would have it, to be checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from specrun.testing.tasks import TaskCase


def open_task_case(
    spec: os.PathLike[str] | str,
    *,
    folder: Path,
    allow_code: Sequence[str] = (),
    sets: Sequence[str] = (),
    data_root: os.PathLike[str] | str | None = None,
) -> TaskCase:
    """Run the steps of a spec that prepare its data, and open its task on them. folder: where results are kept; allow_code: modules whose
    code may run; sets: `path=value`, for little data. Raises: SpecError for a spec that is invalid, and whatever preparing raises."""
    from specrun.engine.ending import as_error
    from specrun.engine.plan import Plan, Request
    from specrun.engine.prepare import prepare
    from specrun.engine.shared import SharedStepEnded, run_shared
    from specrun.runtime.device import open_device
    from specrun.steps.train.run import build_model
    from specrun.tasks.opening import model_sizes, open_task

    root = Path(data_root) if data_root else None
    prepared = prepare(Request(os.fspath(spec), folder, tuple(sets), data_root=root, allow_code=tuple(allow_code)))
    assert isinstance(prepared, Plan), "a spec of one fold can be opened"
    prepared.workspace.prepare()
    loaded = prepared.loaded.spec
    try:
        _, results, _ = run_shared(
            prepared, show=lambda _: None, tally=[], ready=lambda plan, _: plan, only={"data", *loaded.task.prepared_by}
        )
    except SharedStepEnded as ended:
        raise as_error(ended.failure, folder) from ended.failure
    facts = {kind: result.values for kind, result in results.items()}
    folders = {kind: prepared.workspace.store / result.folder for kind, result in results.items()}
    device = open_device(prepared.hardware)
    return TaskCase(
        options=loaded.task,
        open=lambda seed: open_task(loaded, folders=folders, facts=facts, seed=seed, device=device),
        model=build_model(loaded, sizes=model_sizes(loaded, facts), seed=0, device=device),
    )
