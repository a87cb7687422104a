"""Parts of a user's own: held without permission, imported with it, and every way in which they are not what they must be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from specrun.errors import SpecError
from specrun.spec import own_code
from specrun.spec.assembly import check_bytes, load_spec
from specrun.spec.diagnostics import Diagnostic
from specrun.spec.dump import dump
from specrun.spec.explain import document, explain_all
from specrun.spec.own_path import Permission, is_path
from specrun.spec.resolved import load_resolved

MODEL = '''
from pathlib import Path
from typing import ClassVar
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import option
Path("imported.txt").write_text("x")
class Net(ModelOptions):
    """A model."""
    factory: ClassVar[str] = "MODULE:build"
    serves: ClassVar[tuple[str, ...]] = ("table",)
    hidden: int = option(8, impact="weights", description="Hidden numbers.", ge=1, le=64)
    note: str = option("", impact="meta", description="A note.")
def build(options, **sizes): ...
class Unrelated: ...
'''
SPEC = """\
version: 1
name: own
task: {kind: tabular}
data: {source: {kind: synthetic_table}, columns: {target: y}, split: {kind: ratio}}
model:
  kind: MODULE:Net
  hidden: 12
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A module of this test alone, in the current folder; its name."""
    monkeypatch.chdir(tmp_path)
    path, name = list(sys.path), f"own_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(MODEL.replace("MODULE", name))
    yield name
    sys.path[:] = path
    for loaded in [it for it in sys.modules if it.startswith(name)]:
        del sys.modules[loaded]
    own_code._imported.pop(name, None)


def found(text: str, *allowed: str) -> list[Diagnostic]:
    return list(check_bytes(text.encode(), "a.yaml", permission=Permission(allowed)).diagnostics)


def only(text: str, *allowed: str) -> Diagnostic:
    diagnostics = found(text, *allowed)
    assert len(diagnostics) == 1, diagnostics
    return diagnostics[0]


def test_without_permission_to_ask_for_nothing_is_imported(module: str) -> None:
    before = set(sys.modules)
    checked = check_bytes(SPEC.replace("MODULE", module).encode(), "a.yaml")
    assert checked.loaded is not None
    assert [d.code for d in checked.diagnostics] == ["own-code-not-checked"]
    assert f"--allow-code {module}" in str(checked.diagnostics[0].hint)
    assert dump(checked.loaded.spec)["model"] == {"kind": f"{module}:Net", "hidden": 12}
    assert "hidden: 12" in explain_all(checked.loaded)
    assert document(checked.loaded)["values"]["model.hidden"]["value"] == 12
    assert module not in sys.modules
    assert not {it for it in set(sys.modules) - before if it.startswith("own_")}
    assert not Path("imported.txt").exists()


def test_code_that_nobody_allowed_is_an_error_with_the_flag(module: str) -> None:
    told = only(SPEC.replace("MODULE", module))
    assert (told.code, told.line, told.column) == ("code-not-allowed", 6, 9)
    assert f"--allow-code {module}" in str(told.hint)
    assert not Path("imported.txt").exists()


@pytest.mark.parametrize(
    ("prefix", "module", "allowed"),
    [("a", "a", True), ("a", "a.b", True), ("a.b", "a.b.c", True), ("a", "ab", False), ("a.b", "a", False), ("a.b", "a.bc", False)],
)
def test_a_prefix_allows_whole_components(prefix: str, module: str, allowed: bool) -> None:
    assert Permission((prefix,)).allows(module) is allowed


def test_options_of_ones_own_are_checked_like_any(module: str) -> None:
    text = SPEC.replace("MODULE", module)
    assert found(text, module) == []
    assert only(text.replace("hidden: 12", "hidden: 65"), module).code == "out-of-range"
    told = only(text.replace("hidden", "hiden"), module)
    assert (told.code, told.line, told.hint) == ("unknown-key", 7, 'did you mean "hidden"?')
    assert Path("imported.txt").read_text() == "x"


def test_a_recorded_spec_reads_the_same_with_and_without_the_code(module: str) -> None:
    Path("a.yaml").write_text(SPEC.replace("MODULE", module))
    loaded = load_spec(Path("a.yaml"), permission=Permission((module,)))
    recorded = dump(loaded.spec)
    assert dump(load_resolved(recorded)) == recorded
    assert dump(load_resolved(recorded, permission=Permission((module,)))) == recorded
    with pytest.raises(SpecError, match="code-not-allowed"):
        load_resolved(recorded, permission=Permission())


def test_a_path_is_a_module_and_a_name() -> None:
    assert is_path("a.b_2:Name")
    assert not any(is_path(it) for it in ("a:", ":b", "a b:c", "a.:b", "a:b.c", "../a:b", "a:b:c", "1a:b"))


@pytest.mark.parametrize(
    ("was", "now", "code", "said"),
    [
        ("", "1 / 0", "code-fails-on-import", ".py:15: ZeroDivisionError: division by zero"),
        ("", "def", "code-fails-on-import", ".py:15: SyntaxError"),
        ("", "raise SystemExit(3)", "code-fails-on-import", ".py:15: SystemExit: 3"),
        ("", "import no_such_package", "code-fails-on-import", ".py:15: ModuleNotFoundError"),
        ("class Net", "class Nett", "no-such-name", "has no Net"),
        ("class Net(ModelOptions)", "class Net", "not-a-part", "it must be a class that derives from"),
        (' = option(8, impact="weights", description="Hidden numbers.", ge=1, le=64)', " = 8", "option-without-impact", "hidden"),
        ('    serves: ClassVar[tuple[str, ...]] = ("table",)\n', "", "incomplete-part", "does not say its serves"),
        ("    factory: ", "    other: ", "incomplete-part", "does not say its factory"),
        (":build", ":biuld", "no-such-name", "biuld does not exist"),
    ],
)
def test_what_is_wrong_with_the_code_is_told_at_its_kind(module: str, was: str, now: str, code: str, said: str) -> None:
    file = Path(f"{module}.py")
    text = file.read_text()
    file.write_text(text.replace(was, now, 1) if was else f"{text}{now}\n")
    told = only(SPEC.replace("MODULE", module), module)
    assert (told.code, told.line, told.column, told.severity) == (code, 6, 9, "error")
    assert said in told.message
    assert told.hint
    assert "Traceback" not in told.message


def test_a_wrong_name_is_told_with_the_nearest(module: str) -> None:
    told = only(SPEC.replace("MODULE:Net", f"{module}:Unrelatet"), module)
    assert (told.code, told.hint) == ("no-such-name", f"did you mean {module}:Unrelated?")


def test_a_wrong_module_is_told_with_the_nearest(module: str) -> None:
    told = only(SPEC.replace("MODULE", f"{module}x"), f"{module}x")
    assert (told.code, told.hint) == ("no-such-module", f"did you mean {module}?")


def test_a_file_that_an_installed_package_hides_is_refused(module: str) -> None:
    Path("yaml.py").write_text(MODEL)
    assert only(SPEC.replace("MODULE", "yaml"), "yaml").code == "module-of-another-place"


def test_nothing_in_the_current_folder_stands_for_a_library(module: str) -> None:
    Path("colorsys.py").write_text("raise SystemExit('the library was replaced')")
    assert found(SPEC.replace("MODULE", module), module) == []
    sys.modules.pop("colorsys", None)
    import colorsys

    assert Path(colorsys.__file__).parent != Path.cwd()


def test_a_model_that_does_not_serve_the_task_is_refused(module: str) -> None:
    text = SPEC.replace("MODULE", module).replace("tabular", "image_classification").replace("target: y", "image: x, label: y")
    assert "model-does-not-serve-task" in [d.code for d in found(text, module)]


class TestDigest:
    """Which files decide."""

    def digest(self, name: str) -> str:
        own_code.forget_changed()
        return own_code.load(f"{name}:Net", Permission((name.partition(".")[0],)))[1].digest

    def test_a_change_of_the_file_counts_and_is_imported(self, module: str) -> None:
        before = self.digest(module)
        assert self.digest(module) == before
        file = Path(f"{module}.py")
        file.write_text(file.read_text().replace("le=64", "le=65"))
        assert self.digest(module) != before
        assert found(SPEC.replace("MODULE", module).replace("hidden: 12", "hidden: 65"), module) == []

    def test_another_file_does_not_count(self, module: str) -> None:
        before = self.digest(module)
        Path("unrelated.py").write_text("x = 1\n")
        Path("unrelated.py").rename("otherwise.py")
        assert self.digest(module) == before

    def test_what_it_imports_from_the_folder_counts(self, module: str) -> None:
        Path(f"{module}_layers.py").write_text("size = 1\n")
        file = Path(f"{module}.py")
        file.write_text(f"from {module}_layers import size\n{file.read_text()}")
        before = self.digest(module)
        Path(f"{module}_layers.py").write_text("size = 2\n")
        assert self.digest(module) != before
        assert sys.modules[module].size == 2

    def test_every_file_of_its_package_counts_wherever_the_folder_lies(self, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
        package = Path(f"{module}_package")
        package.mkdir()
        (package / "__init__.py").write_text("")
        Path(f"{module}.py").rename(package / "net.py")
        before = self.digest(f"{module}_package.net")
        (package / "late.py").write_text("x = 1\n")
        with_late = self.digest(f"{module}_package.net")
        assert with_late != before
        (package / "late.py").unlink()
        assert self.digest(f"{module}_package.net") == before


MODULE = '''
from typing import Annotated, Literal
from pydantic import Field
from torch import nn
class Net(nn.Module):
    """A module."""
    def __init__(self, *, numbers, outputs: int, hidden: Annotated[int, Field(ge=1, le=64)], form: Literal["a", "b"] = "a",
                 sizes_of: tuple[int, ...] = (), rate=0.5, device=None): ...
'''


class TestModule:
    """Options from a torch module's constructor."""

    @pytest.fixture
    def module(self, module: str) -> str:
        Path(f"{module}.py").write_text(MODULE)
        return module

    def test_parameters_beside_the_sizes_are_options(self, module: str) -> None:
        text = SPEC.replace("MODULE", module) + "  form: b\n  sizes_of: [1, 2]\n  rate: 0.1\n"
        checked = check_bytes(text.encode(), "a.yaml", permission=Permission((module,)))
        assert checked.loaded is not None, checked.diagnostics
        model = {"kind": f"{module}:Net", "hidden": 12, "form": "b", "sizes_of": [1, 2], "rate": 0.1}
        assert dump(checked.loaded.spec)["model"] == model
        assert checked.loaded.spec.model.serves == ("table",)

    @pytest.mark.parametrize(
        ("key", "code"),
        [
            ("hidden: 65", "out-of-range"),
            ("form: c", "unknown-value"),
            ("outputs: 3", "unknown-key"),
            ("device: cpu", "unknown-key"),
            ("rate: fast", "wrong-type"),
        ],
    )
    def test_they_are_checked_like_any(self, module: str, key: str, code: str) -> None:
        text = SPEC.replace("MODULE", module).replace("  hidden: 12\n", "") + f"  {key}\n"
        codes = [d.code for d in found(text, module)]
        assert code in codes
        assert ("missing-key" in codes) is not key.startswith("hidden")

    @pytest.mark.parametrize(
        ("was", "now", "code"),
        [
            ("numbers, outputs: int, ", "", "no-size-taken"),
            ("device=None", "device", "unusable-parameter"),
            ("device=None", "device: Unknown = None", "unusable-parameter"),
        ],
    )
    def test_a_constructor_that_no_spec_can_call_is_refused(self, module: str, was: str, now: str, code: str) -> None:
        Path(f"{module}.py").write_text("from __future__ import annotations\n" + MODULE.replace(was, now))
        told = only(SPEC.replace("MODULE", module), module)
        assert told.code == code
        assert code != "no-size-taken" or "numbers, categories, edges and outputs" in str(told.hint)


def test_every_task_has_its_sizes_listed() -> None:
    from specrun.spec.interfaces import SIZES
    from specrun.spec.parts import kinds, options_class
    from specrun.testing import INPUTS

    assert {options_class("task", kind).interface for kind in kinds("task")} == SIZES.keys() == INPUTS.keys()  # type: ignore[attr-defined]
    assert {name: set(inputs.sizes) for name, inputs in INPUTS.items()} == {name: set(sizes) for name, sizes in SIZES.items()}
