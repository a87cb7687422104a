"""One journal line: JSON that carries its own checksum."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from specrun.records.lines import decode_line, encode_line, flag_non_finite, restore_non_finite

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.fixed_dictionaries({"n": st.integers(0, 10**9), "time": st.floats(0, 1e10), "kind": st.just("example"), "data": VALUES})


def same(a: object, b: object) -> bool:
    return json.dumps(a) == json.dumps(b)


@given(PAYLOADS)
def test_a_line_gives_back_what_was_written_non_finite_numbers_included(payload: dict[str, object]) -> None:
    line = encode_line(dict(payload))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert same(decode_line(line), payload)


@given(PAYLOADS)
def test_every_line_is_strict_json(payload: dict[str, object]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(encode_line(dict(payload)), parse_constant=refuse)["kind"] == "example"


@given(PAYLOADS, st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_always_noticed(payload: dict[str, object], place: int, flip: int) -> None:
    line = bytearray(encode_line(dict(payload))[:-1])
    line[place % len(line)] ^= flip
    assert decode_line(bytes(line)) is None


@given(PAYLOADS, st.integers(0, 10**6))
def test_a_shortened_line_is_always_noticed(payload: dict[str, object], length: int) -> None:
    line = encode_line(dict(payload))[:-1]
    assert decode_line(line[: length % len(line)]) is None


def test_a_non_finite_number_is_named_with_its_place() -> None:
    flagged = flag_non_finite({"values": {"train/loss": math.nan, "b": [1.0, -math.inf]}})
    assert flagged == {
        "values": {"train/loss": None, "b": [1.0, None]},
        "non_finite": [(["values", "train/loss"], "nan"), (["values", "b", 1], "-inf")],
    }
    restore_non_finite(flagged)
    assert math.isnan(flagged["values"]["train/loss"])
    assert flagged["values"]["b"] == [1.0, -math.inf]


def test_a_finite_document_is_left_as_it_is() -> None:
    assert flag_non_finite({"a": [1, {"b": 2.5}]}) == {"a": [1, {"b": 2.5}]}
