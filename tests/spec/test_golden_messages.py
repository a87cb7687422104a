"""What a person reads for every code, whole; and every code that the package can give has such a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import specrun.spec
from specrun.engine.machine_problems import machine_problems
from specrun.plan.lengths import length_problems
from specrun.plan.predict import Facts, forecast
from specrun.runtime.hardware import Machine
from specrun.spec.assembly import Draft
from specrun.spec.render import render_text, summary
from specrun.spec.resolved import further
from specrun.spec.section import Problem
from tests.spec.broken import BEYOND_THE_MACHINE, BEYOND_THE_STEPS, BROKEN
from tests.spec.conftest import GOLDEN
from tests.spec.specs import check

ELSEWHERE = {
    "extends-cycle", "extends-too-long", "index-out-of-range", "kind-changed-drops-fields",  # test_layers
    "not-utf8",  # test_loader
    "set-twice", "option-without-effect",  # test_every_error
    "code-not-allowed", "code-fails-on-import", "no-such-module", "no-such-name", "not-a-part", "module-of-another-place",
    "option-without-impact", "incomplete-part", "no-size-taken", "unusable-parameter",  # test_own_parts
    "unreadable-spec", "set-without-value", "unknown-preset", "no-spec-found", "invalid-spec",  # usage errors, not diagnostics
}  # fmt: skip

MACHINE = Machine("a processor", 2, 2**33, frozenset(), (), "no C++ compiler (g++ not found)", "Triton is not installed")
"""Two cores without bfloat16, no GPU, and nothing to compile with."""


@pytest.mark.parametrize("code", BROKEN)
def test_the_message_is_the_golden_one(code: str, golden: Callable[[str, str], None]) -> None:
    found = check(BROKEN[code]).diagnostics
    assert code in [d.code for d in found]
    golden(f"{code}.txt", f"{render_text(found)}\n{summary(found, ['a.yaml'])}\n")


@pytest.mark.parametrize("code", BEYOND_THE_MACHINE)
def test_the_message_about_the_machine_is_the_golden_one(code: str, golden: Callable[[str, str], None]) -> None:
    found = further(check(BEYOND_THE_MACHINE[code]), lambda draft: machine_problems(draft.spec, MACHINE)).diagnostics
    assert [code] == [d.code for d in found]
    golden(f"{code}.txt", f"{render_text(found)}\n{summary(found, ['a.yaml'])}\n")


@pytest.mark.parametrize("code", BEYOND_THE_STEPS)
def test_the_message_about_the_steps_is_the_golden_one(code: str, golden: Callable[[str, str], None]) -> None:
    def late(draft: Draft) -> Iterator[Problem]:
        facts = Facts(100_000, 100, exact=True, basis="counted")
        found = forecast(draft.spec, facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s")
        return length_problems(draft.spec, found)

    found = further(check(BEYOND_THE_STEPS[code]), late).diagnostics
    assert [code] == [d.code for d in found]
    golden(f"{code}.txt", f"{render_text(found)}\n{summary(found, ['a.yaml'])}\n")


@pytest.mark.parametrize("code", BROKEN)
def test_every_diagnostic_has_a_remedy_and_a_place_in_the_text(code: str) -> None:
    lines = BROKEN[code].split("\n")
    for found in check(BROKEN[code]).diagnostics:
        assert found.hint
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert (found.end_line, found.end_column) >= (found.line, found.column)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found.code)


def test_every_code_of_the_package_has_a_golden_text() -> None:
    folder = Path(specrun.spec.__file__).parent
    source = "\n".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))
    written = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', source)) | {"tab", "tag", "unclosed"}
    no_codes = {"utf-8", "site-packages", "x-impact", "my-experiment", "reduce-overhead", "max-autotune"}
    assert written - no_codes - ELSEWHERE <= BROKEN.keys() | BEYOND_THE_MACHINE.keys() | BEYOND_THE_STEPS.keys()


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == BROKEN.keys() | BEYOND_THE_MACHINE.keys() | BEYOND_THE_STEPS.keys()


def test_a_changed_message_is_noticed(golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPECRUN_UPDATE_GOLDEN", raising=False)
    with pytest.raises(AssertionError):
        golden("tab.txt", "another text")
