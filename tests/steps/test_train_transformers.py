"""A model of the transformers library in a training: going on changes no bit, and what it began in is needed no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import ALPHABET, SIZES, Listener, context, hardware, parents, q, spec, stop_after

from specrun.errors import InterruptedRun
from specrun.models.transformers.options import Options
from specrun.runtime.device import open_device
from specrun.spec.sections.parameters import Average, Parameters
from specrun.spec.sections.schedule import Checkpoint, Evaluate
from specrun.steps.evaluate.load import load_model
from specrun.steps.train.run import run


def test_going_on_with_trained_weights_changes_no_bit_and_the_model_outlives_its_folder(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(ALPHABET) + 2, n_positions=8, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    asked = spec(
        duration=q("6 steps"), micro_batch_size=2, evaluate=Evaluate(every=q("3 steps"), samples=1),
        checkpoint=Checkpoint(every=q("3 steps")),
        parameters=Parameters(average=Average(decay=0.8)),
    ).model_copy(update={"model": Options(kind="transformers", name=str(tmp_path / "model"))})  # fmt: skip
    data, straight, stopped = parents(tmp_path), Listener(), Listener()
    output = run(context(tmp_path / "straight", straight), asked, data)
    with pytest.raises(InterruptedRun):
        run(context(tmp_path / "stopped", stopped, stop=stop_after(4)), asked, data)
    run(context(tmp_path / "stopped", stopped), asked, data)
    files = sorted((tmp_path / "straight" / "checkpoints").glob("*-*6/*"))
    assert {"model.safetensors", "average.safetensors", "optimizer.safetensors", "config.json"} <= {file.name for file in files}
    for file in files:
        if file.suffix == ".safetensors":
            tensors, other = load_file(file), load_file(tmp_path / "stopped" / file.relative_to(tmp_path / "straight"))
            assert all(torch.equal(other[name], tensor) for name, tensor in tensors.items())
    assert straight.metric("validation/loss") == stopped.metric("validation/loss")
    (tmp_path / "model").rename(tmp_path / "away")
    best = tmp_path / "straight" / str(output.values["best_checkpoint"])
    model = load_model(asked, best, sizes=SIZES, device=open_device(hardware()))
    weights = load_file(best / "model.safetensors")
    assert all(torch.equal(weights[name], parameter) for name, parameter in model.named_parameters())
