"""Blocks compiled in place: same names, same numbers, counted; what fails is computed as it is, from the start of its step.

No test here runs Inductor: `aot_eager` and backends of ours trace and fail as it does, in a fraction of a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

from specrun.errors import SpecrunError
from specrun.models.gpt.build import GPT, build
from specrun.models.gpt.options import Options as Gpt
from specrun.runtime import compilation
from specrun.runtime.compilation import Compilation, CompileFigures, Note, blocks_of, compile_blocks

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
"""torch's compiler looks at it itself, and ignores what it says."""

IDS = torch.arange(32).view(4, 8) % 9


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.setattr(compilation, "_USERS_CACHE", None)
    torch.set_num_threads(1)
    yield
    torch.compiler.reset()


def gpt(**more: Any) -> GPT:
    torch.manual_seed(3)
    return build(Gpt(kind="gpt", num_layers=3, width=16, num_heads=2, **more), vocab_size=9, sequence_length=8)


def step(model: GPT, ids: Tensor = IDS) -> Tensor:
    torch.manual_seed(5)
    loss = model.hidden(ids).square().mean()
    loss.backward()
    return loss.detach()


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def compiled(model: nn.Module, backend: Any = "aot_eager", folder: Path = Path("nowhere")) -> Compilation:
    return compile_blocks(model, mode="default", cache_folder=folder, backend=backend)


def forgetting(model: nn.Module) -> Callable[[str], None]:
    return lambda failure: model.zero_grad()


def attempt(it: Compilation, model: GPT, ids: Tensor = IDS) -> Tensor:
    return it.attempt(partial(step, model, ids), undo=forgetting(model))


def assert_equal(a: list[Tensor], b: list[Tensor]) -> None:
    assert len(a) == len(b) > 0
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("more", [{}, {"architecture": "llama", "num_kv_heads": 1}, {"dropout": 0.2}])
def test_compiled_blocks_compute_what_eager_ones_do_under_the_same_names(more: dict[str, Any]) -> None:
    eager, model = gpt(**more), gpt(**more)
    it = compiled(model)
    assert list(model.state_dict()) == list(eager.state_dict())
    assert attempt(it, model).item() == pytest.approx(step(eager).item(), abs=1e-6)
    for a, b in zip(gradients(model), gradients(eager), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
    assert it.figures.seconds > 0
    assert (it.figures.graphs, it.figures.graph_breaks, it.figures.recompilations) == (1, 0, 0), "equal blocks share one graph"
    assert it.take_notes() == []
    assert it.take_seconds() == it.figures.seconds
    assert it.take_seconds() == 0


def test_a_block_that_computes_its_activations_a_second_time_is_compiled_too() -> None:
    eager, model = gpt(dropout=0.2), gpt(dropout=0.2)
    for network in (eager, model):
        network.checkpoint_activations(enabled=True)
    it = compiled(model)
    assert attempt(it, model).item() == pytest.approx(step(eager).item(), abs=1e-6)
    for a, b in zip(gradients(model), gradients(eager), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
    assert (it.figures.graphs, it.figures.graph_breaks) == (1, 0)


def test_another_shape_is_a_recompilation_and_the_same_one_is_none() -> None:
    model = gpt()
    it = compiled(model)
    counts = []
    for rows in (4, 4, 2, 4, 2):
        attempt(it, model, IDS[:rows])
        counts.append((it.figures.graphs, it.figures.recompilations))
    assert counts == [(1, 0), (1, 0), (2, 1), (2, 1), (2, 1)]


def test_what_judges_and_what_generates_is_not_compiled() -> None:
    model = gpt()
    it = compiled(model)
    attempt(it, model)
    model.eval()
    with torch.no_grad():
        judged = model.hidden(IDS[:, :5])
        cache = model.new_cache()
        for position in range(4):
            model.hidden(IDS[:1, position : position + 1], cache)
    assert it.figures.graphs == 1
    assert torch.equal(judged, gpt().eval().hidden(IDS[:, :5]))


class Broken(nn.Module):
    """A model whose block falls into two graphs."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        torch._dynamo.graph_break()
        return self.inner(x)


def test_graph_breaks_are_counted_from_the_start_of_the_run() -> None:
    for _ in range(2):
        model = Broken()
        it = compiled(model)
        it.attempt(lambda model=model: model(torch.ones(2, 3)).sum().backward(), undo=forgetting(model))  # type: ignore[misc]
        assert it.figures.graph_breaks == 1
        assert it.figures.metrics()["compile/graph_breaks"] == 1.0
        assert set(it.figures.metrics()) == {f"compile/{name}" for name in ("seconds", "graphs", "graph_breaks", "recompilations")}


def failing(at: int, *, backward: bool = False) -> Callable[..., Any]:
    """A backend that fails at its `at`-th graph: of the forward pass, or of the backward pass."""
    made = 0

    def count(graph: Any, inputs: Any) -> Any:
        nonlocal made
        made += 1
        if made == at:
            raise RuntimeError("no such instruction\nand pages of advice")
        return make_boxed_func(graph)

    def keep(graph: Any, inputs: Any) -> Any:
        return make_boxed_func(graph)

    found: Callable[..., Any] = aot_autograd(fw_compiler=keep if backward else count, bw_compiler=count if backward else keep)
    return found


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_failure_to_compile_falls_back_to_eager_without_half_a_gradient(at: int, *, backward: bool) -> None:
    def parts(model: GPT) -> Tensor:
        return torch.stack([step(model, part) for part in IDS.split(3)])

    eager, model = gpt(dropout=0.2), gpt(dropout=0.2)
    it = compiled(model, failing(at, backward=backward))
    losses = it.attempt(partial(parts, model), undo=forgetting(model))
    assert torch.equal(losses, parts(eager))
    assert_equal(gradients(model), gradients(eager))
    assert it.failed
    (note,) = it.take_notes()
    assert note == Note("compile-failed", "compiling the model failed, training goes on eagerly: RuntimeError: no such instruction")
    before = it.figures.graphs
    attempt(it, model, IDS[:1])
    assert it.figures.graphs == before
    assert it.take_notes() == []


def test_an_error_of_the_model_itself_is_raised_as_it_is_and_is_no_failure_to_compile() -> None:
    model = gpt()
    it = compiled(model)
    attempt(it, model)
    with pytest.raises(AssertionError, match="9 positions, the model has 8"):
        attempt(it, model, torch.zeros(1, 9, dtype=torch.int64))
    assert not it.failed
    assert it.take_notes() == []


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"),
        SpecrunError("a fact", code="a-code"),
    ],
)
def test_what_no_compiler_fails_by_is_left_to_who_can_help(failure: Exception) -> None:
    it, model, calls = compiled(gpt()), gpt(), []

    def compute() -> None:
        calls.append(1)
        raise failure

    with pytest.raises(type(failure)) as raised:
        it.attempt(compute, undo=forgetting(model))
    assert raised.value is failure
    assert calls == [1]
    assert not it.failed


def test_where_nothing_can_be_taken_back_who_can_help_is_told_why() -> None:
    model = gpt()
    it = compiled(model, failing(1, backward=True))

    def undo(failure: str) -> None:
        raise LookupError(failure)

    with pytest.raises(LookupError, match="RuntimeError: no such instruction"):
        it.attempt(partial(step, model), undo=undo)
    assert not it.failed


@pytest.mark.parametrize(("asked", "without"), [("reduce-overhead", "default"), ("max-autotune", "max-autotune-no-cudagraphs")])
def test_a_mode_without_its_graphs_is_torchs_own_that_differs_in_that_alone(
    asked: str, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = torch._inductor.list_mode_options()
    assert {name: value for name, value in options[asked].items() if "cudagraphs" not in name} == options[without]
    modes: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda f, *, mode, **_: (modes.append(mode), f)[1])
    model = gpt()
    it = compile_blocks(model, mode=asked, kind="cuda", cache_folder=Path("nowhere"))
    it.leave_out_graphs()
    assert modes == [asked] * 3 + [without] * 3
    assert (it.mode, it.graphs) == (without, False)


def test_what_was_compiled_with_graphs_is_counted_on_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    marks: list[int] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(1))
    model = gpt()
    it = compile_blocks(model, mode="reduce-overhead", kind="cuda", cache_folder=Path("nowhere"), backend="aot_eager")
    before = attempt(it, model)
    it.leave_out_graphs()
    model.zero_grad()
    assert torch.equal(attempt(it, model), before)
    assert (it.figures.graphs, it.figures.recompilations, it.failed) == (2, 0, False)
    assert len(marks) == 1
    assert [note.code for note in it.take_notes()] == ["cuda-graphs-left-out"]


@pytest.mark.parametrize(("mode", "kind"), [("default", "cuda"), ("max-autotune", "cpu")])
def test_what_records_no_graphs_is_told_so(mode: str, kind: str) -> None:
    assert not compile_blocks(gpt(), mode=mode, kind=kind, cache_folder=Path("nowhere"), backend="aot_eager").graphs


def test_more_shapes_than_torch_compiles_are_a_failure_and_not_a_silent_eager_run() -> None:
    model = gpt()
    it = compiled(model)
    with torch._dynamo.config.patch(recompile_limit=2):
        for rows in (1, 2, 3):
            attempt(it, model, IDS[:rows])
    assert it.failed
    assert "recompile limit" in it.take_notes()[0].message


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)  # type: ignore[no-any-return]

    def hidden(self, x: Tensor) -> Tensor:
        return self.body(x)  # type: ignore[no-any-return]


class Named(Whole):
    def compiled_blocks(self) -> list[nn.Module]:
        return [self.body]


def test_a_model_says_what_is_compiled_by_a_method_or_by_its_blocks_or_is_compiled_whole() -> None:
    whole, named, decoder = Whole(), Named(), gpt()
    assert list(blocks_of(whole)) == [whole]
    assert list(blocks_of(named)) == [named.body]
    assert list(blocks_of(decoder)) == list(decoder.blocks)


def test_what_is_never_called_is_told_once() -> None:
    model = Whole()
    it = compiled(model)
    it.attempt(lambda: model.hidden(torch.ones(1, 2)).sum().backward(), undo=forgetting(model))
    assert [note.code for note in it.take_notes()] == ["compile-without-effect"]
    assert it.take_notes() == []


def test_what_is_compiled_is_kept_in_the_given_folder_unless_the_user_named_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        compiled(Whole(), folder=tmp_path / str(number))
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / str(number))
    monkeypatch.setattr(compilation, "_USERS_CACHE", "/somewhere/else")
    compiled(Whole(), folder=tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/somewhere/else"


def test_a_run_starts_from_nothing_that_another_compiled() -> None:
    figures = []
    for _ in range(2):
        model = gpt()
        it = compiled(model)
        attempt(it, model)
        figures.append(it.figures)
    assert [(it.graphs, it.recompilations) for it in figures] == [(1, 0), (1, 0)]
    assert CompileFigures() == CompileFigures(0.0, 0, 0, 0)
