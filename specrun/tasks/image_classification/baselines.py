"""What a model of images has to beat: the most frequent class, and ridge regression on the pixels.

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from specrun.tasks.classification_scores import from_predictions
from specrun.tasks.contract import Baseline

Floats = npt.NDArray[np.float64]

FEATURES = 1024
"""Most numbers that ridge regression has of an image: larger images are averaged over squares before."""
FITTED_IMAGES = 20_000
"""Most images that it is fitted to, evenly spaced."""
SHRINKAGE = 0.01
"""Its penalty, in means of the diagonal of the features' covariance matrix."""
_AT_ONCE = 2048


class Baselines:
    """Of the images of a folder; what is fitted is fitted once."""

    def __init__(self, folder: Path, *, num_classes: int) -> None:
        self._folder, self._num_classes = folder, num_classes

    def on(self, split: str) -> list[Baseline]:
        """Both on a whole split."""
        labels_N = self._labels(split)
        counts_K = np.bincount(self._labels("train"), minlength=self._num_classes)
        log_share_K = np.log(counts_K + 1) - math.log(counts_K.sum() + self._num_classes)
        majority = from_predictions(labels_N, np.full(len(labels_N), counts_K.argmax()), num_classes=self._num_classes)
        linear = from_predictions(labels_N, self.predicted(split), num_classes=self._num_classes)
        factor = _factor(*self._images("train").shape[1:])
        pooled = "" if factor == 1 else f", averaged over {factor} x {factor}"
        return [
            Baseline("majority", "most frequent class", {"loss": float(-log_share_K[labels_N].mean()), **majority}),
            Baseline("ridge", f"ridge regression on pixels{pooled}", linear),
        ]

    def predicted(self, split: str) -> npt.NDArray[np.int64]:
        """Classes by ridge regression, (N,)."""
        weights_DK, offset_K = self._fitted
        images = self._images(split)
        parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
        return np.concatenate([(features(part) @ weights_DK + offset_K).argmax(axis=1) for part in parts])

    @cached_property
    def _fitted(self) -> tuple[Floats, Floats]:
        images, labels = self._images("train"), self._labels("train")
        chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), FITTED_IMAGES)).astype(np.int64))
        features_ND = np.concatenate([features(images[chosen[start : start + _AT_ONCE]]) for start in range(0, len(chosen), _AT_ONCE)])
        return ridge(features_ND, np.eye(self._num_classes)[labels[chosen]])

    def _images(self, split: str) -> npt.NDArray[np.uint8]:
        found: npt.NDArray[np.uint8] = np.load(self._folder / f"{split}.images.npy", mmap_mode="r")
        return found

    def _labels(self, split: str) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = np.load(self._folder / f"{split}.labels.npy")
        return found


def ridge(features_ND: Floats, targets_NK: Floats) -> tuple[Floats, Floats]:
    """(weights (D, K), offset (K,)) that minimise squared errors plus a penalty on the weights (Hoerl & Kennard 1970)."""
    mean_D, mean_K = features_ND.mean(axis=0), targets_NK.mean(axis=0)
    centred_ND = features_ND - mean_D
    gram_DD = centred_ND.T @ centred_ND
    penalty = SHRINKAGE * np.trace(gram_DD) / len(gram_DD) or 1.0
    gram_DD[np.diag_indices_from(gram_DD)] += penalty
    weights_DK: Floats = np.linalg.solve(gram_DD, centred_ND.T @ (targets_NK - mean_K))
    offset_K: Floats = mean_K - mean_D @ weights_DK
    return weights_DK, offset_K


def features(images_NCHW: npt.NDArray[np.uint8]) -> Floats:
    """Values from 0 to 1, averaged over squares where there are many; what is left over at the edges is left out. (N, D)."""
    N, C, H, W = images_NCHW.shape
    factor = _factor(C, H, W)
    height, width = H // factor, W // factor
    cut: Floats = images_NCHW[:, :, : height * factor, : width * factor].astype(np.float64) / 255
    pooled: Floats = cut.reshape(N, C, height, factor, width, factor).mean(axis=(3, 5))
    return pooled.reshape(N, -1)


def _factor(channels: int, height: int, width: int) -> int:
    """Side of the squares; as large as the image is narrow, where even that leaves many."""
    return next(
        (side for side in range(1, min(height, width)) if channels * (height // side) * (width // side) <= FEATURES), min(height, width)
    )
