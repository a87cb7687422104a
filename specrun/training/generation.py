"""Continues a sequence of tokens: temperature, top-k, a cache of keys and values, a generator of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.runtime.device import Device
from specrun.runtime.protocols import LanguageModel, nothing


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. temperature: 0 takes the likeliest. top_k: only among the k likeliest; None: all."""

    temperature: float = 0.8
    top_k: int | None = 50
    seed: int = 0


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    *,
    tokens: int,
    sampling: Sampling,
    device: Device,
    stop_id: int | None = None,
    vocab_size: int | None = None,
    use_cache: bool = True,
    between: Callable[[], None] = nothing,
) -> Iterator[int]:
    """Yield up to `tokens` ids after `prompt` (one id at least), ending before `stop_id`, and where the model's scores are not finite.
    vocab_size: ids beyond it, which only pad the embedding, are never drawn. Where the model's positions are used up it goes on from
    their later half. between: called before each token; what it raises ends the text.
    """
    assert prompt, "generation starts from one token at least"
    generator = torch.Generator().manual_seed(sampling.seed)
    was_training = model.training
    model.train(False)
    try:
        context = list(prompt[-model.max_positions :])
        cache, fresh = model.new_cache(), context
        for _ in range(tokens):
            between()
            with torch.no_grad(), device.autocast():
                ids = device.transfer(np.asarray([fresh if use_cache else context], dtype=np.int64))
                hidden = model.hidden(ids, cache if use_cache else None)
                logits = F.linear(hidden[0, -1], model.head_VC)[:vocab_size].float()
            token = draw(torch.from_numpy(device.to_host(logits)).view(torch.float32), sampling, generator)
            if token is None or token == stop_id:
                return
            yield token
            context.append(token)
            fresh = [token]
            if len(context) > model.max_positions:
                context = context[-max(1, model.max_positions // 2) :]
                cache, fresh = model.new_cache(), context
    finally:
        model.train(was_training)


def draw(logits_V: Tensor, sampling: Sampling, generator: torch.Generator) -> int | None:
    """One token id from logits on the host; None where one is NaN or infinite, so that they are no probabilities."""
    if not logits_V.max().isfinite():
        return None
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    logits_V = logits_V / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(logits_V):
        threshold = logits_V.topk(sampling.top_k).values[-1]
        logits_V = logits_V.masked_fill(logits_V < threshold, -torch.inf)
    return int(torch.multinomial(F.softmax(logits_V, dim=-1), 1, generator=generator))
