"""What makes runs one experiment: they differ by seed or fold alone, so that a mean over them means something."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from specrun.plan.counted import as_it_counts
from specrun.plan.keys import digest
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.impact import Impact
from specrun.spec.split_options import fold_of
from specrun.steps.registry import step_kinds

_RESULTS: frozenset[Impact] = frozenset({"weights", "extend", "eval"})
"""Classes of fields that change what is measured; names and reports do not, and hardware only by what it comes to."""


def experiment_digest(
    spec: Spec, data: Mapping[str, Any], *, device: Mapping[str, str], inputs: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """sha256 of what decides a run's figures apart from its seed and its fold. data: what the data step found, with a digest a split.
    device: what of the resolved hardware can change results, however it was asked for. inputs: by the key of a part, digests of its
    files: they stand for what the splits hold where that differs by fold."""
    spec = as_it_counts(spec)
    settings = {name: values for name, values in dump(spec, _RESULTS).items() if name not in ("seeds", "hardware")}
    # As the keys of steps have it: runs that would share a training are one experiment.
    for read in (read for kind in step_kinds() if kind.finds is None for read in kind.reads if read.resolved):
        *sections, name = read.path.split(".")
        around = reduce(dict.__getitem__, sections, settings)
        around[name] = read.counted(around[name], spec)
    contents: Mapping[str, Any] = {name: split.get("sha256") for name, split in sorted(data.get("splits", {}).items())}
    if fold_of(spec) is not None:
        del settings["data"]["split"]["fold"]
        contents = _before_the_split(data, inputs or {})
    return digest({"settings": settings, "contents": contents, "device": dict(device)})


def _before_the_split(data: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What the source that was read holds, as far as it is known without its splits: digests of its files, or what it says of itself."""
    stood_in = bool(data.get("fallback_used"))
    files = inputs.get("data.fallback" if stood_in else "data.source", {})
    return {"files": sorted(files.values()), "variant": None if stood_in else data.get("variant"), "fallback": stood_in}
