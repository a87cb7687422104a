"""Says what is wrong with a text that is not YAML, at the line that a person has to change."""

from __future__ import annotations

import re
from itertools import pairwise

import yaml

from specrun.spec.findings import Findings, at
from specrun.spec.indentation import odd_line
from specrun.spec.nodes import Source

_REMEDIES = (
    ("unknown escape character", "unknown-escape", "the escape after \\ is not known", 'use \\\\ for a backslash, or single quotes'),
    ("unknown directive", "yaml-directive", "directives are not allowed; a spec is read as YAML 1.2",
     "remove the line and the --- after it"),
    ("found unexpected end of stream", "unclosed", "the text ends before a quote or bracket is closed", "close it"),
    ("while scanning a quoted scalar", "unclosed", "a quote is not closed", "close it at the end of the value"),
    ("did not find expected ',' or ']'", "unclosed", "a list is not closed, or a comma is missing", "add the , or the ]"),
    ("did not find expected ',' or '}'", "unclosed", "a mapping is not closed, or a comma is missing", "add the , or the }"),
    ("mapping values are not allowed", "wrong-indent", "a key stands where none may be: its indentation does not match the keys above",
     "give it the same indentation as its neighbours; quote a value that contains a colon and a space"),
    ("could not find expected ':'", "missing-colon", "a key without a colon", "write key: value"),
    ("did not find expected <document start>", "wrong-indent", "the line is indented less than the ones above",
     "give it the same indentation as its neighbours"),
    ("did not find expected key", "wrong-indent", "the indentation matches no level above",
     "give it the same indentation as its neighbours"),
    ("did not find expected '-' indicator", "wrong-indent", "a key stands among the items of a list", "indent it, or end the list before"),
    ("while parsing a flow", "unclosed", "a list or mapping in brackets is not closed, or something stands in it that may not",
     "close it; quote a value that begins with a sign"),
    ("block sequence entries are not allowed", "wrong-indent", "a list item stands where none may be", "put it on a line of its own"),
)  # fmt: skip

_CLOSES = {"[": "]", "{": "}"}
_QUOTES = ("'", '"')
_LONGEST = 60
"""Characters of a line that a hint repeats."""


def report_syntax_error(error: yaml.MarkedYAMLError, source: Source, findings: Findings) -> None:
    """Turn an error of the parser into a diagnostic. Where indentation is at fault, the line with the odd one is named."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    line = min(line, len(source.lines))  # the end of the text is a line further on
    text = source.line(line) or ""
    if text[column - 1 : column] == "\t" or "\t" in text[: len(text) - len(text.lstrip())]:
        return  # check_tabs names the tab itself
    said = f"{error.context or ''}; {error.problem or ''}"
    for pattern, code, message, hint in _REMEDIES:
        if pattern in said:
            if code == "yaml-directive":
                column = 1
            if code in {"unclosed", "missing-colon"} and error.context_mark:
                line, column = min(error.context_mark.line + 1, len(source.lines)), error.context_mark.column + 1
            if code == "wrong-indent":
                line = odd_line(source.lines, line)
                text = source.line(line) or ""
                column = len(text) - len(text.lstrip()) + 1
            as_in = _how_to_close((source.line(line) or "")[column - 1 :]) if code == "unclosed" else None
            findings.add(at(source, line, column, _word(source, line, column)), code, message, hint=as_in or hint)
            return
    what = error.problem or "it cannot be parsed"
    findings.add(at(source, line, column), "not-yaml", f"this is not YAML: {what}", hint="quote the value if it is text")


def _how_to_close(text: str) -> str | None:
    """What a person may write for the rest of a line, whose first character opens something; None where it is not that alone."""
    text = text.rstrip().rstrip("]}," if text[:1] in _QUOTES else ",")
    closed = text + _closing(text)
    if closed == text or not 1 < len(text) <= _LONGEST:
        return None
    try:
        yaml.compose(closed, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    return f"close it, as in {closed}"


def _closing(text: str) -> str:
    """The characters that close what is open at the end of a text. A quote inside a word opens nothing."""
    if text[:1] in _QUOTES:
        return text[0]
    wanted = ""
    for before, character in pairwise(f" {text}"):
        if character == wanted[:1]:
            wanted = wanted[1:]
        elif wanted[:1] not in _QUOTES and (character in "[{" or (character in _QUOTES and before in " [{,:")):
            wanted = _CLOSES.get(character, character) + wanted
    return wanted


def _word(source: Source, line: int, column: int) -> int:
    match = re.match(r"[\w.-]+", (source.line(line) or "")[column - 1 :])
    return len(match[0]) if match else 1
