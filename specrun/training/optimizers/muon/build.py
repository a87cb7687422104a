"""Muon from its options: one optimizer of two rules, every matrix of one shape in one batched iteration."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from specrun.runtime.device import multiplies_float32_exactly
from specrun.runtime.distributed import own, share_like, whole
from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups, hidden_matrices, without
from specrun.training.optimizers.muon.newton_schulz import orthogonalize
from specrun.training.optimizers.muon.options import Options
from specrun.training.optimizers.skipping import found_inf, silence, unless


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products; by itself bfloat16 iterates in
    bfloat16, any other in float32."""
    matrices = hidden_matrices(model)
    rest = without(by_decay(model), matrices)
    ours = {"params": list(matrices), "weight_decay": options.weight_decay, "orthogonal": True}
    scale = options.rest_learning_rate / given(options.learning_rate)
    theirs = groups(rest, options.weight_decay, orthogonal=False, lr_scale=scale, lr=options.rest_learning_rate)
    return Muon([*([ours] if matrices else []), *theirs], options, rows=matrices,
                iterate_in=_iteration_dtype(options, compute_dtype))  # fmt: skip


class Muon(torch.optim.Optimizer):
    """Groups marked `orthogonal` by Muon, the others by AdamW. rows: of the projections that a matrix holds, one below the other."""

    def __init__(
        self, parameter_groups: Iterable[dict[str, Any]], options: Options, *, rows: Mapping[Tensor, tuple[int, ...]],
        iterate_in: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(parameter_groups, {"lr": given(options.learning_rate)})
        self._options = options
        self._rows = rows
        self._iterate_in = iterate_in
        self._exactly = multiplies_float32_exactly()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient once, and use the gradients up."""
        assert closure is None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._step_matrices if group["orthogonal"] else self._step_rest)(parameters, group)

    def _step_matrices(self, parameters: list[Tensor], group: Mapping[str, Any]) -> None:
        skip, rate = found_inf(self), group["lr"]
        self._take_up_gradients(parameters, skip)
        torch._foreach_mul_([own(parameter) for parameter in parameters], unless(skip, 1 - rate * group["weight_decay"], skipped=1.0))
        for together in _together(parameters):
            self._move(together, rate=rate, skip=skip)

    def _move(self, parameters: list[Tensor], *, rate: float, skip: Tensor | None) -> None:
        """Of matrices that several processes share, each works out the whole move and makes its own part of it."""
        options = self._options
        momenta = [whole(tensor) for tensor in (_gradients(parameters) if options.nesterov else self._averages(parameters))]
        moved = [
            parameter if own(parameter) is parameter else torch.zeros_like(m) for parameter, m in zip(parameters, momenta, strict=True)
        ]
        for (rows, columns), (weights, updates) in self._by_shape(parameters, moved, momenta).items():
            stacked_NRC = torch.stack(updates).to(self._iterate_in)
            moves_NRC = orthogonalize(stacked_NRC, options.newton_schulz_steps, exactly=self._exactly).to(weights[0].dtype)
            if skip is not None:
                moves_NRC *= unless(skip, 1.0, skipped=0.0)
            torch._foreach_add_(weights, list(moves_NRC), alpha=-rate * _SCALES[options.adjust](rows, columns))
        for parameter, move in zip(parameters, moved, strict=True):
            if move is not parameter:
                own(parameter).add_(own(share_like(move, parameter)))

    def _take_up_gradients(self, parameters: list[Tensor], skip: Tensor | None) -> None:
        """Into the averages; Nesterov's, which are to be made orthogonal in their stead, are put in the gradients' place."""
        options = self._options
        gradients, averages = ([own(tensor) for tensor in of] for of in (_gradients(parameters), self._averages(parameters)))
        silence(gradients, skip)
        torch._foreach_mul_(averages, unless(skip, options.momentum, skipped=1.0))
        torch._foreach_add_(averages, gradients, alpha=1 - options.momentum)
        if options.nesterov:
            torch._foreach_lerp_(gradients, averages, options.momentum)

    def _averages(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        return [self._state(parameter, orthogonal=True)["momentum_buffer"] for parameter in parameters]

    def _by_shape(
        self, parameters: Sequence[Tensor], moved: Sequence[Tensor], momenta: Sequence[Tensor]
    ) -> dict[tuple[int, int], tuple[list[Tensor], list[Tensor]]]:
        """Projections by their rows and columns: views of what is moved and of what is to be made orthogonal, tall ones on their side."""
        found: dict[tuple[int, int], tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
        for parameter, whole_weight, momentum in zip(parameters, moved, momenta, strict=True):
            parts = list(self._rows[parameter])
            for weight, update in zip(torch.split(whole_weight, parts), torch.split(momentum, parts), strict=True):
                rows, columns = weight.shape
                weights, updates = found[rows, columns]
                weights.append(weight.mT if rows > columns else weight)
                updates.append(update.mT if rows > columns else update)
        return found

    def _state(self, parameter: Tensor, *, orthogonal: bool) -> dict[str, Tensor]:
        if not self.state[parameter]:
            self.state[parameter] = _initial_state(parameter, orthogonal=orthogonal)
        state: dict[str, Tensor] = self.state[parameter]
        return state

    def _step_rest(self, parameters: list[Tensor], group: Mapping[str, Any]) -> None:
        options, states = self._options, [self._state(parameter, orthogonal=False) for parameter in parameters]
        first, second, steps = ([own(state[name]) for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        weights, gradients = [own(parameter) for parameter in parameters], [own(gradient) for gradient in _gradients(parameters)]
        adamw(
            weights, gradients, first, second, [], steps, fused=True, found_inf=found_inf(self), amsgrad=False,
            beta1=options.betas[0], beta2=options.betas[1], lr=group["lr"], weight_decay=group["weight_decay"], eps=options.epsilon,
            maximize=False,
        )  # fmt: skip


_SCALES: dict[str, Callable[[int, int], float]] = {
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


def _iteration_dtype(options: Options, compute_dtype: torch.dtype) -> torch.dtype:
    if options.newton_schulz_precision == "auto":
        return torch.bfloat16 if compute_dtype is torch.bfloat16 else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[options.newton_schulz_precision]


def _together(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Weights that are moved at once: all of them, but of shared ones, which each process gathers whole, one after the other."""
    if alone := [parameter for parameter in parameters if own(parameter) is parameter]:
        yield alone
    yield from ([parameter] for parameter in parameters if own(parameter) is not parameter)


def _initial_state(parameter: Tensor, *, orthogonal: bool) -> dict[str, Tensor]:
    if orthogonal:
        return {"momentum_buffer": torch.zeros_like(parameter)}
    step = torch.zeros((), dtype=torch.float32, device=parameter.device)
    return {"step": step, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
