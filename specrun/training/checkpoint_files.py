"""Checkpoints as folders of files: written so that no crash leaves an unreadable one, verified before they are trusted.

    <run>/checkpoints/step-00001000/{model.safetensors, optimizer.safetensors, state.json, manifest.json}
    <run>/checkpoints/best-00000900/{model.safetensors, state.json, manifest.json}     kept apart from the newest
    <run>/checkpoints/latest.json                                                      a hint for people and tools
    <run>/checkpoints/quarantine/                                                      what failed verification, or is trained again

A folder is written beside its place, every file and then the manifest synced, and renamed into place; one that it replaces stands
beside it until then. Readers trust the manifests alone, never `latest.json`. Owns files and bytes; what is in them is
`training.checkpoints`' business. No torch.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from specrun.errors import StorageFailure
from specrun.records.atomic import LIFT_FILE_BOUND

FORMAT_VERSION = 1
Role = Literal["step", "best"]
_ROLES: tuple[Role, ...] = get_args(Role)
Chunk = bytes | memoryview
_NAME = re.compile(r"^(step|best)-(\d{8,})$")
_REPLACED = re.compile(r"^\.((?:step|best)-\d{8,})\.replaced$")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A checkpoint as its manifest describes it. step: optimizer steps it holds the outcome of. score: lower is better,
    for those kept as best. key: of the train step that wrote it. best_step: that of the best weights when it was written."""

    step: int
    path: Path
    key: str
    role: Role
    metrics: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    best_step: int | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where training goes on from; anew without a checkpoint. lost_best_step: that of best weights that are gone: those of this
    checkpoint itself, which are the same, or others, for whose sake it goes back to before them."""

    checkpoint: CheckpointInfo | None
    lost_best_step: int | None = None


def save(
    folder: Path,
    *,
    step: int,
    key: str,
    files: Mapping[str, Iterable[Chunk]],
    role: Role = "step",
    metrics: Mapping[str, float] | None = None,
    score: float | None = None,
    best_step: int | None = None,
) -> CheckpointInfo:
    """Write one checkpoint so that it appears whole or not at all. files: contents by name, in pieces.

    Raises: StorageFailure when the disk refuses; the checkpoints that existed are untouched.
    """
    final = folder / f"{role}-{step:08d}"
    temporary = folder / f".{final.name}.{os.getpid()}.tmp"
    facts = {name: value for name, value in sorted((metrics or {}).items()) if math.isfinite(value)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        temporary.mkdir()
        written = {name: _write_file(temporary / name, chunks) for name, chunks in files.items()}
        body = {
            "format_version": FORMAT_VERSION,
            "step": step,
            "key": key,
            "role": role,
            "metrics": facts,
            "score": score,
            "best_step": best_step,
            "files": written,
        }
        _write_file(temporary / "manifest.json", [_dump({**body, "digest": _digest(body)})])
        _sync_folder(temporary)
        replaced = folder / f".{final.name}.replaced"
        if final.exists():  # saved again: judged since, or after training went back
            os.rename(final, replaced)  # noqa: PTH104 - fault tests count the calls of the os module
        os.rename(temporary, final)  # noqa: PTH104 - as above
        _sync_folder(folder)
        if role == "step":
            _replace_file(folder / "latest.json", _dump({"format_version": FORMAT_VERSION, "step": step, "path": final.name}))
        _put_back(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            _put_back(folder)
        raise StorageFailure(
            f"{final}: the checkpoint of step {step} cannot be written: {error.strerror or error}",
            code="checkpoint-not-written",
            hint=f"{_remedy(error)}, then apply again: training goes on from the checkpoint before",
        ) from error
    return CheckpointInfo(step, final, key, role, facts, score, best_step)


def _remedy(error: OSError) -> str:
    return LIFT_FILE_BOUND if error.errno == errno.EFBIG else "free disk space or fix the folder's permissions"


def latest(folder: Path, *, key: str) -> CheckpointInfo | None:
    """The newest checkpoint of a train step that looks whole: manifest intact, every file present in its size. Changes nothing."""
    return next((info for info in checkpoints(folder, key=key) if damage(info.path, thorough=False) is None), None)


def resumable(folder: Path, *, key: str) -> Resumption:
    """Where training would go on from, by what looks whole. Changes nothing.

    `recover` reads every byte as well, so that it may come to an older one.
    """
    whole = [info for info in checkpoints(folder, key=key) if damage(info.path, thorough=False) is None]
    kept = [info.step for info in checkpoints(folder, key=key, role="best") if damage(info.path, thorough=False) is None]
    return _before_the_loss(whole, kept_step=max(kept, default=0))


def best(folder: Path, *, key: str | None = None) -> CheckpointInfo | None:
    """The checkpoint kept as best: lowest score, the earlier of equals. key: of the train step; absent means any."""
    found = [info for info in checkpoints(folder, key=key, role="best") if info.score is not None]
    return min(found, key=lambda info: (info.score, info.step), default=None)


def checkpoints(folder: Path, *, key: str | None = None, role: Role = "step") -> list[CheckpointInfo]:
    """Checkpoints whose manifest can be read, newest first."""
    infos = (read_manifest(path) for path in _folders(folder, role))
    return [info for info in infos if info is not None and key in (None, info.key)]


def recover(
    folder: Path, *, key: str, on_damage: Callable[[Path, str], None], on_lost_best: Callable[[int], None]
) -> CheckpointInfo | None:
    """The newest checkpoint of which every byte is as written; those that are not go to quarantine, each told to `on_damage`.

    Where the best weights it knows of are gone and are not its own, `on_lost_best` is told their step, and training goes back to
    before it: only so are they made again. Checkpoints of later steps are set aside: they belong to a future that is about to be
    trained again.
    """
    if not folder.is_dir():
        return None
    remove_unfinished(folder)
    kept_step = max((info.step for info in _verified(folder, "best", key=key, on_damage=on_damage)), default=0)
    whole: list[CheckpointInfo] = []
    for info in _verified(folder, "step", key=key, on_damage=on_damage):
        whole.append(info)
        if _before_the_loss(whole, kept_step=kept_step).checkpoint is not None:
            break
    found = _before_the_loss(whole, kept_step=kept_step)
    if found.lost_best_step is not None and (found.checkpoint is None or found.checkpoint.step < found.lost_best_step):
        on_lost_best(found.lost_best_step)
    set_aside_after(folder, found.checkpoint.step if found.checkpoint else 0, key=key)
    return found.checkpoint


def set_aside_after(folder: Path, step: int, *, key: str) -> None:
    """Move checkpoints of later steps to quarantine: they belong to a future that is trained again."""
    later = [info for role in _ROLES for info in checkpoints(folder, key=key, role=role) if info.step > step]
    for info in later:
        set_aside(info.path)
    if later:
        (folder / "latest.json").unlink(missing_ok=True)


def _before_the_loss(infos: Sequence[CheckpointInfo], *, kept_step: int) -> Resumption:
    """The newest of `infos`, newest first, if the best weights it knows of are kept, or others of a later step, which training
    comes by again. Otherwise the one that has what was lost as its own weights, or the newest from before it. kept_step: of the newest
    best weights, 0 without any.
    """
    lost = None
    for info in infos:
        if lost is None and kept_step >= (info.best_step or 0):
            return Resumption(info)
        lost = lost or info.best_step
        if lost is not None and info.step <= lost:
            return Resumption(info, lost)
    return Resumption(None, lost)


def _verified(folder: Path, role: Role, *, key: str, on_damage: Callable[[Path, str], None]) -> Iterator[CheckpointInfo]:
    """Checkpoints of a role and key of which every byte is as written, newest first; what is damaged goes to quarantine."""
    for path in _folders(folder, role):
        info = read_manifest(path)
        if info is not None and info.key != key:
            continue
        reason = damage(path)
        if reason is None:
            assert info is not None
            yield info
        else:
            on_damage(set_aside(path), reason)


def rotate(
    folder: Path, *, key: str, keep_last: int, keep_best: int, verified: set[Path] | None = None, good_step: int | None = None
) -> str | None:
    """Remove what is beyond the newest `keep_last` and the best `keep_best`. Two verified newest ones stay in any case, and with each
    that stays the best weights that it knows of: training may go back to it. Returns: what could not be removed and why, if anything.

    verified: those of which every byte has been read back already; it is added to, so that each is read once. good_step: the newest
    that training may go back to, where it is in trouble: those after it stay and do not count.
    """
    assert keep_last >= 2
    kept, sound = 0, 0
    named: set[int | None] = set()
    known = set() if verified is None else verified
    doomed: list[Path] = []
    for info in checkpoints(folder, key=key):
        if kept >= keep_last and sound >= 2:
            doomed.append(info.path)
            continue
        named.add(info.best_step)
        if good_step is not None and info.step > good_step:
            continue
        kept += 1
        if sound < 2 and damage(info.path, thorough=info.path not in known) is None:
            known.add(info.path)
            sound += 1
    ranked = sorted(checkpoints(folder, key=key, role="best"), key=lambda info: (info.score is None, info.score, info.step))
    doomed += [info.path for info in ranked[keep_best:] if info.step not in named]
    troubles = [trouble for path in doomed if (trouble := _stays(path)) is not None]
    return troubles[0] if troubles else None


def damage(path: Path, *, thorough: bool = True, only: str | None = None) -> str | None:
    """What is wrong with a checkpoint, or None. thorough: read and hash every byte, not only the manifest and the sizes.

    only: the one file that is going to be read; others may be as they are.
    """
    manifest = _load_manifest(path)
    if manifest is None:
        return "its manifest is missing or damaged"
    files = manifest["files"]
    if only is not None and only not in files:
        return f"it has no {only}"
    for name, expected in files.items() if only is None else [(only, files[only])]:
        file = path / name
        try:
            size = file.stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size} bytes, {expected['bytes']} were written"
            if thorough and _hash_file(file) != expected["sha256"]:
                return f"{name} has {size} bytes as written, but not the same ones"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}"
    return None


def read_manifest(path: Path) -> CheckpointInfo | None:
    """The checkpoint as its manifest describes it; None where there is no intact manifest."""
    manifest = _load_manifest(path)
    if manifest is None:
        return None
    step, key, role, best_step = manifest["step"], manifest["key"], manifest["role"], manifest.get("best_step")
    return CheckpointInfo(step, path, key, role, manifest["metrics"], manifest["score"], best_step)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed save left behind, and put back what it was about to replace."""
    _put_back(folder)
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):  # what another machine has open is removed another time: it is in nobody's way
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def set_aside(path: Path) -> Path:
    """Move a checkpoint to quarantine and return its new place."""
    quarantine = path.parent / "quarantine"
    quarantine.mkdir(exist_ok=True)
    number = 0
    while (target := quarantine / f"{path.name}-{number}").exists():
        number += 1
    os.rename(path, target)  # noqa: PTH104 - fault tests count the calls of the os module
    return target


def _remove(path: Path) -> None:
    """Remove a checkpoint, out of sight first: one that is half removed must not look like a damaged one."""
    doomed = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")
    path.rename(doomed)
    shutil.rmtree(doomed)


def _stays(path: Path) -> str | None:
    """Remove a checkpoint of no further use. Returns: why it, or what is in it, cannot be removed."""
    try:
        _remove(path)
    except OSError as error:
        return f"{path} of no further use cannot be removed: {error.strerror or error}; it takes room until it can be"
    return None


def _put_back(folder: Path) -> None:
    """Give each folder that was to be replaced its place again, unless that is taken by now."""
    for path in folder.glob(".*.replaced"):
        final = folder / path.name[1 : -len(".replaced")]
        if final.exists():
            _stays(path)
        else:
            os.rename(path, final)  # noqa: PTH104 - fault tests count the calls of the os module


def _folders(folder: Path, role: Role) -> list[Path]:
    """Folders of a role, newest first, with those that were to be replaced and were not."""
    if not folder.is_dir():
        return []
    paths = {path.name: path for path in folder.iterdir()}
    replaced = {match[1]: path for name, path in paths.items() if (match := _REPLACED.match(name))}
    named = [(int(match[2]), path) for name, path in (replaced | paths).items() if (match := _NAME.match(name)) and match[1] == role]
    return [path for _, path in sorted(named, reverse=True)]


def _load_manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        return None
    return manifest if manifest.pop("digest", None) == _digest(manifest) else None


def _write_file(path: Path, chunks: Iterable[Chunk]) -> dict[str, int | str]:
    """Write and sync a new file. Returns its size in bytes and its sha256."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        for chunk in chunks:
            rest = memoryview(chunk).cast("B")
            digest.update(rest)
            size += len(rest)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _replace_file(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _write_file(temporary, [content])
    os.replace(temporary, path)  # noqa: PTH105 - fault tests count the calls of the os module
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dump(body)).hexdigest()
