"""Rules about several devices: what does not go together is told before anything starts."""

from __future__ import annotations

import pytest

from specrun.spec.rules.batch_not_divisible import sharing_problems
from specrun.spec.rules.devices_exceed_machine import device_problems
from specrun.steps.train.step import what_shapes_masks
from tests.spec.specs import MINIMAL, check, load

TORCHRUN = MINIMAL + "hardware: {engine: torchrun, devices: 4}\n"


def found(text: str) -> list[tuple[str, str, str | None]]:
    return [(d.code, d.message, d.hint) for d in check(text).diagnostics]


def test_a_batch_that_devices_cannot_share_evenly_is_told_the_sizes_beside_it():
    text = TORCHRUN + "schedule: {batch_size: 30, micro_batch_size: 2}\n"
    assert found(text) == [("batch-not-divisible", "batch_size 30 is not a multiple of 4 devices x 2", "use 24 or 32")]
    assert found(TORCHRUN + "schedule: {batch_size: 2}\n") == [
        ("batch-not-divisible", "batch_size 2 is not a multiple of 4 devices", "use 4")
    ]
    assert found(TORCHRUN + "schedule: {batch_size: 32, micro_batch_size: 2}\n") == []


def test_machines_count_like_devices():
    text = MINIMAL + "hardware: {engine: torchrun, devices: 2, nodes: 3}\nschedule: {batch_size: 8}\n"
    assert found(text) == [("batch-not-divisible", "batch_size 8 is not a multiple of 6 devices", "use 6 or 12")]


def test_the_devices_that_the_machine_has_are_counted_where_the_spec_leaves_it_to_it():
    spec = load(MINIMAL + "hardware: {engine: torchrun}\nschedule: {batch_size: 9}\n").spec
    assert [p.hint for p in sharing_problems(spec, workers=2)] == ["use 8 or 10"]
    assert not list(sharing_problems(spec, workers=3))


@pytest.mark.parametrize("key", ["devices: 2", "nodes: 2"])
def test_several_devices_need_an_engine_that_starts_them(key):
    ((code, _, hint),) = found(MINIMAL + f"hardware: {{{key}}}\n")
    assert code == "devices-without-torchrun"
    assert hint == f"use engine: torchrun, or {key.replace('2', '1')}"


def test_one_device_needs_no_engine():
    assert found(MINIMAL + "hardware: {devices: 1, nodes: 1}\n") == []


def test_a_strategy_of_one_process_has_no_effect():
    assert [code for code, _, _ in found(MINIMAL + "hardware: {strategy: ddp}\n")] == ["option-without-effect"]


def test_devices_that_the_machine_lacks_are_an_error_of_gpus_and_of_processors():
    spec = load(TORCHRUN).spec
    assert [(p.severity, p.hint) for p in device_problems(spec, gpus=2, cores=8)] == [("error", "use 2 or auto")]
    assert [(p.severity, p.hint) for p in device_problems(spec, gpus=0, cores=2)] == [("error", "use 2 or fewer")]
    assert [p.hint for p in device_problems(spec, gpus=0, cores=1)] == ["use 1, or engine: local"]
    assert not list(device_problems(spec, gpus=4, cores=1))
    assert not list(device_problems(spec, gpus=0, cores=4))


def test_masks_that_would_follow_the_machine_are_refused():
    dropout = MINIMAL.replace("kind: gpt", "kind: gpt, dropout: 0.1")
    assert dropout != MINIMAL
    torchrun = "hardware: {engine: torchrun%s}\n"
    assert [code for code, _, _ in found(dropout + torchrun % "")] == ["masks-follow-devices"]
    assert found(dropout + torchrun % ", devices: 2") == []
    assert found(dropout + torchrun % "" + "schedule: {micro_batch_size: 4}\n") == []
    assert found(MINIMAL + torchrun % "") == []
    documents = dropout.replace("data:", "data:\n  packing: documents") + "schedule: {micro_batch_size: 4}\n"
    assert [code for code, _, _ in found(documents + torchrun % "")] == ["masks-follow-devices"]
    assert found(documents + torchrun % ", devices: 2") == []


IMAGES = """
version: 1
name: images
task: {kind: image_classification}
data: {source: {kind: image_folder, path: images}, split: {kind: ratio}}
model: {kind: cnn%s}
"""


def test_batch_norm_does_not_follow_the_machine_whatever_the_micro_batch():
    torchrun = "hardware: {engine: torchrun%s}\nschedule: {micro_batch_size: 4}\n"
    assert [code for code, _, _ in found(IMAGES % "" + torchrun % "")] == ["masks-follow-devices"]
    assert found(IMAGES % "" + torchrun % ", devices: 2") == []
    assert found(IMAGES % ", norm: group" + torchrun % "") == []


def test_with_batch_norm_alone_the_micro_batch_and_the_devices_count_in_the_key():
    def shaped(model, devices, micro_batch):
        hardware = f"hardware: {{engine: torchrun, devices: {devices}}}\nschedule: {{batch_size: 16, micro_batch_size: {micro_batch}}}\n"
        return what_shapes_masks(load(IMAGES % model + hardware).spec)

    assert shaped("", 2, 4) not in (shaped("", 4, 4), shaped("", 2, 8))
    assert shaped(", norm: group", 2, 4) == shaped(", norm: group", 4, 4) == shaped(", norm: group", 2, 8)
