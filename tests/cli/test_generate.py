"""`specrun generate`: the right checkpoint, the same text for the same seed, one clear sentence for every mistake."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from specrun.cli import generate as command
from specrun.cli.main import run as specrun
from specrun.engine.workspace import Workspace
from specrun.events import Status
from specrun.models.gpt.build import build
from specrun.models.gpt.options import Options as Gpt
from specrun.plan.step import Step, StepResult
from specrun.records.journal import Journal
from specrun.records.run_files import write_run
from specrun.runtime.device import Device
from specrun.spec.assembly import load_spec
from specrun.spec.dump import dump
from specrun.tokenizers.char.options import Options as Char
from specrun.tokenizers.contract import save_tokenizer, train_tokenizer
from specrun.training.loop import TrainState
from specrun.training.saving import Saver

SPEC = """
version: 1
name: tiny
task: {kind: causal_lm}
data:
  source: {kind: synthetic}
  split: {kind: ratio}
  tokenizer: {kind: char, end_of_text: END}
  sequence_length: 16
model: {kind: gpt, num_layers: 1, width: 16, num_heads: 2}
hardware: {profile: cpu, threads: 1}
"""
LETTERS = "abcdefghij \n"
TRAINED = command.Trained("tiny-1234", {}, Path("best"), 7, True, Path("tokenizer"), {})


def make_run(store: Path, *, end_of_text: bool = False, task: str = "causal_lm", checkpoints: bool = True) -> None:
    """A finished run of a random model, with different best and last weights."""
    workspace = Workspace(store)
    workspace.prepare()
    spec_file = store / "tiny.yaml"
    spec_file.write_text(SPEC.replace("END", str(end_of_text).lower()))
    spec = load_spec(spec_file).spec
    options = spec.data.tokenizer
    assert isinstance(options, Char)
    folder = store / "steps" / "tokenizer-t"
    folder.mkdir(parents=True)
    tokenizer = train_tokenizer(options, [LETTERS], lambda _: None)
    save_tokenizer(tokenizer, folder)
    step = Step("tokenizer", "tokenizer", "tokenizer-key", (), {})
    result = StepResult("tokenizer", "tokenizer", "tokenizer-key", "steps/tokenizer-t", {}, {}, 0.0, "2026-01-01T00:00:00Z")
    workspace.save_result(step, result, version=1)
    run_id = "tiny-1234"
    (workspace.runs / run_id).mkdir(parents=True)
    plan = [{"id": k, "kind": k, "key": f"{k}-key", "action": "run", "reason": "", "predicted": {}} for k in ("tokenizer", "train")]
    document = {
        "format_version": 1, "run_id": run_id, "name": "tiny", "tags": [], "task": task, "seed": 0, "started_at": "2026-01-01T00:00:00Z",
        "spec": dump(spec), "spec_digest": "d", "provenance": {}, "plan": plan, "command": None, "git": {}, "packages": {}, "python": "3",
        "hardware": {}, "data": {}, "comparable": True, "parent": None, "smoke": False,
    }  # fmt: skip
    write_run(workspace.runs / run_id, document)
    with Journal.open(workspace.runs / run_id, run_id=run_id, attempt=1) as journal:
        journal.emit(Status("completed"))
    if checkpoints:
        save_weights(workspace.runs / run_id / "checkpoints", vocab_size=tokenizer.get_vocab_size())


def save_weights(folder: Path, *, vocab_size: int) -> None:
    device = Device("cpu", torch.device("cpu"), torch.float32)
    options = Gpt(kind="gpt", num_layers=1, width=16, num_heads=2)
    nothing: Any = None
    for step, save in ((7, "best"), (9, "last")):
        torch.manual_seed(step)
        model = build(options, vocab_size=vocab_size, sequence_length=16)
        state = TrainState(model, torch.optim.SGD(model.parameters(), lr=0.1), nothing, device, lambda _: 0.1, None, 1, 0, step)
        with Saver(folder, key="train-key", device=device, keep_last=2, keep_best=1) as saver:
            if save == "best":
                saver.save_best(state, metrics={}, score=1.0)
            else:
                saver.save_step(state, {}, metrics={}, best_step=None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    make_run(folder)
    return folder


def generate(store: Path, *arguments: str) -> int:
    return specrun(["generate", *arguments, "--store", str(store)])


def test_the_prompt_goes_on_with_as_many_tokens_as_asked(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(store, "tiny-1234", "--prompt", "abc", "--tokens", "12") == 0
    out = capsys.readouterr().out
    assert out.startswith("abc")
    assert len(out) == 3 + 12 + 1


def test_json_is_one_document_with_all_that_decided_the_text(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(store, "tiny", "--prompt", "ab", "--tokens", "5", "--seed", "4", "--top-k", "3", "--temperature", "0.5", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["text"]
    del document["text"], document["checkpoint"]
    assert document == {
        "format_version": 1, "run_id": "tiny-1234", "step": 7, "prompt": "ab", "temperature": 0.5, "top_k": 3, "seed": 4,
    }  # fmt: skip


def test_a_seed_repeats_its_text_and_the_checkpoints_differ(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for more in ((), (), ("--seed", "1"), ("--checkpoint", "last")):
        assert generate(store, "tiny-1234", "--prompt", "a", "--tokens", "30", *more) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_the_prompt_may_come_from_standard_input(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"bad\n"), encoding="utf-8"))
    assert generate(store, "tiny-1234", "--prompt", "-", "--tokens", "4") == 0
    assert capsys.readouterr().out.startswith("bad\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tony-1234", "--prompt", "a"), 2, ("unknown-run", "tiny-1234")),
        (("tiny-1234", "--prompt", "aZb"), 1, ("unknown-character", "'Z' (U+005A)")),
        (("tiny-1234", "--prompt", ""), 2, ("empty-prompt", "--prompt")),
        (("tiny-1234",), 2, ("missing option", "--prompt")),
        (("tiny-1234", "--prompt", "a", "--tokens", "0"), 2, ("--tokens", "greater than or equal to 1")),
        (("tiny-1234", "--prompt", "a", "--temperature", "-1"), 2, ("--temperature", "greater than or equal to 0")),
    ],
)
def test_a_mistake_is_one_clear_error(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    assert generate(store, *arguments) == code
    captured = capsys.readouterr()
    assert all(word in captured.err for word in words), captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_tokenizer_with_end_of_text_may_start_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, end_of_text=True)
    assert generate(tmp_path, "tiny-1234", "--prompt", "", "--tokens", "9") == 0
    assert "endoftext" not in capsys.readouterr().out


def test_a_checkpoint_that_training_replaces_meanwhile_gives_way_to_the_next(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Path] = []
    real = command.find_model

    def find(*arguments: Any) -> command.Trained:
        trained = real(*arguments)
        found.append(trained.checkpoint)
        # The first one is gone by the time it is to be loaded.
        return trained if len(found) > 1 else replace(trained, checkpoint=store / "replaced")

    monkeypatch.setattr(command, "find_model", find)
    assert specrun(["generate", "tiny", "--prompt", "abc", "--tokens", "4", "--store", str(store)]) == 0
    assert capsys.readouterr().out.startswith("abc")
    assert len(found) == 2


def test_a_run_whose_description_is_gone_is_a_clear_error(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "runs" / "tiny-1234" / "run.json").unlink()
    assert specrun(["generate", "tiny-1234", "--prompt", "abc", "--store", str(store)]) == 1
    assert capsys.readouterr().err.startswith("description-missing: ")


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, checkpoints=False)
    assert generate(tmp_path, "tiny-1234", "--prompt", "a") == 1
    assert "no-checkpoint: tiny-1234 has no checkpoint yet" in capsys.readouterr().err


def test_last_weights_are_taken_for_best_ones_only_where_nobody_asked_for_those_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    (kept,) = tmp_path.glob("runs/*/checkpoints/best-*")
    assert generate(tmp_path, "tiny-1234", "--prompt", "a", "--tokens", "2") == 0
    assert capsys.readouterr().err == ""
    shutil.rmtree(kept)
    assert generate(tmp_path, "tiny-1234", "--prompt", "a", "--tokens", "2") == 0
    assert capsys.readouterr().err == "tiny-1234 has kept no best weights yet; these are its last, of step 9\n"
    assert generate(tmp_path, "tiny-1234", "--prompt", "a", "--tokens", "2", "--checkpoint", "best") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "no-checkpoint: tiny-1234 has kept no best weights yet"
    assert "--checkpoint last" in captured.err


def test_the_weights_are_verified_and_the_optimizer_that_writes_nothing_is_not(tmp_path: Path) -> None:
    make_run(tmp_path)
    (last,) = tmp_path.glob("runs/*/checkpoints/step-*")
    state = last / "optimizer.safetensors"
    state.write_bytes(bytes(byte ^ 1 for byte in state.read_bytes()))
    assert generate(tmp_path, "tiny-1234", "--prompt", "a", "--tokens", "2", "--checkpoint", "last") == 0


def test_a_run_of_another_task_writes_no_text_and_is_not_damaged_without_a_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, task="forecasting", checkpoints=False)
    file = tmp_path / "runs" / "tiny-1234" / "run.json"
    document = json.loads(file.read_text())
    del document["crc"]
    document["plan"] = [step for step in document["plan"] if step["kind"] != "tokenizer"]
    file.write_text(json.dumps(document))
    assert generate(tmp_path, "tiny-1234", "--prompt", "a") == 2
    assert capsys.readouterr().err.startswith("task-writes-no-text: tiny-1234 is a forecasting run; only causal_lm models write text")


@pytest.mark.parametrize("lost", ["task", "spec", "plan", "train"])
def test_a_description_that_says_too_little_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str) -> None:
    make_run(tmp_path)
    file = tmp_path / "runs" / "tiny-1234" / "run.json"
    document = json.loads(file.read_text())
    del document["crc"]
    if lost == "train":
        document["plan"] = [step for step in document["plan"] if step["kind"] != "train"]
    else:
        del document[lost]
    file.write_text(json.dumps(document))
    assert generate(tmp_path, "tiny-1234", "--prompt", "a") == 1
    err = capsys.readouterr().err
    assert "damaged-record" in err
    assert f"it says no {lost}" in err
    assert "specrun store doctor" in err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_does_not_obey_what_a_model_writes(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(command, "begin", lambda *_, **__: (TRAINED, iter(["\x1b[2J", "\n\x9b2J"])))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert generate(store, "tiny-1234", "--prompt", "a\x07") == 0
    out = capsys.readouterr().out
    assert out == ("a␇␛[2J\n⟨U+009B⟩2J\n" if terminal else "a\x07\x1b[2J\n\x9b2J\n")


def test_nothing_more_is_written_when_nobody_listens(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = iter("abc")
    monkeypatch.setattr(command, "begin", lambda *_, **__: (TRAINED, written))
    monkeypatch.setattr(command, "has_listener", lambda: False)
    assert generate(store, "tiny-1234", "--prompt", "a") == 0
    assert list(written) == ["b", "c"]


def test_a_store_without_runs_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tmp_path / "none", "tiny-1234", "--prompt", "a") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_tokenizer_that_is_gone_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path)
    (tmp_path / "steps" / "tokenizer-t" / "tokenizer.json").unlink()
    assert generate(tmp_path, "tiny-1234", "--prompt", "a") == 1
    assert "missing-tokenizer" in capsys.readouterr().err


def test_damaged_weights_write_nothing_and_the_way_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path)
    (weights,) = tmp_path.glob("runs/*/checkpoints/best-*/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    assert generate(tmp_path, "tiny-1234", "--prompt", "abc", "--tokens", "2") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "damaged-checkpoint" in captured.err
    assert f"rm -r {weights.parent}" in captured.err
    assert generate(tmp_path, "tiny-1234", "--prompt", "abc", "--tokens", "2", "--checkpoint", "last") == 0
