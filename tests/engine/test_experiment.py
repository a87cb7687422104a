"""Runs of one experiment differ by seed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrun.engine.experiment import experiment_digest
from specrun.engine.prepare import Request, check, valid
from specrun.runtime.hardware import Machine, resolve
from tests.engine.conftest import TINY

MACHINE = Machine("a processor", 4, 2**34, frozenset(), ())
DATA = {"splits": {"train": {"sha256": "aa"}, "validation": {"sha256": "bb"}}}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(TINY)
    return str(tmp_path / "spec.yaml")


def digest(spec: str, *sets: str) -> str:
    loaded = valid(check(Request(spec, Path("store"), sets))).spec
    return experiment_digest(loaded, DATA, device=resolve(loaded.hardware, MACHINE).identity)


@pytest.mark.parametrize(
    "change",
    [
        "seeds=[1,2]", "name=other", "tags=[a]", "report.formats=[md]", "schedule.log_every=3 steps", "hardware.threads=2",
        "hardware.profile=auto", "hardware.precision=float32", "hardware.compile=off",
    ],
)  # fmt: skip
def test_seeds_names_reports_and_hardware_leave_an_experiment_what_it_is(spec: str, change: str) -> None:
    assert digest(spec, change) == digest(spec)


@pytest.mark.parametrize(
    "change",
    [
        "model.width=32", "schedule.duration=13 steps", "data.sequence_length=8", "schedule.batch_size=2", "hardware.precision=bfloat16",
        "hardware.compile=default",
    ],
)  # fmt: skip
def test_what_changes_a_figure_makes_another_experiment(spec: str, change: str) -> None:
    assert digest(spec, change) != digest(spec)


@pytest.mark.parametrize(("dropout", "splits"), [(0.0, False), (0.1, True)])
def test_runs_that_share_a_training_are_one_experiment(spec: str, dropout: float, splits: bool) -> None:
    def of(micro: int | str) -> str:
        return digest(spec, f"model.dropout={dropout}", f"schedule.micro_batch_size={micro}")

    assert of(4) == of("auto"), "4 is the whole batch"
    assert (of(2) != of("auto")) == splits


def test_other_contents_under_the_same_spec_are_another_experiment(spec: str) -> None:
    loaded = valid(check(Request(spec, Path("store")))).spec
    other = {"splits": {"train": {"sha256": "cc"}, "validation": {"sha256": "bb"}}}
    assert experiment_digest(loaded, DATA, device={}) != experiment_digest(loaded, other, device={})
