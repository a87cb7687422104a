"""A train step whose disk refuses: what is told as saved is on the disk, and what is only in the way ends no training."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Listener, context, parents, q, spec, stop_after

from specrun.errors import StorageFailure
from specrun.events import Alert
from specrun.runtime.device import Device
from specrun.spec.sections.schedule import Checkpoint
from specrun.steps.train.run import run
from specrun.training import checkpoint_files


@pytest.mark.parametrize(("stopped_after", "refused"), [(None, 24), (16, 16)])
def test_a_training_whose_last_state_is_not_written_neither_ends_well_nor_says_that_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_after: int | None, refused: int
) -> None:
    """The best weights of the same step were written: a third of the bytes, before the disk was full."""
    real = checkpoint_files.save

    def save(*args: Any, **kwargs: Any) -> checkpoint_files.CheckpointInfo:
        if kwargs["step"] == refused and kwargs.get("role") != "best":
            raise StorageFailure("the disk is full", code="checkpoint-not-written")
        return real(*args, **kwargs)

    monkeypatch.setattr(checkpoint_files, "save", save)
    stop = stop_after(stopped_after) if stopped_after is not None else lambda: None
    with pytest.raises(StorageFailure, match="the disk is full"):
        run(context(tmp_path / "run", Listener(), stop=stop), spec(), parents(tmp_path))
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert f"best-{refused:08d}" in names
    assert f"step-{refused:08d}" not in names


def test_a_snapshot_that_is_not_pinned_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "unpinned_bytes", property(lambda _: 3 * 2**30))
    listener = Listener()
    output = run(context(tmp_path / "run", listener), spec(), parents(tmp_path))
    (alert,) = listener.of(Alert)
    assert (alert.code, alert.step) == ("snapshot-not-pinned", 8)
    assert alert.message.startswith("the system would not pin 3 GiB of memory, ")
    assert output.warnings == (alert.message,)


@pytest.mark.parametrize("call", ["rename", "rmtree"])
def test_an_older_checkpoint_that_cannot_be_removed_is_told_once_and_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """By its name, of a folder that belongs to another, or by what is in it, that another machine has open."""
    refused: list[str] = []

    def refuse(real: Any) -> Any:
        def removing(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not any(name in Path(path).name for name in ("step-00000004", "step-00000008")):
                return real(path, *args, **kwargs)
            refused.append(str(path))
            raise PermissionError(13, os.strerror(13))

        return removing

    listener = Listener()
    settings = spec(checkpoint=Checkpoint(every=q("4 steps"), keep_last=2))
    if call == "rename":
        monkeypatch.setattr(Path, "rename", refuse(Path.rename))
    else:
        monkeypatch.setattr(shutil, "rmtree", refuse(shutil.rmtree))
    output = run(context(tmp_path / "run", listener), settings, parents(tmp_path))
    (alert,) = listener.of(Alert)
    assert alert.code == "checkpoint-not-removed"
    assert "checkpoints/step-00000004 of no further use cannot be removed: Permission denied; it takes room" in alert.message
    assert output.warnings == (alert.message,)
    assert output.values["last_checkpoint"].endswith("step-00000024")
    assert len(refused) > 2
    monkeypatch.undo()
    again = checkpoint_files.recover(
        tmp_path / "run" / "checkpoints", key="key", on_damage=lambda *_: None, on_lost_best=lambda _: None
    )  # fmt: skip
    assert again is not None
    assert again.step == 24
