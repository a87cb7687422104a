"""SARIF, GitLab's code quality and JUnit: what their published schemas require is there, whatever was found.

Each schema is the part that these forms touch, as published: SARIF 2.1.0 (OASIS), GitLab's documentation of code quality reports,
Jenkins' junit-10.xsd.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.diagnostics import Diagnostic
from specrun.spec.renderers.gitlab import render_gitlab
from specrun.spec.renderers.junit import render_junit
from specrun.spec.renderers.sarif import render_sarif
from tests.spec.broken import BROKEN
from tests.spec.specs import check

jsonschema = pytest.importorskip("jsonschema")

TEXT = {"type": "string", "minLength": 1}
FROM_ONE = {"type": "integer", "minimum": 1}


def record(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required), "additionalProperties": False}


def items(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema, **more}


REGION = record({"startLine": FROM_ONE}, startColumn=FROM_ONE, endLine=FROM_ONE, endColumn=FROM_ONE)
RESULT = record(
    {"message": record({"text": {"type": "string"}})},
    ruleId={"type": "string"},
    level={"enum": ["none", "note", "warning", "error"]},
    locations=items(record({}, physicalLocation=record({}, artifactLocation=record({}, uri={"type": "string"}), region=REGION))),
)
RULES = items(record({"id": {"type": "string"}}), uniqueItems=True)
RUN = record(
    {"tool": record({"driver": record({"name": {"type": "string"}}, version={"type": "string"}, rules=RULES)})},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=items(RESULT),
)
SARIF = record({"version": {"const": "2.1.0"}, "runs": items(RUN)}, **{"$schema": {"type": "string", "format": "uri"}})
ISSUE = record(
    {
        "description": TEXT,
        "check_name": TEXT,
        "fingerprint": TEXT,
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": record({"path": {"type": "string"}, "lines": record({"begin": FROM_ONE}, end=FROM_ONE)}),
    }
)
JUNIT = {  # element -> attributes that must be there, those that may, elements inside
    "testsuites": ((), ("name", "time", "tests", "failures", "errors", "disabled"), ("testsuite",)),
    "testsuite": (("name", "tests"), ("failures", "errors", "time", "skipped", "timestamp", "hostname"), ("testcase",)),
    "testcase": (("name",), ("classname", "time", "file", "line"), ("failure", "error", "skipped", "system-out", "system-err")),
    "failure": ((), ("type", "message"), ()),
    "system-out": ((), (), ()),
}  # fmt: skip

numbers = st.integers(1, 10**6)
texts = st.text(min_size=1, max_size=20)
diagnostics = st.builds(
    Diagnostic,
    file=texts, line=numbers, column=numbers, end_line=numbers, end_column=numbers, path=st.text(max_size=20), code=texts,
    severity=st.sampled_from(["error", "warning", "info"]), message=texts, hint=st.none() | texts, source_line=st.none() | texts,
)  # fmt: skip
found_lists = st.lists(diagnostics, max_size=4)


def problems(schema: dict[str, Any], document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def junit_problems(element: ElementTree.Element) -> list[str]:
    must, may, inside = JUNIT[element.tag]
    odd = [f"{element.tag} lacks {name}" for name in must if name not in element.attrib]
    odd += [f"{element.tag} may not have {name}" for name in element.attrib if name not in (*must, *may)]
    odd += [f"{name} is no number" for name in ("tests", "failures") if not element.attrib.get(name, "0").isdigit()]
    odd += [f"{child.tag} in {element.tag}" for child in element if child.tag not in inside]
    return odd + [text for child in element if child.tag in JUNIT for text in junit_problems(child)]


@given(found_lists)
def test_whatever_is_found_has_the_form_that_each_service_reads(found: list[Diagnostic]) -> None:
    assert problems(SARIF, json.loads(render_sarif(found))) == []
    issues = json.loads(render_gitlab(found))
    assert problems(items(ISSUE), issues) == []
    assert len({issue["fingerprint"] for issue in issues}) == len(found)
    assert junit_problems(ElementTree.fromstring(render_junit(found, ["a.yaml"]))) == []


@pytest.mark.parametrize("name", [name for name in sorted(BROKEN) if len(BROKEN[name]) < 10_000])
def test_the_findings_of_every_mistake_have_their_forms(name: str) -> None:
    found = check(BROKEN[name]).diagnostics
    assert found
    assert problems(SARIF, json.loads(render_sarif(found))) == []
    assert problems(items(ISSUE), json.loads(render_gitlab(found))) == []
    assert junit_problems(ElementTree.fromstring(render_junit(found, ["a.yaml"]))) == []


def test_a_form_that_lacks_something_is_noticed() -> None:
    found = check("name: [").diagnostics
    sarif, gitlab = json.loads(render_sarif(found)), json.loads(render_gitlab(found))
    del sarif["runs"][0]["tool"]["driver"]["name"], gitlab[0]["location"]["lines"]["begin"]
    assert problems(SARIF, sarif)
    assert problems(items(ISSUE), gitlab)
    assert junit_problems(ElementTree.fromstring("<testsuites><testsuite name='a'><case/></testsuite></testsuites>")) == [
        "testsuite lacks tests", "case in testsuite",
    ]  # fmt: skip
