"""Runs with parts of a user's own: who is allowed to import them, what a change of their files does, and what records know of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.engine.executors.request import requested_call, step_request
from specrun.errors import SpecError, SpecrunError, UsageError
from specrun.resources import template_folder
from specrun.spec import own_code
from specrun.spec.assembly import load_spec
from specrun.steps.contract import StepContext
from specrun.steps.registry import step_kind

SHRINK = [
    "data.source.rows=200", "schedule.duration=4 steps", "schedule.evaluate.every=2 steps", "schedule.checkpoint.every=2 steps",
    "schedule.batch_size=4", "hardware.profile=cpu", "hardware.threads=1", "report.formats=[md]", "expect=[]",
]  # fmt: skip


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The scaffolds of `specrun new` in the current folder, as modules of this test alone."""
    monkeypatch.chdir(tmp_path)
    path, found = list(sys.path), {}
    for part in ("model", "task"):
        found[part] = name = f"own_{part}_{abs(hash(request.node.nodeid))}"
        for file in template_folder(f"new/{part}").iterdir():
            target = tmp_path / file.name.replace("NAME", name)
            target.write_text(file.read_text().replace("NAME", name).replace("CLASS", "Mine"))
    yield found
    sys.path[:] = path
    for name in found.values():
        sys.modules.pop(name, None)
        own_code._imported.pop(name, None)


def keys(plan: Any) -> dict[str, str]:
    return {decision.step.kind: decision.step.key for decision in plan.decisions}


def test_a_plan_without_permission_names_the_flag_and_imports_nothing(names: dict[str, str]) -> None:
    with pytest.raises(SpecError, match=f"--allow-code {names['model']}"):
        compile_plan(f"{names['model']}.yaml", store="store", sets=SHRINK)
    assert names["model"] not in sys.modules


def test_a_loaded_spec_is_held_until_it_is_planned(names: dict[str, str]) -> None:
    loaded = load_spec(f"{names['model']}.yaml", sets=SHRINK)
    assert names["model"] not in sys.modules
    plan = compile_plan(loaded, store="store", allow_code=[names["model"]])
    assert keys(plan) == keys(compile_plan(f"{names['model']}.yaml", sets=SHRINK, store="store", allow_code=[names["model"]]))
    assert not [warning for warning in plan.loaded.warnings if warning.code == "own-code-not-checked"]


def test_a_change_of_a_models_file_trains_anew_and_another_file_nothing(names: dict[str, str]) -> None:
    def planned() -> dict[str, str]:
        return keys(compile_plan(f"{names['model']}.yaml", sets=SHRINK, store="store", allow_code=[names["model"]]))

    before = planned()
    Path("unrelated.py").write_text("")
    assert planned() == before
    file = Path(f"{names['model']}.py")
    file.write_text(file.read_text().replace("nn.GELU()", "nn.ReLU()"))
    after = planned()
    assert {kind for kind in before if before[kind] != after[kind]} == {"train", "evaluate", "report"}


def test_a_change_of_a_tasks_file_leaves_the_data_as_it_is(names: dict[str, str]) -> None:
    def planned() -> dict[str, str]:
        return keys(compile_plan(f"{names['task']}.yaml", sets=SHRINK, store="store", allow_code=[names["task"]]))

    before = planned()
    file = Path(f"{names['task']}.py")
    file.write_text(file.read_text().replace("math.log(2)", "math.log(3)"))
    after = planned()
    assert {kind for kind in before if before[kind] != after[kind]} == {"examples", "train", "evaluate", "report"}


SOURCE = """
from typing import ClassVar
from specrun.spec.section import Part, option
class Digits(Part):
    factory: ClassVar[str] = "MODULE:build"
    count: int = option(9, impact="weights", description="Documents.", ge=3)
def build(options, request):
    from specrun.sources.contract import LoadedText
    return LoadedText({"whole": [str(number) * 20 for number in range(options.count)]})
"""


def test_a_source_of_ones_own_gives_its_documents_and_its_code_is_in_the_key_of_the_data(names: dict[str, str], tiny_text: str) -> None:
    from specrun.sources.contract import SourceRequest, load_text

    name = names["model"]
    file = Path(f"{name}.py")
    file.write_text(SOURCE.replace("MODULE", name))
    lines = [f"  source: {{kind: '{name}:Digits', count: 5}}" if "source:" in line else line for line in tiny_text.splitlines()]
    Path("a.yaml").write_text("\n".join(lines))
    plan: Any = compile_plan("a.yaml", store="store", allow_code=[name])
    loaded = load_text(plan.loaded.spec.data.source, SourceRequest(Path.cwd(), lambda _: None))
    assert [text[0] for text in loaded.splits["whole"]] == list("01234")
    file.write_text(file.read_text().replace("* 20", "* 21"))
    after: Any = compile_plan("a.yaml", store="store", allow_code=[name])
    assert keys(after)["data"] != keys(plan)["data"]


def test_a_saved_plan_allows_no_code(names: dict[str, str]) -> None:
    from specrun.engine.planfile import prepare_plan, write_plan

    allowed = (names["model"],)
    plan: Any = compile_plan(f"{names['model']}.yaml", sets=SHRINK, store="store", allow_code=allowed)
    write_plan(plan, Path("plan.json"))
    with pytest.raises(UsageError, match=f"--allow-code {names['model']}"):
        prepare_plan(Path("plan.json"), store=Path("store"))
    assert keys(prepare_plan(Path("plan.json"), store=Path("store"), allow_code=allowed)) == keys(plan)


def test_what_another_process_is_asked_holds_the_permission_and_only_for_the_same_code(names: dict[str, str]) -> None:
    plan: Any = compile_plan(f"{names['model']}.yaml", sets=SHRINK, store="store", allow_code=[names["model"]])
    step = plan.decision("train").step
    context = StepContext(step, Path.cwd(), Path.cwd(), lambda _: None, plan.hardware, lambda: None, lambda _: Path.cwd())
    request = json.loads(json.dumps(step_request(step_kind("train"), context, plan.loaded.spec, {})))
    _, _, spec, _ = requested_call(request, emit=lambda _: None)
    assert spec.model == plan.loaded.spec.model
    request["step"]["options"]["model facts"]["code"] = "of another file"
    with pytest.raises(SpecrunError, match="has changed since the plan was made"):
        requested_call(request, emit=lambda _: None)
    with pytest.raises(SpecError, match="code-not-allowed"):
        requested_call({**request, "allow_code": []}, emit=lambda _: None)


@pytest.mark.slow
def test_records_know_a_task_of_ones_own_without_its_code(names: dict[str, str]) -> None:
    outcome = apply(f"{names['task']}.yaml", sets=SHRINK, store="store", allow_code=[names["task"]])
    assert outcome.exit_code == 0, outcome
    run = outcome.runs[0]
    assert run.metrics["test/relative_rmse"] > 0
    again = apply(f"{names['task']}.yaml", sets=SHRINK, store="store", allow_code=[names["task"]])
    assert {step.action for step in again.steps} == {"cached"}
    code = f"""
import sys
from pathlib import Path
from specrun.records.queries import open_records
from specrun.report.run_view import run_view
from specrun.spec.metrics import goal_of
with open_records(Path("store")) as records:
    document = records.document({run.run_id!r})
    view = run_view(records, {run.run_id!r})
kind = "{names["task"]}:Mine"
assert document["task"] == kind
assert document["own_code"][kind]
assert goal_of("test/relative_rmse", kind, document["declares"]) == "minimize"
assert "RMSE, of the target's deviation" in repr(view) or "RMSE" in repr(view)
assert not any(name.startswith("own_task") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=Path.cwd())
    best = [sys.executable, "-P", "-m", "specrun", "runs", "best", "test/relative_rmse", "--store", "store", "--json"]
    answer = json.loads(subprocess.run(best, check=True, capture_output=True).stdout)
    assert answer["goal"] == "minimize"


@pytest.mark.slow
def test_a_training_goes_on_with_a_model_of_ones_own(names: dict[str, str]) -> None:
    asked: dict[str, Any] = {"store": "store", "allow_code": [names["model"]]}
    spec = f"{names['model']}.yaml"
    constant = [*SHRINK, "schedule.learning_rate.kind=constant"]
    first = apply(spec, sets=constant, **asked)
    assert first.exit_code == 0, first
    longer = [it.replace("duration=4", "duration=8") for it in constant]
    resumed = apply(spec, sets=longer, resume=first.runs[0].run_id, **asked)
    assert resumed.exit_code == 0, resumed
    whole = apply(spec, sets=longer, store="other", allow_code=[names["model"]])
    assert resumed.runs[0].metrics["test/loss"] == whole.runs[0].metrics["test/loss"]


@pytest.mark.slow
def test_several_processes_train_a_model_of_ones_own(names: dict[str, str]) -> None:
    together = [*SHRINK, "hardware.engine=torchrun", "hardware.devices=2", "schedule.micro_batch_size=2"]
    outcome = apply(f"{names['model']}.yaml", sets=together, store="store", allow_code=[names["model"]])
    assert outcome.exit_code == 0, outcome


@pytest.mark.slow
@pytest.mark.parametrize("part", ["model", "task"])
def test_a_scaffold_passes_as_it_is(part: str, tmp_path: Path) -> None:
    specrun = [sys.executable, "-P", "-m", "specrun"]
    subprocess.run([*specrun, "new", part, "my_part"], check=True, cwd=tmp_path, capture_output=True)
    shutil.copytree(tmp_path, tmp_path / "again")
    refused = subprocess.run([*specrun, "new", part, "my_part"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert refused.returncode == 2, refused.stderr
    assert "file-exists" in refused.stderr
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_part.py"]
    tested = subprocess.run(tests, cwd=tmp_path / "again", check=False, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout
    apply_ = [*specrun, "apply", "my_part.yaml", "--smoke", "--allow-code", "my_part", "--set", "report.formats=[md]"]
    applied = subprocess.run(apply_, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert applied.returncode == 0, applied.stderr
