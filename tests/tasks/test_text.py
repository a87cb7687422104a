"""Text as it is written: in any pieces the whole, and never half a character."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from specrun.tasks.causal_lm.text import stream_text


def decode(ids: Sequence[int]) -> str:
    """Bytes as tokens; an unfinished character shows as a replacement character."""
    return bytes(ids).decode("utf-8", "replace")


@given(prompt=st.text(max_size=12), text=st.text(max_size=30))
def test_the_pieces_are_the_text_and_no_piece_ends_inside_a_character(prompt: str, text: str) -> None:
    text = text.replace("\N{REPLACEMENT CHARACTER}", "?")
    pieces = list(stream_text(decode, list(prompt.encode()), list(text.encode())))
    assert "".join(pieces) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert len(pieces) == len(text)


def test_a_character_that_is_never_finished_is_shown_at_the_end() -> None:
    assert list(stream_text(decode, [65], [66, 0xC3])) == ["B", "\N{REPLACEMENT CHARACTER}"]


def test_the_cost_of_a_token_does_not_grow_with_the_text() -> None:
    sizes = []

    def counting(ids: Sequence[int]) -> str:
        sizes.append(len(ids))
        return decode(ids)

    assert "".join(stream_text(counting, [97] * 5000, [98] * 3000)) == "b" * 3000
    assert max(sizes) < 12


def test_nothing_written_is_no_text() -> None:
    assert list(stream_text(decode, [65], [])) == []
