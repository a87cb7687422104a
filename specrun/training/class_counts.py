"""What an evaluation of a classifier counts, on the device: one flat tensor of additive sums, read in one transfer.

Shapes: B samples, K classes, N calibration bins. What the sums mean for a person is `tasks.classification_scores`' business.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.runtime.device import Device
from specrun.runtime.distributed import ALONE, Workers

CALIBRATION_BINS = 15
"""Of equal width, as Guo et al. 2017 have them."""
CONFUSION_CLASSES = 256
"""With more, what is counted of each class stands in for the confusion matrix, which would be megabytes of every record."""
TOP = 5
_SCALARS = 4


class ClassCounts:
    """Sums over the samples added so far, in float64 on the device; adding does not wait for it."""

    def __init__(self, num_classes: int, *, device: Device) -> None:
        self.num_classes, self._device = num_classes, device
        per_class = num_classes**2 if num_classes <= CONFUSION_CLASSES else 3 * num_classes
        self._sums = torch.zeros(_SCALARS + 3 * CALIBRATION_BINS + per_class, dtype=torch.float64, device=device.place)
        self._scalars, self._bins, self._classes = torch.split(self._sums, [_SCALARS, 3 * CALIBRATION_BINS, per_class])

    def add(self, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Count a batch. labels: int64, 0 to K - 1."""
        log_likelihood_BK = logits_BK.detach().float().log_softmax(dim=-1)
        confidence_B, predicted_B = log_likelihood_BK.max(dim=-1)
        confidence_B, correct_B = confidence_B.exp().double(), (predicted_B == labels_B).double()
        one_B = torch.ones_like(correct_B)
        top_BT = log_likelihood_BK.topk(min(TOP, self.num_classes), dim=-1).indices
        nll = F.nll_loss(log_likelihood_BK, labels_B, reduction="none").double().sum()
        self._scalars += torch.stack((one_B.sum(), nll, correct_B.sum(), (top_BT == labels_B[:, None]).any(dim=-1).sum()))
        # Bins are open below and closed above; NaN falls into the first, and stays visible in its sum.
        bin_B = ((confidence_B * CALIBRATION_BINS).ceil().long() - 1).clamp(0, CALIBRATION_BINS - 1)
        # A product, and no scattered sum, whose order a GPU would not keep; whole numbers have no order.
        in_bin_NB = F.one_hot(bin_B, CALIBRATION_BINS).double().mT
        self._bins += (in_bin_NB @ torch.stack((one_B, confidence_B, correct_B), dim=-1)).flatten()
        if self.num_classes <= CONFUSION_CLASSES:
            self._classes.index_add_(0, labels_B * self.num_classes + predicted_B, one_B)
        else:
            for place, (index_B, counts_B) in enumerate(((labels_B, correct_B), (labels_B, one_B), (predicted_B, one_B))):
                self._classes.view(3, self.num_classes)[place].index_add_(0, index_B, counts_B)

    def read(self, workers: Workers = ALONE) -> dict[str, Any]:
        """The sums over all workers as plain JSON, after one transfer:

        predictions, correct, top5: counts. nll: nats. calibration: (N, 3), of each bin its samples, their confidence and the correct
        ones. confusion: (K, K), true class by predicted one; beyond CONFUSION_CLASSES instead classes: (3, K), correct, true, predicted.
        """
        flat = np.asarray(workers.total(self._device.to_host(self._sums).view(np.float64).tolist()))
        (predictions, nll, correct, top), bins, classes = np.split(flat, [_SCALARS, _SCALARS + 3 * CALIBRATION_BINS])
        calibration = [[int(samples), confidence, int(right)] for samples, confidence, right in bins.reshape(-1, 3).tolist()]
        counts = classes.astype(np.int64).reshape(-1, self.num_classes).tolist()
        name = "confusion" if self.num_classes <= CONFUSION_CLASSES else "classes"
        return {"predictions": int(predictions), "nll": float(nll), "correct": int(correct), "top5": int(top),
                "calibration": calibration, name: counts}  # fmt: skip
