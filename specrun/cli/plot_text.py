"""A curve in plain characters, for terminals and logs."""

from __future__ import annotations

from collections.abc import Sequence

from specrun.plan import figures

_HEIGHT = 9


def range_lines(rates: Sequence[float], losses: Sequence[float], *, mark: float, columns: int) -> list[str]:
    """Losses over the logarithm of the rate, from the highest of the quiet part down; what diverges leaves at the top.

    mark: the rate to point at from below. columns: width of the whole.
    """
    low, high = min(losses), losses[0]
    high += 0.15 * ((high - low) or abs(high) or 1.0)
    texts = {0: figures.number(high), _HEIGHT - 1: figures.number(low)}
    margin = max(map(len, texts.values())) + 1
    width = max(16, min(columns - margin - 2, len(rates)))
    picked = [round(column * (len(rates) - 1) / max(1, width - 1)) for column in range(width)]
    rows = [min(_HEIGHT - 1, round((high - losses[i]) / (high - low) * (_HEIGHT - 1))) for i in picked]
    lines = [
        f"{texts.get(row, ''):>{margin}} |" + "".join("*" if rows[column] == row else " " for column in range(width)).rstrip()
        for row in range(_HEIGHT)
    ]
    at = min(range(width), key=lambda column: abs(picked[column] - _nearest(rates, mark)))
    first, last = figures.learning_rate(rates[0]), figures.learning_rate(rates[-1])
    indent = " " * (margin + 2)
    lines.append(" " * (margin + 1) + "+" + "-" * at + "^" + "-" * (width - at - 1))
    lines.append(indent + first + last.rjust(width - len(first)))
    return lines


def _nearest(rates: Sequence[float], mark: float) -> int:
    return min(range(len(rates)), key=lambda i: abs(rates[i] - mark))
