"""Writes the likeliest targets of a batch of sources: beam search with a cache of keys and values; with one beam it is greedy.

Owns the search over what a model scores; what a model is, and what the ids mean, is others' business.
Shapes: N sentences, W beams each, R = N x W rows, T tokens written, S source positions, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.runtime.device import Device
from specrun.runtime.interfaces import EncoderDecoder
from specrun.runtime.protocols import nothing

_ASK_EVERY = 4
"""Steps between two questions to the device about which sentences are finished: each makes the host wait for it."""
_DEAD = -torch.inf


@dataclass(frozen=True, slots=True)
class Search:
    """beams: kept for each sentence. length_penalty: a finished target's score is its log-probability over its length to this power
    (Wu et al. 2016, without their constant); 0 takes the likeliest, more prefers longer ones."""

    beams: int = 4
    length_penalty: float = 1.0


@dataclass(slots=True)
class _State:
    """Of the sentences that are not finished. which: their numbers. limits: (N,); live: (N, W), log-probabilities of
    their beams; written: (N, W, T), their tokens; best: (N,), score of the best finished target, best_target its tokens, (N, T), and
    length how many these are, (N,); ended: (N,), finished targets so far."""

    which: Tensor
    limits: Tensor
    live: Tensor
    written: Tensor
    best: Tensor
    best_target: Tensor
    length: Tensor
    ended: Tensor


@torch.no_grad()
def search(
    model: EncoderDecoder,
    sources_NS: Tensor,
    lengths_N: Tensor,
    limits_N: Tensor,
    *,
    how: Search,
    longest: int,
    start_id: int,
    end_id: int,
    vocab_size: int,
    device: Device,
    between: Callable[[], None] = nothing,
) -> list[list[int]]:
    """The best target found for each source, without start and end. Sources, their lengths and limits on the device.

    limits: most tokens of each target, its end counted; longest: of them, on the host. A target that is not finished by then counts as
    it is. A sentence is finished once as many targets are as it has beams, or none of the others can become better. With as many beams
    as there are targets this is an exhaustive search. vocab_size: ids beyond it, which only pad the embedding, are never written.
    between: called before each token. The model is expected in evaluation mode.
    """
    N, W = len(sources_NS), how.beams
    rows_R = torch.arange(N, device=sources_NS.device).repeat_interleave(W)
    with device.autocast():
        memory_RSC = model.encode(sources_NS, lengths_N)[rows_R]
    lengths_R, cache = lengths_N[rows_R], model.new_cache()
    state, found = _begin(N, W, limits_N, longest=longest), _Found.of(N, longest, limits_N)
    tokens_R = torch.full_like(rows_R, start_id)
    for step in range(longest):
        between()
        with device.autocast():
            hidden_RC = model.decode(tokens_R[:, None], memory_RSC, lengths_R, cache)[:, -1]
            logits_RV = F.linear(hidden_RC, model.head_VC)[:, :vocab_size]
        scores_NWV = F.log_softmax(logits_RV.float(), dim=-1).view(len(state.which), W, -1)
        parents_NW, tokens_NW = _advance(state, scores_NWV, step=step, end_id=end_id, how=how)
        first_N1 = torch.arange(len(state.which), device=rows_R.device)[:, None] * W
        rows_R, tokens_R = (first_N1 + parents_NW).flatten(), tokens_NW.flatten()
        if (step + 1) % _ASK_EVERY == 0 or step + 1 == longest:
            done_N = _finished(state, step=step, how=how)
            kept = np.flatnonzero(device.to_host(done_N).view(np.bool_) == 0)
            found.keep(state)
            if not len(kept) or step + 1 == longest:
                break
            if len(kept) < len(state.which):
                index = device.transfer(kept)
                chosen_R = (index[:, None] * W + torch.arange(W, device=index.device)).flatten()
                rows_R, tokens_R = rows_R[chosen_R], tokens_R[chosen_R]
                state = _only(state, index)
                memory_RSC, lengths_R = memory_RSC[chosen_R], lengths_R[chosen_R]
        if W > 1 or len(rows_R) < N * W:
            cache.reorder(rows_R)
            N = len(rows_R) // W
    return found.texts(device)


@dataclass(slots=True)
class _Found:
    """The best targets of all sentences so far. tokens: (N, T); lengths: (N,)."""

    tokens: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, sentences: int, longest: int, like: Tensor) -> _Found:
        return cls(like.new_zeros((sentences, longest)), like.new_zeros(sentences))

    def keep(self, state: _State) -> None:
        """Take over what has been found for the sentences that are at work."""
        self.tokens[state.which] = state.best_target
        self.lengths[state.which] = state.length

    def texts(self, device: Device) -> list[list[int]]:
        N, longest = self.tokens.shape
        both = device.to_host(torch.cat((self.tokens, self.lengths[:, None]), dim=1)).view(np.int64).reshape(N, longest + 1)
        return [row[: row[-1]].tolist() for row in both]


def _begin(sentences: int, beams: int, limits_N: Tensor, *, longest: int) -> _State:
    live_NW = torch.full((sentences, beams), _DEAD, device=limits_N.device)
    live_NW[:, 0] = 0.0  # all beams are alike at first: one of them goes on
    return _State(
        which=torch.arange(sentences, device=limits_N.device),
        limits=limits_N,
        live=live_NW,
        written=limits_N.new_zeros((sentences, beams, longest)),
        best=torch.full((sentences,), _DEAD, device=limits_N.device),
        best_target=limits_N.new_zeros((sentences, longest)),
        length=limits_N.new_zeros(sentences),
        ended=limits_N.new_zeros(sentences),
    )


def _advance(state: _State, scores_NWV: Tensor, *, step: int, end_id: int, how: Search) -> tuple[Tensor, Tensor]:
    """Add a token to each beam. Returns, for each beam, the one that it goes on from, and its token; both (N, W)."""
    N, W, V = scores_NWV.shape
    totals_NX = (state.live[:, :, None] + scores_NWV).view(N, W * V)
    # Each beam can end in one way only, so that among twice as many there are enough that go on.
    ranked_NX, at_NX = totals_NX.topk(min(2 * W, W * V), dim=1)
    ends_NX = at_NX % V == end_id
    last_N1 = (step + 1 >= state.limits)[:, None]
    counts_NX = torch.arange(ranked_NX.shape[1], device=at_NX.device) < W
    targets_NX = ranked_NX.masked_fill(~((ends_NX | last_N1) & counts_NX), _DEAD)
    _remember(state, targets_NX, at_NX, step=step, V=V, end_id=end_id, how=how)
    live_NX = ranked_NX.masked_fill(ends_NX | last_N1, _DEAD)
    state.live, order_NW = live_NX.topk(W, dim=1)
    chosen_NW = at_NX.gather(1, order_NW)
    parents_NW, tokens_NW = chosen_NW // V, chosen_NW % V
    state.written = state.written.gather(1, parents_NW[:, :, None].expand_as(state.written))
    state.written[:, :, step] = tokens_NW
    return parents_NW, tokens_NW


def _remember(state: _State, targets_NX: Tensor, at_NX: Tensor, *, step: int, V: int, end_id: int, how: Search) -> None:
    """Take the best target that has just been finished, where it is better than those before and its sentence is not finished."""
    targets_NX = targets_NX.masked_fill((state.ended >= state.live.shape[1])[:, None], _DEAD)
    state.ended = state.ended + (targets_NX > _DEAD).sum(1)
    best_N, place_N = (targets_NX / (step + 1) ** how.length_penalty).max(1)
    better_N = best_N > state.best
    chosen_N = at_NX.gather(1, place_N[:, None]).squeeze(1)
    parent_N, token_N = chosen_N // V, chosen_N % V
    tokens_NT = state.written.gather(1, parent_N[:, None, None].expand(-1, 1, state.written.shape[2])).squeeze(1)
    tokens_NT[:, step] = token_N
    state.best = torch.where(better_N, best_N, state.best)
    state.best_target = torch.where(better_N[:, None], tokens_NT, state.best_target)
    state.length = torch.where(better_N, step + (token_N != end_id).long(), state.length)


def _finished(state: _State, *, step: int, how: Search) -> Tensor:
    """Which sentences are: (N,), bool."""
    W = state.live.shape[1]
    # Log-probabilities only fall, and no length weighs less than the longest.
    hope_N = state.live.amax(1) / state.limits**how.length_penalty
    return (step + 1 >= state.limits) | (state.ended >= W) | (state.best >= hope_N)


def _only(state: _State, index: Tensor) -> _State:
    """The state of some of the sentences."""
    return _State(*(getattr(state, name)[index] for name in _State.__slots__))
