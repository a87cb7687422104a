"""Builds the `synthetic` source: a stationary Markov chain, and the entropy that no model of its text can go below.

Legend: K states, D documents of a block.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from specrun.sources.contract import WHOLE, Documents, LoadedText, SourceRequest
from specrun.sources.synthetic.options import Options

ALPHABET = " " + string.ascii_lowercase + string.ascii_uppercase + string.digits + "."
"""Letters by state. A blank is one of them, so that the text has words."""

_FLOOR = 1e-4
"""Weight of the uniform distribution in each row, so that the chain reaches every state and its stationary distribution is one."""
_BLOCK_CHARACTERS = 1 << 20

Matrix = npt.NDArray[np.float64]


def build(options: Options, request: SourceRequest) -> LoadedText:  # noqa: ARG001 - the contract of a source
    """One stretch of documents, each started from the stationary distribution.

    facts: entropy_rate_nats, of a character given the one before; first_character_entropy_nats; entropy_nats_per_character, over
    all characters of the corpus: the least mean loss of a model that sees each document from its start.
    """
    transitions_KK = transitions(options)
    stationary_K = stationary(transitions_KK)
    rate, first = entropy_rate(transitions_KK), _entropy(stationary_K)
    documents = -(-options.characters // options.document_characters)
    facts = {
        "entropy_rate_nats": rate,
        "first_character_entropy_nats": first,
        "entropy_nats_per_character": (documents * first + (options.characters - documents) * rate) / options.characters,
        "documents": documents,
    }
    return LoadedText({WHOLE: Documents(lambda: _documents(options, transitions_KK, stationary_K))}, facts)


def transitions(options: Options) -> Matrix:
    """Rows of a Dirichlet distribution, mixed with a little of the uniform one. Returns: (K, K), rows sum to 1."""
    rows_KK = _generator(options.seed, 0).dirichlet(np.full(options.states, options.concentration), size=options.states)
    return (1 - _FLOOR) * rows_KK + _FLOOR / options.states


def stationary(transitions_KK: Matrix) -> Matrix:
    """The distribution that a step leaves as it is: the solution of pi P = pi, sum(pi) = 1. Returns: (K,)."""
    states = len(transitions_KK)
    equations = np.vstack([transitions_KK.T - np.eye(states), np.ones(states)])
    solution_K = np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0].clip(min=0)
    return np.asarray(solution_K / solution_K.sum())


def entropy_rate(transitions_KK: Matrix) -> float:
    """Entropy of a step given the state before: -sum_i pi_i sum_j P_ij ln P_ij, nats (Cover and Thomas, theorem 4.2.4)."""
    return float(sum(weight * _entropy(row) for weight, row in zip(stationary(transitions_KK), transitions_KK, strict=True)))


def _entropy(distribution_K: Matrix) -> float:
    positive = distribution_K[distribution_K > 0]
    return float(-(positive * np.log(positive)).sum())


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


def _documents(options: Options, transitions_KK: Matrix, stationary_K: Matrix) -> Iterator[str]:
    """Blocks of documents side by side, each block with random numbers of its own."""
    letters_K = np.frombuffer(ALPHABET[: options.states].encode(), np.uint8)
    first_K, cumulative_KK = _cumulative(stationary_K), _cumulative(transitions_KK)
    left, stream = options.characters, 0
    side_by_side = max(1, _BLOCK_CHARACTERS // options.document_characters)
    while left > 0:
        stream += 1
        length = min(options.document_characters, left)
        count = min(side_by_side, -(-left // length))
        uniform = _generator(options.seed, stream)
        state_D = np.searchsorted(first_K, uniform.random(count), side="right")
        states = np.empty((length, count), np.uint8)
        states[0] = state_D
        for step in range(1, length):
            draws_D1 = uniform.random(count)[:, None]
            state_D = (cumulative_KK[state_D] <= draws_D1).sum(axis=1)
            states[step] = state_D
        for lane in range(count):
            kept = min(length, left)
            left -= kept
            yield letters_K[states[:kept, lane]].tobytes().decode("ascii")


def _cumulative(distribution: Matrix) -> Matrix:
    """Sums along the last axis; the last is above every draw, whatever rounding did."""
    sums = np.cumsum(distribution, axis=-1)
    sums[..., -1] = np.inf
    return sums
