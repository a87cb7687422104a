"""Images made for tests, stored as the data step stores them, prepared and opened."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from specrun.runtime.device import Device
from specrun.spec.sections.data import Columns
from specrun.tasks.contract import Opening, Prepared, PrepareRequest
from specrun.tasks.image_classification.build import ImageClassification, build
from specrun.tasks.image_classification.options import Options
from specrun.tasks.image_classification.prepare import prepare

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
SPEC: Any = SimpleNamespace(data=SimpleNamespace(columns=Columns()))
Pixels = np.ndarray[Any, Any]


def encoded(pixels: Pixels, mode: str | None = None, form: str = "PNG") -> bytes:
    """An image file. pixels: uint8 (H, W) or (H, W, 3)."""
    stream, image = io.BytesIO(), Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(stream, form)
    return stream.getvalue()


def random_images(count: int, *, seed: int = 0, height: int = 6, width: int = 8, channels: int = 1) -> list[Pixels]:
    shape = (count, height, width) if channels == 1 else (count, height, width, channels)
    return list(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def store(folder: Path, split: str, images: Sequence[bytes | None], labels: Sequence[Any], *, paths: bool = True) -> None:
    """A split's file, as the data step writes it; rows are numbered from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = [{"bytes": data, "path": f"{split}/{number}.png" if paths else None} for number, data in enumerate(images)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(stored, kind), "label": pa.array(labels), "__row__": pa.array(range(1, len(images) + 1), pa.int64())}
    pq.write_table(pa.table(columns), folder / f"{split}.parquet", row_group_size=7)


def prepared(folder: Path, options: Options | None = None, *, facts: Any = None, smoke: bool = False) -> Prepared:
    """Prepare what `store` stored in `folder`/data."""
    examples = folder / "examples"
    examples.mkdir(exist_ok=True)
    request = PrepareRequest(spec=SPEC, folders={"data": folder / "data"}, facts={"data": facts or {}}, folder=examples,
                             emit=lambda event: None, smoke=smoke)  # fmt: skip
    return prepare(options or Options(kind="image_classification"), request)


def opened(folder: Path, options: Options, found: Prepared, *, seed: int = 0) -> ImageClassification:
    """The task on what was prepared."""
    opening = Opening(spec=SPEC, folders={"examples": folder / "examples"}, facts={"examples": found.values}, seed=seed, device=DEVICE)
    return build(options, opening)


def small_task(folder: Path, *, seed: int = 0, channels: int = 3, **options: Any) -> ImageClassification:
    """20 random images of three classes to train on, 9 to judge by."""
    for number, (split, count) in enumerate((("train", 20), ("validation", 9))):
        images = [encoded(pixels) for pixels in random_images(count, seed=number, channels=channels)]
        store(folder / "data", split, images, [f"class {place % 3}" for place in range(count)])
    chosen = Options(kind="image_classification", **options)
    return opened(folder, chosen, prepared(folder, chosen), seed=seed)
