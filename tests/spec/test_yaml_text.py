"""Values are written as YAML that reads back as the same values, and that can be seen."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from specrun.spec.findings import Findings
from specrun.spec.loader import load_node
from specrun.spec.nodes import Source, plain
from specrun.spec.visible import visible_line
from specrun.spec.yaml_text import yaml_text


@given(st.text())
@example("true")
@example("2024")
@example("a\u202eb\U000e0001\ufeff\x9b\x1b")
def test_a_text_reads_back_as_itself_and_hides_nothing(text: str) -> None:
    line = f"a: {yaml_text(text)}"
    node = load_node(line, Source("file", "a.yaml", (line,)), Findings())
    assert node is not None
    assert plain(node) == {"a": text}
    assert visible_line(line) == line
