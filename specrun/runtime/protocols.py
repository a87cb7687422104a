"""What training asks of a model and of a task, and nothing about text, images or tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from specrun.runtime.distributed import ALONE, Workers


def nothing() -> None:
    """What is done between two batches where there is nothing to do."""


class Batch(Protocol):
    """Samples on the device. weight: how many predictions (tokens, or samples) the loss is a mean over; positions: how many are
    computed, padding included."""

    @property
    def weight(self) -> int: ...

    @property
    def positions(self) -> int: ...

    def share(self, rank: int, *, size: int) -> Batch:
        """What one of `size` workers has of it: a share that divides into as many parts as that of any other."""
        ...

    def split(self, size: int) -> Iterator[Batch]:
        """The same samples in parts of at most `size` samples, in order; of shorter ones than usual, more may be a part."""
        ...


class LanguageModel(Protocol):
    """A decoder: what the next-token task asks of a model. V: vocabulary, C: width, B: sequences, T: positions."""

    max_positions: int
    training: bool

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights that turn a hidden state into logits."""
        ...

    def hidden(self, ids_BT: Tensor, cache: Any = None) -> Tensor:
        """Final hidden states (B, T, C); with a cache, ids go on from the positions it holds."""
        ...

    def new_cache(self) -> Any:
        """An empty store of keys and values, for generation."""
        ...

    def train(self, mode: bool = ..., /) -> Any:  # noqa: FBT001 - torch's own signature
        """Switch dropout on or off."""
        ...


class Task(Protocol):
    """What is learned: where batches come from, what the loss is, and how a model is judged. sample_tokens: predictions of a sample,
    in the mean over an epoch, where they are not equally many."""

    samples_per_epoch: int
    sample_tokens: float | None

    def train_batch(self, first: int, *, count: int) -> Batch:
        """Samples first .. first + count - 1 in the order of the seed, over any number of epochs."""
        ...

    def loss_sum(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss summed over the batch's predictions: a scalar on the device, float32, nats."""
        ...

    def evaluate(
        self,
        model: nn.Module,
        split: str,
        *,
        max_samples: int | None = None,
        workers: Workers = ALONE,
        divided: int = 1,
        between: Callable[[], None] = nothing,
    ) -> Mapping[str, Any]:
        """Sums over a whole split, or over its first samples: numbers, or lists of them, as JSON has them; one transfer from the
        device. workers: who share the work; each calls this, calls the model equally often, and is given the whole sums. divided: by how
        much less is computed at once than usual, as far as it can be. between: called between two batches; what it raises ends the
        evaluation. Whatever is raised, the model is in the mode it was in."""
        ...

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Metrics by their name without the split, from the sums of an evaluation. Which there are depends on the data alone: one whose
        value is not finite is among them."""
        ...

    def examples(self, model: nn.Module, *, count: int, between: Callable[[], None] = nothing) -> list[dict[str, Any]]:
        """Things to look at, the same for the same model. between: called as often as can be; what it raises ends the making of them,
        the model in the mode it was in."""
        ...


@runtime_checkable
class Compared(Protocol):
    """A task that shows baselines beside every model."""

    def baselines(self, split: str) -> list[Any]:
        """Baselines on a whole split (`tasks.contract.Baseline`), computed on the host from the train split and this one."""
        ...


@runtime_checkable
class Signed(Protocol):
    """A task some of whose metrics are computed in one way of several, by someone else's tool."""

    def signatures(self) -> Mapping[str, str]:
        """By metric, in which way, as the tool's authors ask to be told beside it."""
        ...


@runtime_checkable
class Illustrated(Protocol):
    """A task that has figures to show of a model."""

    def figures(
        self, model: nn.Module, split: str, sums: Mapping[str, Any], *, between: Callable[[], None] = nothing
    ) -> list[dict[str, Any]]:
        """Figures for the report, plain JSON, each with id, kind (heatmap, bars, lines, table), title and caption: see
        `report.task_figures`. sums: of the evaluation of that split."""
        ...


@runtime_checkable
class CompiledInBlocks(Protocol):
    """A model that says what of it is compiled. One that does not is compiled in its `blocks`, a ModuleList, else as a whole; what is
    compiled must be called (`block(x)`), and not by another of its methods."""

    def compiled_blocks(self) -> Iterable[nn.Module]:
        """The modules that are compiled, each for itself. Equal ones share their code, so that they cost one compilation."""
        ...


@runtime_checkable
class Described(Protocol):
    """A model that cannot be made anew from its spec alone, or that other tools can load."""

    def description_files(self) -> Mapping[str, bytes]:
        """Contents by name of the files that stand beside its weights in a checkpoint."""
        ...
