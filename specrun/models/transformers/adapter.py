"""What every network of the transformers library is wrapped in: names of weights, checkpoints, layers.

Its weights keep the library's names under `network.`; one that is shared stands in a checkpoint once, by its first name.
Shapes: B rows, T tokens, S positions attended to, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from specrun.errors import SpecrunError
from specrun.models.transformers.configuration import NOTE, PLAIN

_TOLERANCE = 1e-3
"""Of what is computed in two ways, by the largest number of it: sums in another order differ by less, another computation by more."""


class Adapter(nn.Module):
    """A network with what its task computes, which a subclass says. sizes: keywords of the task's interface."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.sizes = dict(sizes)
        self.note: dict[str, Any] = {**PLAIN, **getattr(network.config, NOTE, {})}
        self._first_position = first_position(network)
        self._shared = _shared_names(self)
        self.register_state_dict_post_hook(_leave_out_shared)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_in_shared)  # type: ignore[no-untyped-call]

    def check(self) -> None:
        """Compute a little in two ways. Raises: SpecrunError where they differ, so that the network is not what an adapter takes it for."""

    def description_files(self) -> dict[str, bytes]:
        """What a checkpoint holds beside the weights, by which they can be made use of without the folder that they began in."""
        self.network.config.architectures = [type(self.network).__name__]
        text: str = self.network.config.to_json_string()
        return {"config.json": text.encode()}

    def layers(self) -> list[nn.Module]:
        """Those that the network is a stack of, of all its stacks."""
        from transformers.modeling_layers import GradientCheckpointingLayer

        return [module for module in self.network.modules() if isinstance(module, GradientCheckpointingLayer)]

    @property
    def blocks(self) -> nn.ModuleList | None:
        """The stack of layers, where there is one and no more."""
        layers = set(self.layers())
        stacks = [it for it in self.network.modules() if isinstance(it, nn.ModuleList) and len(it) and layers.issuperset(it)]
        return stacks[0] if len(stacks) == 1 else None

    def compiled_blocks(self) -> Iterable[nn.Module]:
        """Each layer, compiled for itself."""
        return self.layers()

    def checkpoint_activations(self, *, enabled: bool = True) -> None:
        """Keep only each layer's input for the backward pass, and compute the rest a second time there (Chen et al. 2016)."""
        if not self.layers():
            raise SpecrunError(f"{type(self.network).__name__} cannot compute its activations a second time",
                               code="cannot-checkpoint-activations", hint="set hardware.activation_checkpointing: false")  # fmt: skip
        again: Any = partial(checkpoint, use_reentrant=False)
        for layer in self.layers():
            layer.gradient_checkpointing = enabled  # type: ignore[assignment]
            layer._gradient_checkpointing_func = again  # noqa: SLF001 - as the library's own switch sets it
            # What training gives them as a cache holds nothing: see `language.unstored`.
            layer._can_checkpoint_with_cache = True  # type: ignore[assignment] # noqa: SLF001 - the library's switch for it

    def seen(self, lengths_B: Tensor | None, S: int, *, queries: int | None = None) -> Tensor | None:
        """Which positions may be looked at, (B, 1, queries, S), of which the library asks the device nothing; (B, S) for networks that know
        no other form. None: all. queries: positions that look; None: S."""
        if lengths_B is None:
            return None
        kept_BS = torch.arange(S, device=lengths_B.device) < lengths_B[:, None]
        if not self.takes_whole_masks:
            return kept_BS
        return kept_BS[:, None, None, :].expand(-1, 1, S if queries is None else queries, S)

    @property
    def takes_whole_masks(self) -> bool:
        """Whether the network takes a mask of which positions see which, of which the library asks nothing."""
        return bool(self.network.config._attn_implementation == "sdpa")  # noqa: SLF001 - the library has no other name for it

    def positions(self, T: int, start: int = 0) -> dict[str, Tensor]:
        """For networks that would tell positions by which tokens are no padding, whatever else the padding's id stands for here."""
        if self._first_position is None:
            return {}
        begun = self._first_position + start
        return {"position_ids": torch.arange(begun, begun + T, device=self.network.device)[None]}

    def few_ids(self, count: int) -> Tensor:
        """Some tokens, (1, count), to compute with."""
        rows: int = self.network.get_input_embeddings().num_embeddings
        return (torch.arange(count)[None] * 7 + 3) % rows

    def differs(self, one: Tensor, other: Tensor) -> bool:
        """Whether two results are not the same computation."""
        return not torch.allclose(one, other, rtol=0.0, atol=_TOLERANCE * max(1e-3, float(other.abs().max())))


def not_as_taken(network: Any, what: str) -> SpecrunError:
    """The error for a network that is not what an adapter takes it for."""
    return SpecrunError(f"{type(network).__name__} {what}", code="architecture-not-supported",
                        hint="choose a model of another architecture for model.name")  # fmt: skip


def most_positions(network: Any, sizes: Mapping[str, Any], *, around: int = 0) -> int:
    """Longest sequence that a network takes, in tokens; that of the data where there is no such. around: positions not for the text.

    Raises: SpecrunError where it is less than the data's.
    """
    config, wanted = network.config, int(sizes["sequence_length"])
    relative = hasattr(config, "relative_attention_num_buckets")
    most = None if relative else getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return wanted
    most -= (first_position(network) or 0) + around
    if most < wanted:
        raise SpecrunError(f"data.sequence_length {wanted} is more than the {most} positions that the model has for a text",
                           code="sequence-exceeds-positions", hint=f"use data.sequence_length {most} or less")  # fmt: skip
    return most


def first_position(network: Any) -> int | None:
    """The number that positions begin with, in networks that count them from the id of the padding; None for all others."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None and name.endswith("position_embeddings"):
            return module.padding_idx + 1
    return None


def _shared_names(module: nn.Module) -> dict[str, str]:
    """By a further name of a shared parameter, its first."""
    first: dict[int, str] = {}
    found = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if (earlier := first.setdefault(id(parameter), name)) != name:
            found[name] = earlier
    return found


def _leave_out_shared(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    for name in module._shared:  # noqa: SLF001 - its own hook
        state.pop(prefix + name, None)


def _put_in_shared(module: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for name, first in module._shared.items():  # noqa: SLF001 - its own hook
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])
