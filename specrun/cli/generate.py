"""`specrun generate`: continues a prompt with a trained model, as it is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from specrun.cli.options import DEFAULT_STORE, AllowCode, Json, Store
from specrun.cli.output import has_listener
from specrun.cli.run_choice import RUN_HELP, choose
from specrun.errors import SpecrunError, StoreError, UsageError
from specrun.records.place import command_on
from specrun.spec.own_path import Permission
from specrun.spec.visible import visible, visible_line

if TYPE_CHECKING:
    from specrun.training.generation import Sampling

RunId = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
Prompt = Annotated[str, typer.Option("--prompt", metavar="TEXT", help="Text to go on from; - reads standard input.", show_default=False)]
Tokens = Annotated[int, typer.Option("--tokens", min=1, max=1_000_000, help="Most tokens to write.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0.0, max=100.0, help="0 takes the likeliest token; 1 draws as trained.")]
TopK = Annotated[int | None, typer.Option("--top-k", min=1, help="Draw among so many likeliest tokens; absent means all.")]
_ATTEMPTS = 5
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the draws.")]


class Which(StrEnum):
    """Which of a run's checkpoints."""

    best = "best"
    last = "last"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run's records say of its model. checkpoint: folder; step: optimizer steps it was trained for; best: kept as the best.
    own_code: digests of the user's code that it was trained with, by kind."""

    run_id: str
    spec: dict[str, Any]
    checkpoint: Path
    step: int
    best: bool
    tokenizer: Path
    own_code: Mapping[str, str]


def run(
    run: RunId,
    prompt: Prompt,
    tokens: Tokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    seed: Seed = 0,
    checkpoint: Annotated[
        Which | None,
        typer.Option("--checkpoint", help="The best weights of the run, or its last ones; absent: the best, where it has kept some."),
    ] = None,
    allow_code: AllowCode = [],  # noqa: B006 - typer copies it
    store: Store = DEFAULT_STORE,
    json_: Json = False,
) -> None:
    """Continue a prompt."""
    text = typer.get_text_stream("stdin").read() if prompt == "-" else prompt
    run_id = find_run(store, run)
    from specrun.training.generation import Sampling

    sampling = Sampling(temperature=temperature, top_k=top_k, seed=seed)
    permission = Permission(tuple(allow_code))
    trained, pieces = begin(store, run_id, checkpoint, text, tokens=tokens, sampling=sampling, permission=permission)
    if checkpoint is None and not trained.best:
        print(f"{run_id} has kept no best weights yet; these are its last, of step {trained.step:,}", file=sys.stderr)
    if json_:
        document = {
            "format_version": 1, "run_id": trained.run_id, "checkpoint": str(trained.checkpoint), "step": trained.step,
            "prompt": text, "text": "".join(pieces), **asdict(sampling),
        }  # fmt: skip
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    # A model writes whatever its training text held, control characters too: a pipe gets them, a terminal does not obey them.
    shown = visible if sys.stdout.isatty() else str
    print(shown(text), end="", flush=True)
    for piece in pieces:
        print(shown(piece), end="", flush=True)
        if not has_listener():
            break
    print()


def find_run(store: Path, run: str) -> str:
    """The id of the run that is meant. Raises: SpecrunError for one that is unknown."""
    from specrun.records.queries import open_records

    with open_records(store) as records:
        return choose(records, run).run_id


def begin(
    store: Path, run_id: str, which: Which | None, prompt: str, *, tokens: int, sampling: Sampling, permission: Permission
) -> tuple[Trained, Iterator[str]]:
    """Load a run's model and begin to write. permission: whose code may be imported.

    A run that goes on training may replace its checkpoint meanwhile: the next is taken."""
    for left in reversed(range(_ATTEMPTS)):
        trained = find_model(store, run_id, which)
        try:
            return trained, write(trained, prompt, tokens=tokens, sampling=sampling, permission=permission)
        except (SpecrunError, OSError):
            if not left or trained.checkpoint.exists():
                raise
    raise AssertionError("the last attempt returns or raises")


def find_model(store: Path, run_id: str, which: Which | None) -> Trained:
    """Find a run's checkpoint and tokenizer. which: None for the best, or else the last one.

    Raises: SpecrunError for a run that has saved nothing of the kind yet.
    """
    from specrun.engine.workspace import Workspace
    from specrun.training.checkpoint_files import best, latest

    workspace = Workspace(store)
    document = _description(store, run_id)
    keys = {step["kind"]: step["key"] for step in document["plan"]}
    folder = workspace.runs / run_id / "checkpoints"
    found = None if which is Which.last else best(folder, key=keys["train"])
    last = latest(folder, key=keys["train"]) if found is None else None
    if found is None and last is not None and which is Which.best:
        raise StoreError(f"{run_id} has kept no best weights yet", code="no-checkpoint",
                         hint=f"take its last ones, of step {last.step:,}, with: --checkpoint last")  # fmt: skip
    chosen = found or last
    if chosen is None:
        raise StoreError(f"{run_id} has no checkpoint yet", code="no-checkpoint",
                         hint=f"see how far it is: {command_on(store, 'runs', 'show', run_id)}")  # fmt: skip
    tokenizer = workspace.result("tokenizer", keys["tokenizer"])
    if tokenizer is None:
        raise StoreError(f"the tokenizer of {run_id} is gone from {workspace.store}", code="missing-tokenizer", hint="apply its spec again")
    return Trained(run_id, document["spec"], chosen.path, chosen.step, found is not None, workspace.store / tokenizer.folder,
                   document.get("own_code", {}))  # fmt: skip


def _description(store: Path, run_id: str) -> dict[str, Any]:
    """What run.json says of the model. Raises: StoreError where it is gone, or says too little; UsageError for one that writes no text."""
    from specrun.records.fields import RUN_FIELDS, sound
    from specrun.records.run_files import read_run, run_folder

    folder = run_folder(store, run_id)
    hint = f"see what else the store lacks: {command_on(store, 'store', 'doctor')}"
    document = read_run(folder)
    if document is None:
        raise StoreError(f"{run_id} has no run.json, which says what its model is", code="description-missing", hint=hint)
    document = sound(document, RUN_FIELDS)
    # Runs of other tasks may have no tokenizer, and are sound without it.
    if document.get("task", "causal_lm") != "causal_lm":
        raise UsageError(
            f"{run_id} is a {document['task']} run; only causal_lm models write text",
            code="task-writes-no-text",
            hint=f"choose another run: {command_on(store, 'runs', 'list', '--task', 'causal_lm')}",
        )
    lacks = sorted({"task", "spec", "plan"} - document.keys()) or sorted(
        {"train", "tokenizer"} - {step["kind"] for step in document["plan"]}
    )
    if lacks:
        raise StoreError(f"{folder / 'run.json'} is damaged: it says no {', no '.join(lacks)}", code="damaged-record", hint=hint)
    return document


def write(trained: Trained, prompt: str, *, tokens: int, sampling: Sampling, permission: Permission) -> Iterator[str]:
    """The continuation piece by piece, as it is written; a piece ends where a character does.

    Raises: SpecrunError for a prompt that is empty, or has a character that the tokenizer does not know.
    """
    from specrun.runtime.device import open_device
    from specrun.runtime.hardware import probe, resolve
    from specrun.spec.own_parts import code_digests
    from specrun.spec.resolved import load_resolved
    from specrun.steps.evaluate.load import load_model
    from specrun.tasks.causal_lm.text import stream_text
    from specrun.tokenizers.contract import END_OF_TEXT, encode_prompt, load_tokenizer
    from specrun.training.generation import generate

    spec = load_resolved(trained.spec, permission=permission)
    for kind, digest in code_digests(spec).items():
        if trained.own_code.get(kind, digest) != digest:
            print(visible_line(f"warning: code-changed: {trained.run_id} was trained with other code of {kind}"), file=sys.stderr)
    tokenizer = load_tokenizer(trained.tokenizer)
    end_of_text, vocab_size = tokenizer.token_to_id(END_OF_TEXT), tokenizer.get_vocab_size()
    ids = [*([end_of_text] if end_of_text is not None else []), *encode_prompt(tokenizer, prompt)]
    if not ids:
        raise UsageError("the prompt is empty, and this tokenizer has no token that begins a text", code="empty-prompt",
                         hint='give a first word: --prompt "The"')  # fmt: skip
    device = open_device(resolve(spec.hardware, probe()))
    model: Any = load_model(spec, trained.checkpoint, sizes=spec.task.sizes(spec, {"vocab_size": vocab_size}), device=device).to(
        device.place
    )
    written = generate(model, ids, tokens=tokens, sampling=sampling, device=device, stop_id=end_of_text, vocab_size=vocab_size)
    return stream_text(tokenizer.decode, ids, written)
