"""Every optimizer on weights of which two processes hold a share each: the training of one process, average and resume included."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from specrun.errors import InterruptedRun
from specrun.spec.parts import options_class
from specrun.spec.sections.parameters import Average, Parameters
from specrun.steps.train.run import run
from tests.engine.test_torchrun import TRAIN, Asked, Doing, Listener, context, on_two, parents, run_on_workers, settings, tensors

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("kind", "ended"), [("sgd", False), ("lion", False), ("adafactor", True), ("muon", True)])
def test_shared_weights_move_as_whole_ones(kind: str, ended: bool, tmp_path: Path) -> None:
    """ended: in between; where more than a share is needed to move it, or is kept for it."""
    given = settings(optimizer=options_class("optimizer", kind)(kind=kind), parameters=Parameters(average=Average(decay=0.9)))
    asked = Asked()
    alone, together = Listener(), Doing(at={11: lambda: setattr(asked, "number", signal.SIGTERM)} if ended else {})
    run(context(tmp_path / "alone", alone), given, parents(tmp_path / "a"))
    data, place = parents(tmp_path / "b"), tmp_path / "together"
    if ended:
        with pytest.raises(InterruptedRun):
            run_on_workers(TRAIN, on_two(place, together, strategy="fsdp", signals=asked), given, data)
    run_on_workers(TRAIN, on_two(place, together, strategy="fsdp"), given, data)
    for name in ("train/loss", "validation/loss"):
        assert together.metric(name) == pytest.approx(alone.metric(name), abs=1e-4)
    there, here = tensors(tmp_path / "alone"), tensors(place)
    assert there.keys() == here.keys()
    for name, tensor in there.items():
        assert here[name].shape == tensor.shape
        torch.testing.assert_close(here[name], tensor, atol=1e-3, rtol=1e-2)
