"""Parses YAML into nodes with positions, under guards: nothing that a text says can exhaust memory or run code.

The events come from libyaml's parser, which does not recurse; types of plain scalars are decided by `spec.scalars`.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from specrun.spec.builder import Builder
from specrun.spec.findings import Findings
from specrun.spec.nodes import MapNode, Node, SeqNode, Source
from specrun.spec.text import check_characters, check_tabs, decode, split_lines, whole

_Parser = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def load_bytes(data: bytes, source: Source, findings: Findings) -> MapNode | None:
    """Parse the bytes of a spec. source: without lines; the nodes get one with the lines. Returns None where there is no mapping."""
    text = decode(data, source, findings)
    if text is None:
        return None
    source = Source(source.kind, source.name, split_lines(text), source.folder, source.label)
    root = load_node(text, source, findings)
    if root is None:
        return None
    if not isinstance(root, MapNode):
        what = "a list" if isinstance(root, SeqNode) else "a single value"
        findings.add(
            whole(source), "not-a-mapping", f"the file holds {what}; a spec is a mapping of sections",
            hint="start with version: 1",
        )  # fmt: skip
        return None
    return root


def load_node(text: str, source: Source, findings: Findings) -> Node | None:
    """Parse one YAML document. source: has the lines of the text."""
    if check_characters(text, source, findings):
        return None
    before = findings.error_count
    builder = Builder(source, findings)
    try:
        for event in _events(text):
            if not builder.take(event):
                break
    except yaml.MarkedYAMLError as error:
        from specrun.spec.syntax import report_syntax_error

        report_syntax_error(error, source, findings)
    check_tabs(text, source, findings, builder.quoted)
    if builder.root is None and findings.error_count == before:
        findings.add(whole(source), "empty-spec", "there is nothing in the file", hint="`specrun init` writes a spec to start from")
    return builder.root


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Parser)
    yield from events
