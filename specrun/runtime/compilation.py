"""A model's blocks compiled by torch, each in place, so that no weight changes its name; counted, timed, and given up where it fails.

Only training is compiled: evaluations and generated texts come in other shapes, each of which would be compiled anew, and are a small
part of a run (docs/benchmarks.md has the figures). A block that judges or writes is therefore called as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from specrun.errors import SpecrunError
from specrun.runtime.compilers import WITHOUT_GRAPHS
from specrun.runtime.distributed import lost_worker
from specrun.runtime.exhaustion import is_out_of_memory
from specrun.runtime.protocols import CompiledInBlocks

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_USERS_CACHE = os.environ.get(_CACHE_VARIABLE)
"""Where the user wants it, as it was before torch wrote its own choice into the same variable."""
_MESSAGE_CHARACTERS = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CompileFigures:
    """What compiling came to in this process. graphs: compiled pieces; graph_breaks: places where a block falls into several;
    recompilations: graphs made again for another shape or setting; seconds: all of it."""

    seconds: float = 0.0
    graphs: int = 0
    graph_breaks: int = 0
    recompilations: int = 0

    def metrics(self) -> dict[str, float]:
        """The figures by their names in the record."""
        return {f"compile/{name}": float(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Note:
    """Something to warn of. code: as an alert has it."""

    code: str
    message: str


class Compilation:
    """The compiled blocks of one model in training. mode: torch.compile's; failed: whether they were given up; graphs: whether CUDA
    graphs are recorded.

    What fails to compile is computed as it is, from the beginning of the optimizer step that it failed in, and to the end of the run.
    """

    def __init__(self, model: nn.Module, *, mode: str, kind: str = "cpu", backend: str = "inductor") -> None:
        self.mode = mode
        self.failed = False
        self.graphs = kind == "cuda" and mode in WITHOUT_GRAPHS
        self._model, self._backend = model, backend
        self._counted = _Counted()
        self._told_seconds, self._notes, self._used = 0.0, list[Note](), False
        self._compile()

    @property
    def figures(self) -> CompileFigures:
        return self._counted.figures

    def attempt(self, compute: Callable[[], T], *, undo: Callable[[str], None]) -> T:
        """What `compute` returns. Where it fails though it does not without compiling, the compiled blocks are given up.

        undo: takes back what a failed `compute` has changed, told by what; or raises where that cannot be. Only a second, eager trial
        tells a failure to compile from one of the model.
        """
        if self.failed:
            return compute()
        try:
            if self.graphs:  # they write their results where those of the step before were
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return compute()
        except Exception as error:
            if is_out_of_memory(error) or isinstance(error, SpecrunError) or lost_worker(error):
                raise
            failure = error
        undo(_said(failure))
        self.failed = True
        try:
            result = compute()
        except Exception:
            self.failed = False
            raise
        self._notes.append(Note("compile-failed", f"compiling the model failed, training goes on eagerly: {_said(failure)}"))
        return result

    def leave_out_graphs(self) -> None:
        """Compile by the same mode without CUDA graphs from here on; to be called between two steps, for one of several micro-batches.

        Gradients stay where a graph has written them, so that each micro-batch would have its own recordings of every block, and
        memory for them: the larger the batch, the more.
        """
        asked, self.mode, self.graphs = self.mode, WITHOUT_GRAPHS[self.mode], False
        torch.compiler.reset()  # which lets go of what was recorded
        self._counted.listen()
        self._compile()
        self._notes.append(Note("cuda-graphs-left-out", f"a step has several micro-batches, and {asked} would record CUDA graphs for each "
                                f"of them; the model is compiled by {self.mode}, which records none"))  # fmt: skip

    def document(self) -> dict[str, Any]:
        """What the result of a training keeps of it; figures are of this attempt."""
        return {"mode": self.mode, "failed": self.failed, **asdict(self.figures)}

    def take_seconds(self) -> float:
        """Seconds of compiling since the last call."""
        seconds = self._counted.figures.seconds
        spent, self._told_seconds = seconds - self._told_seconds, seconds
        return spent

    def take_notes(self) -> list[Note]:
        """What a person should know since the last call. To be asked after a step."""
        if not (self._used or self.failed or self._counted.figures.graphs):
            self._notes.append(Note("compile-without-effect", "nothing was compiled: what the model says is compiled is never called"))
        self._used = True
        notes, self._notes = self._notes, []
        return notes

    def _compile(self) -> None:
        for block in blocks_of(self._model):
            _compile_training(block, self, backend=self._backend)


def compile_blocks(model: nn.Module, *, mode: str, cache_folder: Path, kind: str = "cpu", backend: str = "inductor") -> Compilation:
    """Have the blocks of a model compiled at their first call in training. cache_folder: keeps what was compiled, for later processes;
    kind: of the device.

    Forgets what this process has compiled before, so that a run's record does not depend on what ran earlier.
    """
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    os.environ[_CACHE_VARIABLE] = _USERS_CACHE or str(cache_folder.absolute())
    torch.compiler.reset()
    inductor.fx_graph_cache = True
    if not torch.cuda.is_available():
        # One kernel's compiler is a process of its own anyway; workers would each import torch first, seconds on two cores.
        inductor.compile_threads = 1
    # Beyond the limit torch would compute eagerly and only log it.
    dynamo.fail_on_recompile_limit_hit = True
    return Compilation(model, mode=mode, kind=kind, backend=backend)


def blocks_of(model: nn.Module) -> Iterable[nn.Module]:
    """The modules that are compiled, each for itself: those that the model names, else its `blocks`, else the whole of it."""
    if isinstance(model, CompiledInBlocks):
        return model.compiled_blocks()
    blocks = getattr(model, "blocks", None)
    return cast("Iterable[nn.Module]", blocks) if isinstance(blocks, nn.ModuleList) else (model,)


def _compile_training(block: nn.Module, compilation: Compilation, *, backend: str) -> None:
    """Have a block computed by compiled code where gradients are wanted. What nn.Module.compile sets is set, with the choice in front."""
    eager: Callable[..., Any] = block._call_impl  # noqa: SLF001 - the method that nn.Module.compile compiles
    options: dict[str, Any] = {"mode": compilation.mode} if backend == "inductor" else {}  # a test's backend has no modes
    compiled = torch.compile(eager, backend=backend, dynamic=False, **options)

    def call(*args: Any, **kwargs: Any) -> Any:
        wanted = block.training and torch.is_grad_enabled() and not compilation.failed
        return compiled(*args, **kwargs) if wanted else eager(*args, **kwargs)

    block._compiled_call_impl = call  # noqa: SLF001


def _said(failure: Exception) -> str:
    """What a failure says, in a line: torch's messages go on with pages of advice. The innermost says most."""
    cause: BaseException = failure
    while (inner := getattr(cause, "inner_exception", None) or cause.__cause__) is not None:
        cause = inner
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:_MESSAGE_CHARACTERS] if lines else 'it said nothing'}"


class _Counted:
    """Listens to torch's compiler. Forgotten by torch at the next `torch.compiler.reset()`."""

    def __init__(self) -> None:
        from torch._dynamo.utils import counters

        self._breaks = counters["graph_break"]
        self._breaks_before = self._breaks.total()
        self._seconds, self._graphs, self._recompilations = 0.0, 0, 0
        self._since = 0.0
        self.listen()

    def listen(self) -> None:
        """Have torch tell of what it compiles, until it is reset."""
        from torch._dynamo.callback import callback_handler

        callback_handler.register_start_callback(self._begin)
        callback_handler.register_end_callback(self._end)

    @property
    def figures(self) -> CompileFigures:
        return CompileFigures(self._seconds, self._graphs, self._breaks.total() - self._breaks_before, self._recompilations)

    def _begin(self, args: Any) -> None:
        self._since = time.perf_counter()

    def _end(self, args: Any) -> None:
        self._seconds += time.perf_counter() - self._since
        if args.callback_trigger.name == "DYNAMO":  # the backward pass of a graph is compiled later, and is part of it
            self._graphs += 1
            self._recompilations += _times_before(args.compile_id) > 0


def _times_before(compile_id: str) -> int:
    """How often the same code was compiled before. compile_id: torch's, `[autograd/]frame/times[_attempt]`."""
    return int(compile_id.rpartition("/")[2].partition("_")[0])
