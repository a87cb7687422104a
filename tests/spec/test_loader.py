"""The guards of the loader: what is refused, and where it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.spec.assembly import check_bytes, check_spec
from specrun.spec.builder import MAX_DEPTH, MAX_NODES
from specrun.spec.findings import MAX_FINDINGS, Findings
from specrun.spec.loader import load_node
from specrun.spec.nodes import Source, plain
from specrun.spec.text import MAX_BYTES, split_lines


def found(data: str | bytes) -> list[tuple[str, int, int]]:
    """Code, line and column of everything the loader finds, and no other finding."""
    raw = data.encode() if isinstance(data, str) else data
    return [(d.code, d.line, d.column) for d in check_bytes(raw, "a.yaml").diagnostics]


def value_of(text: str) -> object:
    findings = Findings()
    node = load_node(text, Source("file", "a.yaml", split_lines(text)), findings)
    assert node is not None, findings.ordered()
    return plain(node)


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        ("", "empty-spec", 1, 1),
        ("# only a comment\n", "empty-spec", 1, 1),
        ("- a\n- b\n", "not-a-mapping", 1, 1),
        ("just text\n", "not-a-mapping", 1, 1),
        (b"version: 1\nname: \xff\n", "not-utf8", 2, 7),
        ("version: 1\n".encode("utf-16"), "not-utf8", 1, 1),
        ("version: 1\nname: a\x00b\n", "control-character", 2, 8),
        ("version: 1\nname: a\x1bb\n", "control-character", 2, 8),
        ("name: a\u2028b: c\n", "control-character", 1, 8),
        ("name: a\n---\nname: b\n", "several-documents", 2, 1),
        ("%YAML 1.1\n---\nname: a\n", "yaml-directive", 1, 1),
        ("%TAG ! tag:x,2000:\n---\nname: a\n", "yaml-directive", 1, 1),
        ("%FOO bar\n---\nname: a\n", "yaml-directive", 1, 1),
        ("name: [1, 2\nseeds: 3\n", "unclosed", 1, 7),
        ('name: "a\nversion: 1\n', "unclosed", 1, 7),
        ('name: "\\q"\n', "unknown-escape", 1, 8),
        ("name: @a\n", "not-yaml", 1, 7),
        ("name: a\nversion\n", "missing-colon", 2, 1),
        ("a: {b: *c}\n", "undefined-alias", 1, 8),
        ("a: &x [1, *x]\n", "alias-cycle", 1, 11),
        ("a: &x {<<: *x}\n", "alias-cycle", 1, 12),
        ("name:\n\ta: 1\n", "tab", 2, 1),
    ],
)
def test_what_is_no_spec_is_told_at_its_place(data: str | bytes, code: str, line: int, column: int) -> None:
    assert (code, line, column) in found(data)


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("name: a\nname: b", "duplicate-key", 1),
        ("description: !!str 3", "tag", 14),
        ("description: !python/object:os.system x", "tag", 14),
        ("? [a]\n: 1", "key-not-text", 3),
        ("1: x", "key-not-text", 1),
        ("null: x", "key-not-text", 1),
        ("tags:\t[a]", "tab", 6),
        ("tags: [a,\tb]", "tab", 10),
        ("<<: 3", "merge-not-a-mapping", 1),
        ("seeds: [" + "1" * 400 + "]", "number-too-long", 9),
    ],
)
def test_a_guard_points_at_its_key_or_value(line: str, code: str, column: int) -> None:
    codes = [(c, col) for c, _, col in found(f"version: 1\n{line}\n")]
    assert (code, column) in codes


def test_several_guards_speak_at_once() -> None:
    codes = {code for code, _, _ in found("name: a\nname: b\ntask: !x {kind: causal_lm}\nseeds:\t[0]\n")}
    assert {"duplicate-key", "tag", "tab"} <= codes


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: [0, 1\nb: 2\n", "close it, as in [0, 1]"),
        ("a: {b: 1\nc: 2\n", "close it, as in {b: 1}"),
        ("a: [{b: [1, 2\nc: 2\n", "close it, as in [1, 2]"),
        ('a: "b\nc: 2\n', 'close it, as in "b"'),
        ('a: [b, "c]\n', 'close it, as in "c"'),
        ("a: [it's, b\nc: 2\n", "close it, as in [it's, b]"),
        ("a: [0, 1 # b\nc: 2\n", "add the , or the ]"),
        ("a: [1 {\nc: 2\n", "add the , or the ]"),
        ("a: [" + "1, " * 50 + "1\nb: 2\n", "add the , or the ]"),
    ],
)
def test_what_is_not_closed_is_shown_closed_where_that_makes_it_yaml(text: str, hint: str) -> None:
    (first, *_) = check_bytes(text.encode(), "a.yaml").diagnostics
    assert (first.code, first.hint) == ("unclosed", hint)


@pytest.mark.parametrize("text", ["a: 'x\ty'", 'a: "x\ty"', "a: |\n  x\ty\n", "a: b # x\ty", "# a\tb\na: b", "a: >-\n  x\n  \ty\n"])
def test_tabs_inside_texts_and_comments_are_text(text: str) -> None:
    assert "tab" not in [code for code, _, _ in found(text)]


def test_a_byte_order_mark_is_no_content() -> None:
    assert check_bytes(b"\xef\xbb\xbfversion: 2\n", "a.yaml").diagnostics[0].column == 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_count_the_same_whatever_ends_them(ending: str) -> None:
    assert ("duplicate-key", 3, 1) in found(ending.join(["version: 1", "name: a", "name: b", ""]))


def test_a_file_too_large_is_not_parsed() -> None:
    assert found(b"a: " + b"x" * MAX_BYTES) == [("file-too-large", 1, 1)]


@pytest.mark.parametrize("text", ["[" * 200, "{a: " * 200, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 200)), "- " * 200])
def test_depth_is_bounded(text: str) -> None:
    assert "too-deep" in [code for code, _, _ in found(text)]


def test_depth_counts_what_aliases_bring() -> None:
    half = MAX_DEPTH // 2 + 1
    text = f"a: &a {'[' * half}{']' * half}\nb: {'[' * half}*a{']' * half}\n"
    assert "too-deep" in [code for code, _, _ in found(text)]
    assert "too-deep" not in [code for code, _, _ in found(f"a: {'[' * (MAX_DEPTH - 1)}{']' * (MAX_DEPTH - 1)}")]


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    bomb = "a0: &a0 [" + ",".join("x" * 9) + "]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    codes = [code for code, _, _ in found(bomb)]
    assert "alias-bomb" in codes
    assert len(bomb) < 500
    assert MAX_NODES < 9**9


def test_findings_are_bounded() -> None:
    assert len(found("".join(f"k{i}: 1\n" for i in range(3000)))) <= MAX_FINDINGS


_MB = MAX_BYTES - 100


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n}: 1\n" for n in range(40_000)),
        "".join(f"{'k' * 300}{n}: 1\n" for n in range(3000)),
        "a: 'x'\n" + "\t" * _MB,
        "a: [" + "'\t'," * (_MB // 5),
        "# " + "\t#" * (_MB // 2),
        "{" * _MB,
        "a:\n" + "  b: [\n" * (_MB // 7),
        "a: " + "x" * _MB + "\n b: 1\n",
        "expect: [" + "a/" * (_MB // 2) + "]",
        "schedule: {duration: " + "9" * (_MB - 30) + " steps}",
        "schedule: {duration: '" + "9" * (_MB - 40) + " steps'}",
        "hardware: {memory: '" + "9" * (_MB - 40) + " GiB'}",
        "&a " * 1000 + "x",
        "\x07" * _MB,
        "\r" * _MB,
        "a: *x\n" * 1000,
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_a_hostile_file_is_answered_at_once(text: str) -> None:
    assert check_bytes(text.encode(), "a.yaml").loaded is None


def test_aliases_and_merge_keys_give_the_values_they_name() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\none: {<<: *b, y: 9}\ntwo: {<<: [*b, *o]}\nlist: [*b, 5]\n'<<': kept\n"
    value = value_of(text)
    assert isinstance(value, dict)
    assert value["one"] == {"y": 9, "x": 1}
    assert value["two"] == {"x": 1, "y": 2, "z": 4}
    assert value["list"] == ({"x": 1, "y": 2}, 5)
    assert value["<<"] == "kept"


def test_types_are_those_of_yaml_1_2() -> None:
    assert value_of("a: no\nb: 'no'\nc: 1e-4\nd: 0o10\ne: |\n  1\nf:\n") == {"a": "no", "b": "no", "c": 1e-4, "d": 8, "e": "1\n", "f": None}


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_random_bytes_are_answered_with_diagnostics(data: bytes) -> None:
    checked = check_bytes(data, "a.yaml")
    assert checked.loaded is None
    assert checked.diagnostics


_PIECES = st.sampled_from(
    [
        "version: 1",
        "name: a",
        "task:",
        "  kind: causal_lm",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "<<: *a",
        "- ",
        ": ",
        "!!x",
        "'",
        '"',
        "|",
        ">",
        "#",
        "?",
        "\t",
        "---",
        "...",
        "%YAML 1.2",
        "data:",
        "seeds: [0]",
        "model: {kind: gpt}",
        "schedule: {duration: 3}",
        "extends: a.yaml",
        "preset: fast",
    ]
)


@given(st.lists(st.tuples(_PIECES, st.sampled_from(["\n", " ", "\n  ", "", ", "])), max_size=25))
@settings(max_examples=400)
def test_random_yaml_is_answered_with_diagnostics(pieces: list[tuple[str, str]]) -> None:
    text = "".join(piece + separator for piece, separator in pieces)
    checked = check_bytes(text.encode(), "a.yaml", folder=Path("nowhere"))
    lines = split_lines(text)
    assert checked.loaded is None
    assert checked.diagnostics
    assert all(1 <= d.line <= len(lines) and d.column >= 1 for d in checked.diagnostics if d.file == "a.yaml")


def test_an_endless_file_is_too_large_and_not_read_to_its_end() -> None:
    checked = check_spec("/dev/zero")
    assert [d.code for d in checked.diagnostics] == ["file-too-large"]
