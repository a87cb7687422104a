"""A split as `tasks.tabular.writing` has left it: arrays mapped into memory, rows gathered by index.

Shapes: B rows, N numbers, G categories, Y targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.tasks.tabular.writing import ARRAYS


class SplitArrays:
    """numbers: float32 (rows, N); categories: int32 (rows, G); targets: float32 (rows, Y), or int32 (rows, 1); rows: int64 (rows,)."""

    def __init__(self, folder: Path, split: str) -> None:
        # Plain arrays over the maps: numpy's memmap class costs microseconds in each operation.
        self.numbers, self.categories, self.targets, self.rows = (
            np.asarray(np.load(folder / f"{split}.{name}.npy", mmap_mode="r")) for name in ARRAYS
        )

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, index: npt.NDArray[np.int64] | slice) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Copies of (numbers (B, N), categories (B, G), targets (B, Y)) of some rows; whole numbers as int64."""
        targets = self.targets[index]
        wide = targets.astype(np.int64) if targets.dtype == np.int32 else np.array(targets)
        return np.array(self.numbers[index]), self.categories[index].astype(np.int64), wide
