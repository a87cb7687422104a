"""Models of the transformers library: what it computes itself is what the adapters compute, in one go, with a cache, and beside padding."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import DataError, MissingExtraError, SpecrunError
from specrun.models.transformers.build import build
from specrun.models.transformers.options import Options
from specrun.runtime.factory import load_factory
from tests.waits import Waits

V = 50
BODY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SIDES = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
         "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 40}  # fmt: skip
MADE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2", "LMHeadModel", {"n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}),
    "llama": ("Llama", "ForCausalLM", BODY | {"max_position_embeddings": 32}),
    "mistral": ("Mistral", "ForCausalLM", BODY | {"max_position_embeddings": 32, "num_key_value_heads": 1, "sliding_window": 4}),
    "gemma2": ("Gemma2", "ForCausalLM", BODY | {"head_dim": 8, "num_key_value_heads": 1}),
    "bert": ("Bert", "ForMaskedLM", BODY | {"max_position_embeddings": 32}),
    "roberta": ("Roberta", "ForMaskedLM", BODY | {"max_position_embeddings": 34}),
    "t5": ("T5", "ForConditionalGeneration", {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 2, "num_heads": 2,
                                              "decoder_start_token_id": 0}),
    "bart": ("Bart", "ForConditionalGeneration", SIDES),
    "marian": ("Marian", "MTModel", SIDES | {"pad_token_id": 49, "decoder_start_token_id": 49, "decoder_vocab_size": V}),
    "vit": ("ViT", "ForImageClassification", BODY | {"image_size": 8, "patch_size": 4}),
    "resnet": ("ResNet", "ForImageClassification", {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}),
}  # fmt: skip
TEXT = {"vocab_size": V, "sequence_length": 12}


def theirs(case: str, *, seed: int = 0) -> Any:
    """A model of the library's whose weights, biases too, make every part matter."""
    kind, head, sizes = MADE[case]
    config = getattr(transformers, f"{kind}Config")(**({} if kind in ("ViT", "ResNet") else {"vocab_size": V}), **sizes)
    torch.manual_seed(seed)
    network = getattr(transformers, f"{kind}{head}")(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        if case == "marian":
            network.final_logits_bias.normal_()
    return network


def folder_of(case: str, folder: Path) -> Path:
    transformers.utils.logging.disable_progress_bar()
    theirs(case).save_pretrained(folder)
    return folder


def ours(folder: Path, interface: str, *, init: str = "pretrained", sizes: dict[str, Any] = TEXT, **options: Any) -> Any:
    torch.manual_seed(5)
    return build(Options(kind="transformers", name=str(folder), init=init, **options), interface=interface, **sizes).eval()


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(3, 40, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("case", ["gpt2", "llama", "mistral"])
@torch.no_grad()
def test_a_model_that_writes_computes_what_the_library_does_and_no_less_with_a_cache(case: str, tmp_path: Path) -> None:
    model, ids = ours(folder_of(case, tmp_path), "language_model"), some_ids(2, 12)
    expected, cache = theirs(case)(input_ids=ids).logits, model.new_cache()
    torch.testing.assert_close(F.linear(model.hidden(ids), model.head_VC), expected, atol=1e-5, rtol=1e-5)
    pieces = [model.hidden(part, cache) for part in (ids[:, :7], *ids[:, 7:].split(1, dim=1))]
    torch.testing.assert_close(F.linear(torch.cat(pieces, dim=1), model.head_VC), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["bert", "roberta"])
@torch.no_grad()
def test_a_model_that_fills_in_words_computes_what_the_library_does_whatever_is_padding(case: str, tmp_path: Path) -> None:
    model, ids, lengths = ours(folder_of(case, tmp_path), "masked_language_model"), some_ids(3, 12), torch.tensor([12, 5, 1])
    kept = torch.arange(12) < lengths[:, None]
    expected = theirs(case)(input_ids=ids, attention_mask=kept.long()).logits
    torch.testing.assert_close(F.linear(model.hidden(ids, lengths), model.head_VC)[kept], expected[kept], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(F.linear(model.hidden(ids), model.head_VC), theirs(case)(input_ids=ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["t5", "bart", "marian"])
@torch.no_grad()
def test_a_model_that_translates_computes_what_the_library_does_with_a_cache_whose_rows_change_places(case: str, tmp_path: Path) -> None:
    model, source, target = ours(folder_of(case, tmp_path), "seq2seq"), some_ids(3, 8), some_ids(3, 6)
    lengths, network = torch.tensor([8, 4, 2]), theirs(case)
    kept = torch.arange(8) < lengths[:, None]
    begun = torch.cat((torch.full((3, 1), network.config.decoder_start_token_id), target[:, 1:]), dim=1)
    expected = network(input_ids=source, attention_mask=kept.long(), decoder_input_ids=begun).logits
    memory = model.encode(source, lengths)
    torch.testing.assert_close(F.linear(model.decode(target, memory, lengths), model.head_VC), expected, atol=1e-5, rtol=1e-5)
    rows, cache = torch.tensor([2, 0]), model.new_cache()
    pieces = [model.decode(target[:, place : place + 1], memory, lengths, cache)[rows] for place in range(3)]
    cache.reorder(rows)
    memory, lengths = memory[rows], lengths[rows]
    pieces += [model.decode(target[rows, place : place + 1], memory, lengths, cache) for place in range(3, 6)]
    torch.testing.assert_close(F.linear(torch.cat(pieces, dim=1), model.head_VC), expected[rows], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_class_is_told_of_a_text_between_the_tokens_that_its_model_knows_it_between(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(V)} | {"a": 7}, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="w2 $A w3", special_tokens=[("w2", 2), ("w3", 3)])
    folder = folder_of("bert", tmp_path)
    tokenizer.save(str(folder / "tokenizer.json"))
    model, ids, lengths = ours(folder, "text_classifier", sizes=TEXT | {"num_classes": 3}), some_ids(3, 9), torch.tensor([9, 4, 0])
    network = model.network
    for row, length, logits in zip(ids, lengths.tolist(), model(ids, lengths), strict=True):
        alone = torch.cat((torch.tensor([2]), row[:length], torch.tensor([3])))[None]
        torch.testing.assert_close(network(input_ids=alone).logits[0], logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("init", ["pretrained", "scratch"])
@torch.no_grad()
def test_a_model_that_writes_tells_a_class_from_the_last_token_of_each_text(init: str, tmp_path: Path) -> None:
    model = ours(folder_of("gpt2", tmp_path), "text_classifier", init=init, sizes=TEXT | {"num_classes": 3})
    ids = torch.cat((some_ids(3, 8), torch.tensor([[V - 1], [V - 1], [0]])), dim=1)  # whatever id is padding elsewhere
    for length in (9, 5, 1):
        torch.testing.assert_close(model(ids, torch.tensor([9, length, 9]))[1], model(ids[1:2, :length], torch.tensor([length]))[0])


def test_what_the_data_decides_is_the_datas_and_weights_are_the_seeds_where_they_are_drawn(tmp_path: Path) -> None:
    folder, sizes = folder_of("bert", tmp_path), {"vocab_size": 23, "sequence_length": 9, "num_classes": 4}
    one, other = (ours(folder, "text_classifier", init="scratch", sizes=sizes) for _ in range(2))
    assert one.network.get_input_embeddings().num_embeddings == 23
    assert one(some_ids(1, 3) % 23, torch.tensor([3])).shape == (1, 4)
    states = one.state_dict(), other.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    pretrained = [ours(folder, "text_classifier", sizes=TEXT | {"num_classes": 4}).state_dict() for _ in range(2)]
    assert all(torch.equal(pretrained[0][name], pretrained[1][name]) for name in pretrained[0])


@pytest.mark.parametrize(("case", "interface"), [("gpt2", "language_model"), ("bert", "masked_language_model"), ("t5", "seq2seq")])
def test_a_checkpoint_has_shared_weights_once_and_is_taken_by_the_library_and_by_us(case: str, interface: str, tmp_path: Path) -> None:
    folder = folder_of(case, tmp_path / "given")
    model = ours(folder, interface, dropout=0.25)
    state, checkpoint = model.state_dict(), tmp_path / "checkpoint"
    parameters = dict(model.named_parameters())
    assert parameters.keys() <= state.keys()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    checkpoint.mkdir()
    save_file(state, checkpoint / "model.safetensors", metadata={"format": "pt"})
    for name, data in model.description_files().items():
        (checkpoint / name).write_bytes(data)
    loaded, found = type(model.network).from_pretrained(checkpoint, key_mapping={r"^network\.": ""}, output_loading_info=True)
    assert not any(found.values())
    assert all(torch.equal(tensor, loaded.state_dict()[name.removeprefix("network.")]) for name, tensor in state.items())
    restored = Options(kind="transformers", name=str(folder)).restored(checkpoint)
    again = load_factory(restored.factory)(restored, interface=interface, **TEXT)
    again.load_state_dict(state)
    assert {name: dict(again.named_parameters())[name].tolist() for name in parameters} == {n: p.tolist() for n, p in parameters.items()}
    assert [module.p for module in again.modules() if isinstance(module, torch.nn.Dropout)] == [
        module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)
    ]
    assert all(module.p == 0.25 for module in again.modules() if isinstance(module, torch.nn.Dropout))


@pytest.mark.parametrize(("case", "interface"), [("gpt2", "language_model"), ("t5", "seq2seq")])
def test_every_weight_learns_and_activations_computed_twice_give_the_same_gradients(case: str, interface: str, tmp_path: Path) -> None:
    folder, ids = folder_of(case, tmp_path), some_ids(2, 8)
    gradients = []
    for twice in (False, True):
        model = ours(folder, interface, init="scratch").train()
        if twice:
            model.checkpoint_activations()
        torch.manual_seed(3)
        hidden = model.hidden(ids)
        F.cross_entropy(F.linear(hidden, model.head_VC).flatten(0, 1), ids.flatten()).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert all(gradient is not None and gradient.any() for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


@pytest.mark.parametrize("case", ["gpt2", "llama", "bert", "roberta", "t5", "bart"])
def test_training_a_model_of_the_library_waits_for_no_device(case: str, tmp_path: Path) -> None:
    interface = {"gpt2": "language_model", "llama": "language_model", "t5": "seq2seq", "bart": "seq2seq"}.get(case, "text_classifier")
    sizes = TEXT | ({"num_classes": 2} if interface == "text_classifier" else {})
    model, ids, lengths = ours(folder_of(case, tmp_path), interface, sizes=sizes).train(), some_ids(3, 9), torch.tensor([9, 5, 2])
    with Waits() as reads:
        if interface == "text_classifier":
            found = model(ids, lengths)
        elif interface == "seq2seq":
            found = model.decode(ids, model.encode(ids, lengths), lengths)
        else:
            found = model.hidden(ids)
        found.sum().backward()
    assert reads.count == 0


@torch.no_grad()
def test_an_image_is_classified_as_the_library_does_and_another_size_is_the_datas_to_decide(tmp_path: Path) -> None:
    folder, sizes = folder_of("vit", tmp_path), {"channels": 3, "height": 8, "width": 8, "num_classes": 2}
    images, model = torch.randn(2, 3, 8, 8), ours(folder, "image_classifier", sizes=sizes)
    torch.testing.assert_close(model(images), theirs("vit")(pixel_values=images).logits)
    other = sizes | {"channels": 1, "height": 12}
    assert ours(folder, "image_classifier", init="scratch", sizes=other)(torch.randn(2, 1, 12, 8)).shape == (2, 2)
    with pytest.raises(SpecrunError) as found:
        ours(folder, "image_classifier", sizes=other)
    assert found.value.code == "image-size-of-another-model"


@pytest.mark.parametrize(
    ("case", "interface", "code", "more"),
    [
        ("bert", "language_model", "architecture-not-supported", {}),
        ("gemma2", "language_model", "architecture-not-supported", {}),
        ("gpt2", "seq2seq", "architecture-does-not-serve-task", {}),
        ("t5", "text_classifier", "architecture-not-supported", {"num_classes": 2}),
        ("resnet", "image_classifier", "batch-norm", {"channels": 3, "height": 8, "width": 8, "num_classes": 2}),
        ("gpt2", "language_model", "vocabulary-exceeds-model", {"vocab_size": V + 1}),
        ("roberta", "masked_language_model", "sequence-exceeds-positions", {"sequence_length": 33}),
    ],
)
def test_what_is_not_for_the_task_or_the_data_is_told_before_the_first_step(
    case: str, interface: str, code: str, more: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(SpecrunError) as found:
        ours(folder_of(case, tmp_path), interface, sizes=TEXT | more)
    assert found.value.code == code


def test_weights_that_are_not_the_configs_are_refused(tmp_path: Path) -> None:
    folder = folder_of("gpt2", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    with pytest.raises(SpecrunError) as found:
        ours(folder, "language_model")
    assert found.value.code == "weights-do-not-fit"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"auto_map": {"AutoModel": "code.Model"}}, "remote-code"), ({"quantization_config": {}}, "quantized-weights"), ({}, None)],
)
def test_code_and_pickles_of_a_repository_are_never_read(change: dict[str, Any], code: str | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"} | change))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    options = Options(kind="transformers", name=str(tmp_path), init="scratch" if code else "pretrained")
    problems = list(options.file_problems(("model",), tmp_path, None, "error"))
    assert [problem.code for problem in problems] == [code or "weights-not-safetensors"]
    with pytest.raises(SpecrunError) as found:
        build(options, interface="language_model", **TEXT)
    assert found.value.code == problems[0].code


def test_where_the_library_is_missing_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("gpt2", tmp_path)
    options = Options(kind="transformers", name=str(folder))
    assert not list(options.file_problems(("model",), tmp_path, None, "error"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.setitem(sys.modules, name, None)
    (problem,) = options.file_problems(("model",), tmp_path, None, "error")
    assert (problem.code, problem.hint) == ("missing-extra", "pip install 'specrun[transformers]'")
    with pytest.raises(MissingExtraError) as found:
        build(options, interface="language_model", **TEXT)
    assert found.value.hint == problem.hint


def test_a_model_of_the_hub_needs_a_commit_and_is_out_of_reach_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = Options(kind="transformers", name="owner/name").file_problems(("model",), tmp_path, None, "error")
    assert problem.code == "unpinned-revision"
    pinned = Options(kind="transformers", name="owner/name", revision="0" * 40)
    assert not list(pinned.file_problems(("model",), tmp_path, None, "error"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as found:
        build(pinned, interface="language_model", **TEXT)
    assert found.value.code == "hub-unreachable"
    mirror = folder_of("gpt2", tmp_path / "owner" / "name")
    assert pinned.placed(base=Path("elsewhere"), data_root=tmp_path).name == str(mirror)  # type: ignore[attr-defined]


def test_the_files_that_decide_a_model_are_those_that_are_read_of_it(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md", "pytorch_model.bin"):
        (tmp_path / name).write_text(name)
    read = {
        init: [file.name for file in Options(kind="transformers", name="m", init=init).local_inputs(base=tmp_path / "..", data_root=None)]
        for init in ("scratch", "pretrained")
    }
    assert read == {"scratch": [], "pretrained": []}
    options = Options(kind="transformers", name=str(tmp_path))
    assert [name for name, _ in options.input_roles(base=Path(), data_root=None)] == ["config.json", "model.safetensors", "tokenizer.json"]
    scratch = options.model_copy(update={"init": "scratch"})
    assert [file.name for file in scratch.local_inputs(base=Path(), data_root=None)] == ["config.json"]
