"""Diagnostics in the forms that people and tools read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from specrun.spec.diagnostics import Diagnostic, errors, ordered
from specrun.spec.render import render_text, summary
from specrun.spec.renderers.github import render_github
from specrun.spec.renderers.gitlab import render_gitlab
from specrun.spec.renderers.json import render_json
from specrun.spec.renderers.junit import render_junit
from specrun.spec.renderers.sarif import render_sarif
from tests.spec.specs import MINIMAL, check

FIELDS = ("file", "line", "column", "end_line", "end_column", "path", "code", "severity", "message", "hint")


def diagnostic(**changes: object) -> Diagnostic:
    values: dict[str, object] = {
        "file": "a.yaml",
        "line": 2,
        "column": 3,
        "end_line": 2,
        "end_column": 6,
        "path": "x.y",
        "code": "out-of-range",
        "severity": "error",
        "message": "x.y is 3; it must be 4",
        "hint": "use 4",
        "source_line": "  abc: 3",
    }
    return Diagnostic(**(values | changes))  # type: ignore[arg-type]


def test_text_shows_the_line_a_caret_and_the_remedy() -> None:
    assert render_text([diagnostic()]) == "a.yaml:2:3 out-of-range: x.y is 3; it must be 4\n    2 |   abc: 3\n      |   ^^^ use 4"


def test_text_without_a_source_line_is_one_line() -> None:
    assert render_text([diagnostic(source_line=None)]) == "a.yaml:2:3 out-of-range: x.y is 3; it must be 4; use 4"
    assert render_text([diagnostic(source_line="", hint=None)]) == "a.yaml:2:3 out-of-range: x.y is 3; it must be 4"


def test_warnings_say_so() -> None:
    assert render_text([diagnostic(severity="warning")]).startswith("a.yaml:2:3 warning: out-of-range: ")


def test_colour_is_only_used_when_asked_for() -> None:
    assert "\x1b" not in render_text([diagnostic()])
    assert "\x1b[1;31mout-of-range\x1b[0m" in render_text([diagnostic()], color=True)


def test_the_caret_stands_under_wide_characters() -> None:
    text = render_text([diagnostic(source_line="名前: ええ", column=5, end_column=7)])
    line, caret = text.splitlines()[1:]
    assert line == "    2 | 名前: ええ"
    assert caret == "      |       ^^^^ use 4"


def test_a_long_line_is_cut_around_the_place() -> None:
    text = render_text([diagnostic(source_line="x" * 5000 + "BAD" + "y" * 5000, column=5001, end_column=5004)])
    line, caret = text.splitlines()[1:]
    assert len(line) < 200
    assert line[caret.index("^") : caret.rindex("^") + 1] == "BAD"


def test_a_value_over_several_lines_is_marked_to_the_end_of_the_first() -> None:
    assert "^^^^^^" in render_text([diagnostic(end_line=4, end_column=1)])


@pytest.mark.parametrize("field", ["file", "message", "hint", "source_line"])
def test_no_text_of_a_spec_commands_the_terminal(field: str) -> None:
    assert "\x1b" not in render_text([diagnostic(**{field: "a\x1b[2Jb\u202e"})])
    assert "\u202e" not in render_text([diagnostic(**{field: "a\x1b[2Jb\u202e"})])


@pytest.mark.parametrize(
    ("severities", "files", "text"),
    [
        ([], ["a.yaml"], "a.yaml is valid"),
        ([], ["a.yaml", "b.yaml"], "2 files are valid"),
        (["warning"], ["a.yaml"], "a.yaml is valid, 1 warning"),
        (["error"], ["a.yaml"], "1 error in 1 file"),
        (["error", "error", "warning", "info"], ["a.yaml"], "2 errors, 1 warning in 1 file"),
        (["error"], ["a.yaml", "b.yaml", "c.yaml"], "1 error in 1 of 3 files"),
    ],
)
def test_the_last_line_sums_up(severities: list[str], files: list[str], text: str) -> None:
    assert summary([diagnostic(severity=s) for s in severities], files) == text


def test_json_is_the_documented_document() -> None:
    document = json.loads(render_json([diagnostic(), diagnostic(severity="warning", hint=None)]))
    assert (document["format_version"], document["valid"], document["error_count"], document["warning_count"]) == (1, False, 1, 1)
    assert [tuple(d) for d in document["diagnostics"]] == [FIELDS, FIELDS]
    assert json.loads(render_json([]))["valid"] is True


def test_github_commands_are_escaped() -> None:
    line = render_github([diagnostic(file="a,b:c.yaml", message="50%\nmore", hint=None)])
    assert line == "::error file=a%2Cb%3Ac.yaml,line=2,endLine=2,col=3,endColumn=6,title=out-of-range::50%25%0Amore"
    assert render_github([diagnostic(severity="warning")]).startswith("::warning ")
    assert "col=" not in render_github([diagnostic(severity="info", end_line=3)])


@given(st.text(), st.text())
def test_a_github_command_is_one_line_whatever_a_spec_says(message: str, file: str) -> None:
    line = render_github([diagnostic(message=message, file=file)])
    assert "\n" not in line
    assert "\r" not in line
    assert line.count("::") >= 2


def test_gitlab_fingerprints_are_distinct_and_survive_moved_lines() -> None:
    def fingerprints(*found: Diagnostic) -> list[str]:
        return [issue["fingerprint"] for issue in json.loads(render_gitlab(found))]

    assert fingerprints(diagnostic()) == fingerprints(diagnostic(line=9, end_line=9))
    assert len(set(fingerprints(diagnostic(), diagnostic(), diagnostic(code="tab")))) == 3
    (issue,) = json.loads(render_gitlab([diagnostic()]))
    assert issue["location"] == {"path": "a.yaml", "lines": {"begin": 2, "end": 2}}
    assert (issue["severity"], issue["check_name"]) == ("major", "out-of-range")


def test_sarif_has_a_rule_a_code_and_a_region_a_result() -> None:
    document = json.loads(render_sarif([diagnostic(), diagnostic(code="tab", severity="info", hint=None)]))
    (run,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["out-of-range", "tab"]
    assert [result["level"] for result in run["results"]] == ["error", "note"]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 6}


@given(st.text(min_size=1))
@example("my specs/a%20:b#1.yaml")
def test_sarif_names_a_file_by_a_uri_that_reads_back(file: str) -> None:
    (result,) = json.loads(render_sarif([diagnostic(file=file)]))["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri)
    assert unquote(uri) == file


@given(st.text(alphabet=st.characters(exclude_categories=[])))
@example("a\x01b\ud800\ufffe")
def test_junit_is_well_formed_whatever_a_spec_says(text: str) -> None:
    root = ElementTree.fromstring(render_junit([diagnostic(message=text, path=text, hint=text)], ["a.yaml", "b.yaml"]))
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
    assert [suite.attrib["name"] for suite in root] == ["a.yaml", "b.yaml"]


def test_junit_counts_warnings_as_passed() -> None:
    root = ElementTree.fromstring(render_junit([diagnostic(severity="warning")], ["a.yaml"]))
    assert root.attrib["failures"] == "0"
    assert root.find("*/*/system-out") is not None


@given(st.permutations([diagnostic(), diagnostic(line=1), diagnostic(file="b"), diagnostic(severity="warning"), diagnostic(code="b")]))
def test_the_order_does_not_depend_on_the_order_of_finding(found: list[Diagnostic]) -> None:
    assert ordered(found) == ordered(reversed(found))
    assert ordered([*found, *found]) == ordered(found)
    assert errors(found) == tuple(d for d in found if d.severity == "error")


@pytest.mark.parametrize(
    "render", [render_json, render_github, render_gitlab, render_sarif, lambda d: render_junit(d, ["a.yaml"]), render_text]
)
def test_the_same_findings_give_the_same_bytes(render: Callable[[object], str]) -> None:
    found = check(MINIMAL + "a: 1\nschedule: {duration: x}\n").diagnostics
    assert render(found) == render(found)
    assert "out-of" not in render(())
