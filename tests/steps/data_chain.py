"""Runs the data, tokenizer and tokens steps of a spec one after the other, as the engine would, without its store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.events import Alert, Event
from specrun.models.gpt.options import Options as Gpt
from specrun.plan.step import Step, StepResult
from specrun.runtime.hardware import probe, resolve
from specrun.sources.contract import load_text
from specrun.spec.document import Spec
from specrun.spec.parts import options_class
from specrun.spec.section import Part
from specrun.spec.sections.data import Columns, Data
from specrun.spec.sections.hardware import Hardware
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.data.run import run as run_data
from specrun.steps.tokenizer.run import run as run_tokenizer
from specrun.steps.tokens.run import run as run_tokens
from specrun.tasks.causal_lm.options import Options as CausalLm

RUN = {"data": run_data, "tokenizer": run_tokenizer, "tokens": run_tokens}

__all__ = ["Chain", "DataError", "load_text", "part", "spec_of"]


def part(family: str, options: Mapping[str, Any]) -> Part:
    """A part from its options as a spec has them."""
    return options_class(family, options["kind"])(**options)


def spec_of(
    source: Mapping[str, Any],
    *,
    split: Mapping[str, Any] | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    fallback: Mapping[str, Any] | None = None,
    column: str = "text",
    limit: int | None = None,
) -> Spec:
    """A spec with this data and defaults elsewhere."""
    data = Data(
        source=part("source", source),
        fallback=part("source", fallback) if fallback else None,
        columns=Columns(text=column),
        split=part("split", split or {"kind": "ratio"}),
        tokenizer=part("tokenizer", tokenizer or {"kind": "byte"}),
        limit=limit,
    )
    return Spec.model_construct(version=1, name="data", seeds=(0,), task=CausalLm(kind="causal_lm"), data=data, model=Gpt(kind="gpt"))


class Chain:
    """The three steps in a folder of their own each. events: all that was emitted."""

    def __init__(self, spec: Spec, folder: Path, *, base: Path | None = None, data_root: Path | None = None, smoke: bool = False) -> None:
        self.spec, self.folder, self.base, self.data_root, self.smoke = spec, folder, base or folder, data_root, smoke
        self.events: list[Event] = []
        self.outputs: dict[str, StepOutput] = {}

    def run(self, *kinds: str) -> StepOutput:
        """Run these steps; returns the last one's output."""
        for kind in kinds:
            folder = self.folder / kind
            folder.mkdir()
            inputs = {name: self._input(name) for name in self.outputs}
            self.outputs[kind] = RUN[kind](self._context(kind, folder), self.spec, inputs)
        return self.outputs[kinds[-1]]

    def all(self) -> StepOutput:
        """Run the three; returns the tokens step's output."""
        return self.run("data", "tokenizer", "tokens")

    @property
    def alerts(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, Alert)]

    def _input(self, kind: str) -> StepInput:
        result = StepResult(kind, kind, "key", kind, self.outputs[kind].values, {}, 0.0, "")
        return StepInput(self.folder / kind, result)

    def _context(self, kind: str, folder: Path) -> StepContext:
        return StepContext(
            step=Step(kind, kind, "key", (), {}),
            folder=folder,
            store=self.folder,
            emit=self.events.append,
            hardware=resolve(Hardware(), probe()),
            stop_requested=lambda: None,
            base_folder=lambda _: self.base,
            data_root=self.data_root,
            smoke=self.smoke,
        )
