"""Images normalised and changed a batch at a time against transforms of each in a torch `DataLoader`, in interleaved turns.

pytest tests/benchmarks/bench_images.py -m benchmark -s

Both have the images as bytes in memory and do the same: a crop out of a black frame, a mirrored half, a square set to the mean, bytes to
normalised float32. Nothing is trained. Where all is one thread of one process it is CPU time that counts, which other work on the machine
does not change much; with workers, which share its cores, it is time by the clock.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from specrun.runtime.allocation import keep_freed_memory
from specrun.runtime.device import Device
from specrun.training.augmentation import Changes, Transform
from specrun.training.image_batches import Images

BATCH, TURNS, IMAGES = 128, 5, 8192
CHANGES = Changes(flip=0.5, crop=4, cutout=8)
FORMS = {"grey 28 x 28": (1, 28, 28), "rgb 32 x 32": (3, 32, 32), "rgb 64 x 64": (3, 64, 64)}
GOALS = {"grey 28 x 28": 2.0, "rgb 32 x 32": 2.0, "rgb 64 x 64": 1.0}
"""Of larger images, moving their bytes is most of the work, and no way does that in much less than another."""


class InNumpy(Dataset[Any]):
    """Each image by views and one pass of arithmetic, which numpy does in the least time for one so small."""

    def __init__(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        self.images, self.labels, self.random = images, labels, np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Any:
        image, (_, height, width) = self.images[number], self.images.shape[1:]
        framed = np.zeros((len(image), height + 8, width + 8), dtype=np.uint8)
        framed[:, 4:-4, 4:-4] = image
        top, left, row, column = self.random.integers(0, (9, 9, height, width))
        image = framed[:, top : top + height, left : left + width]
        if self.random.random() < 0.5:
            image = image[:, :, ::-1]
        found = image.astype(np.float32)
        found *= np.float32(1 / (255 * 0.3))
        found -= np.float32(0.1 / 0.3)
        found[:, max(0, row - 4) : row + 4, max(0, column - 4) : column + 4] = 0
        return torch.from_numpy(found), self.labels[number]


class InTorch(InNumpy):
    """Each image by tensors, as most recipes have it."""

    def __getitem__(self, number: int) -> Any:
        image = torch.from_numpy(self.images[number])
        _, height, width = image.shape
        framed = torch.nn.functional.pad(image, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        image = framed[:, top : top + height, left : left + width]
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        found = image.float().div_(255).sub_(0.1).div_(0.3)
        row, column = int(torch.randint(0, height, ())), int(torch.randint(0, width, ()))
        found[:, max(0, row - 4) : row + 4, max(0, column - 4) : column + 4] = 0
        return found, self.labels[number]


def _batched(folder: Path, channels: int) -> Callable[[], float]:
    device = Device("cpu", torch.device("cpu"), torch.float32)
    images = Images(folder, seed=0, draw_seed=1, device=device, changes=CHANGES)
    transform, taken = Transform([0.1] * channels, [0.3] * channels, place=device.place), [0]

    def epoch() -> float:
        total = 0.0
        for _ in range(IMAGES // BATCH):
            batch = images.train_batch(taken[0], count=BATCH)
            assert batch.moves is not None
            total += float(transform.changed(batch.images, batch.moves, CHANGES)[0, 0, 0, 0])
            taken[0] += BATCH
        return total

    return epoch


def _loaded(dataset: Dataset[Any], workers: int) -> Callable[[], float]:
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    return lambda: sum(float(images[0, 0, 0, 0]) for images, _ in loader)


@pytest.mark.benchmark
@pytest.mark.parametrize("form", FORMS)
def test_batches_of_images_against_a_loader_of_each(tmp_path: Path, form: str) -> None:
    torch.set_num_threads(1)
    keep_freed_memory(os.environ)  # as any training does, and here for all alike
    shape, random = FORMS[form], np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, *shape), dtype=np.uint8)
    labels = random.integers(0, 10, IMAGES)
    np.save(tmp_path / "train.images.npy", images)
    np.save(tmp_path / "train.labels.npy", labels)
    ways: dict[str, Callable[[], float]] = {"batched": _batched(tmp_path, shape[0])}
    for name, dataset in (("numpy", InNumpy(images, labels)), ("torch", InTorch(images, labels))):
        ways |= {f"{name}, {workers} workers": _loaded(dataset, workers) for workers in (0, 2)}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, epoch in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            epoch()
            if turn:  # the first one warms up
                seconds[name].append((time.perf_counter() - started, time.process_time() - spent))
    clock, cpu = ({name: statistics.median(one[kind] for one in them) for name, them in seconds.items()} for kind in (0, 1))
    print(f"\n{form}, images a second by the clock: " + "; ".join(f"{name} {IMAGES / median:,.0f}" for name, median in clock.items()))
    kinds = {name: clock if name.endswith("2 workers") else cpu for name in ways if name != "batched"}
    rivals = {name: kind[name] / kind["batched"] for name, kind in kinds.items()}
    print("  batched against " + ", ".join(f"{name}: {ratio:.1f} x" for name, ratio in rivals.items()))
    assert min(rivals.values()) >= GOALS[form]
