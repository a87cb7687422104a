"""Checkpoint folders: whole or absent after any failure, damage always noticed, the newest and the best kept."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import StoreError
from specrun.training import checkpoint_files as cf

FILES = {"model.safetensors": b"weights" * 50, "optimizer.safetensors": b"moments" * 90, "state.json": b'{"step": 1}'}
CALLS = ("open", "write", "fsync", "close", "rename", "replace", "mkdir")


def save(folder: Path, step: int, *, key: str = "key", **more: Any) -> cf.CheckpointInfo:
    return cf.save(
        folder, step=step, key=key, files={name: [content[:9], content[9:], b"%d" % step] for name, content in FILES.items()}, **more
    )


def recover(folder: Path, key: str = "key") -> tuple[cf.CheckpointInfo | None, list[str]]:
    told: list[str] = []
    found = cf.recover(
        folder,
        key=key,
        on_damage=lambda path, reason: told.append(f"{path.name}: {reason}"),
        on_lost_best=lambda step: told.append(f"lost {step}"),
    )
    return found, told


def test_what_is_saved_is_found_with_its_facts(tmp_path: Path) -> None:
    save(tmp_path, 5, metrics={"validation/loss": 2.5, "validation/perplexity": float("inf")})
    info = cf.latest(tmp_path, key="key")
    assert info == cf.CheckpointInfo(5, tmp_path / "step-00000005", "key", "step", {"validation/loss": 2.5}, None)
    assert (info.path / "model.safetensors").read_bytes() == FILES["model.safetensors"] + b"5"
    assert json.loads((tmp_path / "latest.json").read_bytes())["path"] == "step-00000005"


def test_a_folder_that_is_not_there_has_no_checkpoint(tmp_path: Path) -> None:
    assert cf.latest(tmp_path / "none", key="key") is None
    assert cf.best(tmp_path / "none") is None
    assert recover(tmp_path / "none") == (None, [])


@pytest.mark.parametrize("hint", [None, b"", b"{", b'{"path": "step-00000099"}', b"\xff\x00"])
def test_latest_json_is_a_hint_that_may_be_missing_or_wrong(tmp_path: Path, hint: bytes | None) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "latest.json").unlink()
    if hint is not None:
        (tmp_path / "latest.json").write_bytes(hint)
    found = cf.latest(tmp_path, key="key")
    assert found is not None
    assert found.step == 2
    assert recover(tmp_path)[0] == found
    save(tmp_path, 3)
    assert json.loads((tmp_path / "latest.json").read_bytes())["step"] == 3


def test_checkpoints_of_another_key_are_neither_found_nor_touched(tmp_path: Path) -> None:
    save(tmp_path, 9, key="other")
    save(tmp_path, 3)
    save(tmp_path, 9, key="other", role="best", score=1.0)
    found, told = recover(tmp_path)
    assert found is not None
    assert (found.step, told) == (3, [])
    cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert (tmp_path / "step-00000009").is_dir()
    assert (tmp_path / "best-00000009").is_dir()


def _flip(content: bytearray, rng: random.Random) -> None:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _truncate(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def _zero(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    content[start : start + 16] = bytes(len(content[start : start + 16]))


def _grow(content: bytearray, rng: random.Random) -> None:
    content += bytes(rng.randrange(1, 5))


def test_any_change_of_any_file_is_noticed_and_none_where_nothing_changed(tmp_path: Path) -> None:
    """1,000 trials, over every file of a checkpoint: a flipped bit, a truncation, a zeroed block, more bytes."""
    save(tmp_path, 2)
    rng, trials = random.Random(0), 0
    victims = sorted((tmp_path / "step-00000002").iterdir())
    while trials < 1000:
        victim, harm = victims[trials % len(victims)], (_flip, _truncate, _zero, _grow)[trials // len(victims) % 4]
        whole = victim.read_bytes()
        content = bytearray(whole)
        harm(content, rng)
        if bytes(content) == whole:
            continue
        victim.write_bytes(content)
        trials += 1
        assert cf.damage(tmp_path / "step-00000002") is not None, f"trial {trials}: {victim.name}"
        victim.write_bytes(whole)
        assert cf.damage(tmp_path / "step-00000002") is None


def test_a_checkpoint_with_a_file_less_is_set_aside_and_the_one_before_is_taken(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "step-00000002" / "model.safetensors").unlink()
    found, told = recover(tmp_path)
    assert found is not None
    assert found.step == 1
    assert len(told) == 1
    assert (tmp_path / "quarantine" / "step-00000002-0").is_dir()


def test_with_every_checkpoint_damaged_training_starts_anew(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
        (tmp_path / f"step-{step:08d}" / "manifest.json").write_text("{}")
    found, told = recover(tmp_path)
    assert found is None
    assert len(told) == 2


def test_a_step_saved_again_replaces_what_was_there(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "step-00000001" / "state.json").write_text("spoiled")
    save(tmp_path, 1)
    assert cf.damage(tmp_path / "step-00000001") is None


@given(steps=st.lists(st.integers(1, 50), unique=True, min_size=1, max_size=8), keep=st.integers(2, 5))
@settings(max_examples=20)
def test_rotation_keeps_the_newest(tmp_path_factory: pytest.TempPathFactory, steps: list[int], keep: int) -> None:
    folder = tmp_path_factory.mktemp("rotate")
    for step in steps:
        save(folder, step)
    cf.rotate(folder, key="key", keep_last=keep, keep_best=1)
    assert [info.step for info in cf.checkpoints(folder)] == sorted(steps, reverse=True)[:keep]


def test_rotation_does_not_count_what_may_not_be_gone_back_to(tmp_path: Path) -> None:
    for step in range(1, 8):
        save(tmp_path, step)
    cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1, good_step=5)
    assert [info.step for info in cf.checkpoints(tmp_path)] == [7, 6, 5, 4]
    cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert [info.step for info in cf.checkpoints(tmp_path)] == [7, 6]


def test_a_checkpoint_that_cannot_be_removed_keeps_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 7):
        save(tmp_path, step)
    real = Path.rename

    def rename(path: Path, to: Path) -> Path:
        if path.name == "step-00000004":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(path, to)

    monkeypatch.setattr(Path, "rename", rename)
    trouble = cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert trouble is not None
    assert "step-00000004 of no further use cannot be removed: Device or resource busy" in trouble
    assert [info.step for info in cf.checkpoints(tmp_path)] == [6, 5, 4]
    monkeypatch.undo()
    assert cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1) is None
    assert [info.step for info in cf.checkpoints(tmp_path)] == [6, 5]


def test_what_is_left_of_a_removal_stands_in_no_later_saves_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that was rotated out, and of one that was replaced."""
    save(tmp_path, 1)
    real = shutil.rmtree

    def rmtree(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.name.endswith(".old.tmp"):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        real(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    for step in (1, 2, 3):
        save(tmp_path, step)
    trouble = cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert trouble is not None
    save(tmp_path, 4)
    assert recover(tmp_path) == (cf.CheckpointInfo(4, tmp_path / "step-00000004", "key", "step"), [])
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    monkeypatch.undo()
    recover(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_rotation_never_counts_on_damaged_ones(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step)
    for step in (4, 5):
        (tmp_path / f"step-{step:08d}" / "model.safetensors").write_bytes(b"")
    cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert [info.step for info in cf.checkpoints(tmp_path)] == [5, 4, 3, 2]
    found, _ = recover(tmp_path)
    assert found is not None
    assert found.step == 3


def test_the_best_are_kept_by_score_apart_from_the_newest(tmp_path: Path) -> None:
    for step, score in enumerate([3.0, 1.0, 2.0, 1.0], start=1):
        save(tmp_path, step, role="best", score=score)
    for step in range(5, 9):
        save(tmp_path, step)
    cf.rotate(tmp_path, key="key", keep_last=2, keep_best=2)
    assert [info.step for info in cf.checkpoints(tmp_path, role="best")] == [4, 2]
    best = cf.best(tmp_path)
    assert best is not None
    assert best.step == 2


def test_the_best_of_a_future_that_is_trained_again_is_forgotten(tmp_path: Path) -> None:
    save(tmp_path, 10)
    save(tmp_path, 8, role="best", score=2.0)
    save(tmp_path, 14, role="best", score=1.0)
    recover(tmp_path)
    best = cf.best(tmp_path)
    assert best is not None
    assert best.step == 8


@pytest.mark.parametrize("harm", ["gone", "damaged"])
@pytest.mark.parametrize(
    ("saved", "bests", "lost", "expected"),
    [
        ({4: None, 8: 6, 12: 6}, [6], 6, 4),  # from before the best, though newer ones are whole
        ({8: 6, 12: 6}, [6], 6, None),  # anew where nothing is so old
        ({4: 2, 8: 6, 12: 6}, [6], 6, 4),  # its own best was let go: that of step 6 comes again
        ({8: 8, 12: 10}, [10], 10, 8),
    ],
)
def test_training_goes_back_to_before_the_best_weights_where_these_are_lost(
    tmp_path: Path, saved: dict[int, int | None], bests: list[int], lost: int, expected: int | None, harm: str
) -> None:
    for step, best_step in saved.items():
        save(tmp_path, step, best_step=best_step)
    for step in bests:
        save(tmp_path, step, role="best", score=1.0)
    last = max(saved)
    assert recover(tmp_path)[0] == cf.resumable(tmp_path, key="key").checkpoint == cf.checkpoints(tmp_path)[0]
    assert cf.resumable(tmp_path, key="key").lost_best_step is None
    if harm == "gone":
        shutil.rmtree(tmp_path / f"best-{lost:08d}")
        planned = cf.resumable(tmp_path, key="key")
        assert planned.lost_best_step == lost
        assert (planned.checkpoint.step if planned.checkpoint else None) == expected
    else:
        (tmp_path / f"best-{lost:08d}" / "model.safetensors").write_bytes(b"spoiled")
    found, told = recover(tmp_path)
    assert told[-1] == f"lost {lost}"
    assert found is None if expected is None else found is not None and found.step == expected
    assert last not in [info.step for info in cf.checkpoints(tmp_path)]


@pytest.mark.parametrize(("saved", "expected"), [({4: 4, 8: 8}, 8), ({4: 4, 8: 8, 12: 8}, 8), ({8: 8}, 8)])
def test_a_checkpoint_whose_own_weights_were_the_best_stands_without_them(tmp_path: Path, saved: dict[int, int], expected: int) -> None:
    """They are its own; training need not go back for them."""
    for step, best_step in saved.items():
        save(tmp_path, step, best_step=best_step)
    planned = cf.resumable(tmp_path, key="key")
    assert (planned.checkpoint.step if planned.checkpoint else None, planned.lost_best_step) == (expected, 8)
    found, told = recover(tmp_path)
    assert found is not None
    assert (found.step, told) == (expected, [])


@pytest.mark.parametrize("keep_last", [2, 3])
def test_with_each_newest_checkpoint_the_best_that_it_knows_of_is_kept(tmp_path: Path, keep_last: int) -> None:
    """Whatever is trained again from there, and however often that is cut short, the best until then are there."""
    for step in (10, 20, 30, 40):
        save(tmp_path, step, role="best", score=10 - step / 10)
        save(tmp_path, step, best_step=step)
        cf.rotate(tmp_path, key="key", keep_last=keep_last, keep_best=1)
    assert [info.step for info in cf.checkpoints(tmp_path, role="best")] == [40, 30, 20][:keep_last]
    (tmp_path / "step-00000040" / "model.safetensors").write_bytes(b"spoiled")
    for _ in range(2):  # the second after a kill before anything was saved
        found, _ = recover(tmp_path)
        assert found is not None
        assert (found.step, cf.best(tmp_path)) == (30, cf.read_manifest(tmp_path / "best-00000030"))


def test_what_training_goes_back_behind_is_set_aside_whole(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        save(tmp_path, step, best_step=6 if step > 6 else None)
    save(tmp_path, 6, role="best", score=1.0)
    shutil.rmtree(tmp_path / "best-00000006")
    found, _ = recover(tmp_path)
    assert found is not None
    assert found.step == 4
    kept = {path.name: cf.damage(path) for path in (tmp_path / "quarantine").iterdir()}
    assert kept == {"step-00000008-0": None, "step-00000012-0": None}
    assert not (tmp_path / "latest.json").exists(), "it would name one of them"
    assert save(tmp_path, 8).step == json.loads((tmp_path / "latest.json").read_bytes())["step"]


def test_an_older_checkpoint_stands_while_better_weights_of_a_later_step_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 6, best_step=4)
    save(tmp_path, 10, best_step=8)
    save(tmp_path, 8, role="best", score=1.0)
    (tmp_path / "step-00000010" / "model.safetensors").write_bytes(b"spoiled")
    found, told = recover(tmp_path)
    assert found is not None
    assert (found.step, len(told)) == (6, 1)


def _failing(patch: pytest.MonkeyPatch, fail_at: int) -> list[int]:
    """Let the fail_at-th call of any of CALLS raise. Returns a list that counts the calls."""
    count = [0]
    for name in CALLS:
        original = getattr(os, name)

        def call(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] == fail_at:
                raise OSError(28, "No space left on device")
            return _original(*args, **kwargs)

        patch.setattr(os, name, call)
    return count


@pytest.mark.parametrize("there", [1, 2])
def test_a_failure_of_any_call_of_a_save_leaves_one_readable(tmp_path: Path, there: int) -> None:
    """The one before it, or the one of the same step that it is to replace."""
    errors: list[str] = []
    for number in range(1, 100):  # as many calls as a save makes, then out
        folder = tmp_path / str(number)
        save(folder, there)
        with pytest.MonkeyPatch.context() as patch:
            count = _failing(patch, number)
            try:
                save(folder, 2)
            except StoreError as error:
                errors.append(str(error))
        if count[0] < number:
            break
        planned = cf.resumable(folder, key="key").checkpoint
        found, told = recover(folder)
        assert found is not None, f"call {number}"
        assert (found, told) == (planned, []), f"call {number}"
        save(folder, 3)
        assert [path.name for path in folder.glob(".*")] == []
    assert len(errors) >= 25
    assert all(error.startswith("checkpoint-not-written") and "No space left on device" in error for error in errors)


KILLED = """
import os, sys
from pathlib import Path
from specrun.training import checkpoint_files as cf
count = 0
def patched(original):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
        return original(*args, **kwargs)
    return call
for name in ("open", "write", "fsync", "close", "rename", "replace", "mkdir", "unlink", "rmdir"):
    setattr(os, name, patched(getattr(os, name)))
cf.save(Path(sys.argv[1]), step=2, key="key", files={"a": [b"first", b"second"], "b": [b"third"]})
"""


@pytest.mark.parametrize("there", [1, 2])
def test_a_kill_at_any_call_of_a_save_leaves_one_readable(tmp_path: Path, there: int) -> None:
    """The one before it, or the one of the same step that it is to replace."""
    processes, number = [], 0
    while not processes or processes[-1][2].returncode == -9:
        number += 1
        folder = tmp_path / str(number)
        save(folder, there)
        command = [sys.executable, "-c", KILLED, str(folder), str(number)]
        processes.append((number, folder, subprocess.run(command, check=False, capture_output=True)))
    assert processes.pop()[2].returncode == 0
    assert number > 20
    assert {done.returncode for _, _, done in processes} == {-9}
    for number, folder, _ in processes:
        planned = cf.resumable(folder, key="key").checkpoint
        found, told = recover(folder)
        assert found is not None, f"killed at call {number}"
        assert (planned.step if planned else None, told) == (found.step, [])
        assert found.step in (there, 2)
        assert [path.name for path in folder.glob(".*")] == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="checkpoint-not-written") as caught:
        save(tmp_path / "file", 1)
    assert "apply again" in str(caught.value.hint)


def test_a_bound_on_the_size_of_files_is_lifted_and_no_disk_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(cf, "_write_file", refuse)
    with pytest.raises(StoreError, match=r"checkpoint-not-written.*File too large") as caught:
        save(tmp_path, 1)
    assert caught.value.hint == ("lift the bound with: ulimit -f unlimited, then apply again: training goes on from the checkpoint before")


def test_the_module_needs_no_torch() -> None:
    code = "import sys, specrun.training.checkpoint_files; sys.exit(any(m in sys.modules for m in ('torch', 'safetensors', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    guard = code.replace("checkpoint_files", "sampler")
    assert subprocess.run([sys.executable, "-c", guard], check=False).returncode == 1


def test_a_removal_that_is_cut_short_leaves_nothing_that_looks_like_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 5):
        save(tmp_path, step)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("specrun.training.checkpoint_files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            cf.rotate(tmp_path, key="key", keep_last=2, keep_best=1)
    assert [info.step for info in cf.checkpoints(tmp_path)] == [4, 3, 1]
    found, told = recover(tmp_path)
    assert found is not None
    assert (found.step, told) == (4, [])
    assert not list(tmp_path.glob(".*.tmp"))
