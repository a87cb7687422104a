"""The data step: what it stores and says, when the fallback stands in, and what leaks between splits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from data_chain import Chain, spec_of
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.events import Progress
from specrun.sources.document_file import read_documents
from specrun.spec.sections.checks import Checks
from specrun.spec.units import parse_quantity
from specrun.steps.data import leakage
from specrun.steps.data.leakage import LeakageCheck

LONG = "a line of text that is long enough to count as a document of its own"
GIVEN = {"kind": "given"}


def text_source(folder: Path, documents: str = "lines", **splits: str) -> dict[str, Any]:
    """A text source whose files hold these texts."""
    for name, text in splits.items():
        (folder / f"{name}.txt").write_text(text)
    return {"kind": "text", "path": {name: f"{name}.txt" for name in splits}, "documents": documents}


def stored(chain: Chain, split: str) -> list[str]:
    return list(read_documents(chain.folder / "data" / f"{split}.parquet"))


def test_what_is_stored_is_what_the_values_count(tmp_path: Path) -> None:
    chain = Chain(spec_of(text_source(tmp_path, train="one two\nthree\n\nfour é\n", validation="five\n"), split=GIVEN), tmp_path)
    output = chain.run("data")
    assert stored(chain, "train") == ["one two\n", "three\n", "four é\n"]
    train = output.values["splits"]["train"]
    assert (train["documents"], train["characters"], train["bytes"], train["words"]) == (3, 21, 22, 5)
    assert set(output.values["splits"]) == {"train", "validation"}
    assert output.values["comparable"] is True
    assert output.values["fallback_used"] is False
    assert "variant" not in output.values
    assert json.loads((tmp_path / "data" / "data.json").read_text()) == output.values
    assert set(output.artifacts) == {"train.parquet", "validation.parquet", "data.json"}
    assert any(isinstance(event, Progress) for event in chain.events)


def test_the_same_data_gives_the_same_values_and_files(tmp_path: Path) -> None:
    outputs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        chain = Chain(spec_of({"kind": "synthetic", "characters": 5000}), tmp_path / name)
        outputs.append((chain.run("data").values, (tmp_path / name / "data" / "train.parquet").read_bytes()))
    assert outputs[0] == outputs[1]


def test_empty_documents_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    source = text_source(tmp_path, "files", train="one", validation="two") | {
        "path": {"train": ("train.txt", "empty.txt"), "validation": "validation.txt"}
    }
    chain = Chain(spec_of(source, split=GIVEN), tmp_path)
    assert chain.run("data").values["empty_documents"] == 1
    assert stored(chain, "train") == ["one"]


def test_the_limit_takes_the_first_documents_of_each_split(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="1\n2\n3\n", validation="4\n5\n6\n")
    chain = Chain(spec_of(source, split=GIVEN, limit=2), tmp_path)
    chain.run("data")
    assert (stored(chain, "train"), stored(chain, "validation")) == (["1\n", "2\n"], ["4\n", "5\n"])


def test_a_smoke_run_reads_little_of_a_long_text(tmp_path: Path) -> None:
    source = text_source(tmp_path, "files", train="long " * 100_000, validation="long " * 100_000)
    values = Chain(spec_of(source, split=GIVEN), tmp_path, smoke=True).run("data").values
    assert {split: facts["characters"] for split, facts in values["splits"].items()} == {"train": 1 << 18, "validation": 1 << 15}


def test_a_smoke_run_stops_after_enough_documents(tmp_path: Path) -> None:
    source = text_source(tmp_path, train=f"{'x' * 999}\n" * 2000, validation=f"{'y' * 999}\n" * 2000)
    values = Chain(spec_of(source, split=GIVEN), tmp_path, smoke=True).run("data").values
    assert {split: facts["documents"] for split, facts in values["splits"].items()} == {"train": 263, "validation": 33}


@pytest.mark.parametrize(("test", "splits"), [(None, ["train", "validation"]), ("test", ["train", "validation", "test"])])
def test_a_fallback_stands_in_for_a_missing_source_and_is_never_silent(tmp_path: Path, test: str | None, splits: list[str]) -> None:
    split = {"kind": "given", "test": test} if test else GIVEN
    spec = spec_of({"kind": "text", "path": {"train": "no.txt", "validation": "no.txt"}}, split=split, fallback={"kind": "synthetic"})
    chain = Chain(spec, tmp_path)
    output = chain.run("data")
    assert list(output.values["splits"]) == splits
    assert output.values["comparable"] is False
    assert output.values["fallback_used"] is True
    assert output.values["source"]["kind"] == "synthetic"
    assert output.values["variant"].startswith("fallback ")
    assert chain.alerts == ["fallback-used"]
    assert "not comparable" in output.warnings[0]
    assert "no.txt" in output.warnings[0]


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_a_fallback_stands_in_for_a_hub_out_of_reach(tmp_path: Path) -> None:
    spec = spec_of({"kind": "huggingface", "path": "owner/corpus"}, split=GIVEN, fallback={"kind": "python_docs"})
    chain = Chain(spec, tmp_path)
    output = chain.run("data")
    assert chain.alerts == ["fallback-used"]
    assert "the Hugging Face Hub cannot be reached for owner/corpus" in output.warnings[0]
    assert output.values["splits"]["train"]["bytes"] > 300_000


def test_the_variant_of_a_fallback_is_its_text(tmp_path: Path) -> None:
    variants = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        spec = spec_of({"kind": "text", "path": "no.txt"}, fallback={"kind": "synthetic", "characters": 2000, "seed": seed})
        variants.append(Chain(spec, folder).run("data").values["variant"])
    assert variants[0] == variants[1] != variants[2]


def test_a_fallback_does_not_stand_in_for_data_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    chain = Chain(spec_of({"kind": "text", "path": "a.txt"}, fallback={"kind": "synthetic"}), tmp_path)
    with pytest.raises(DataError) as caught:
        chain.run("data")
    assert caught.value.code == "wrong-encoding"


def test_without_a_fallback_a_missing_source_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Chain(spec_of({"kind": "text", "path": "no.txt"}), tmp_path).run("data")
    assert caught.value.code == "missing-file"


def test_a_fallback_that_is_not_needed_leaves_no_trace(tmp_path: Path) -> None:
    values = {}
    for name, fallback in (("with", {"kind": "python_docs"}), ("without", None)):
        (tmp_path / name).mkdir()
        values[name] = Chain(spec_of({"kind": "synthetic"}, fallback=fallback), tmp_path / name).run("data").values
    assert values["with"] == values["without"]


def test_a_split_without_documents_is_an_error_that_names_it(tmp_path: Path) -> None:
    source = text_source(tmp_path, train="text\n", validation=" \n\n")
    with pytest.raises(DataError, match="the validation split is empty") as caught:
        Chain(spec_of(source, split=GIVEN), tmp_path).run("data")
    assert caught.value.code == "empty-split"
    assert str(caught.value.hint).startswith("set data.split.validation to one of the source's splits that has documents")


@pytest.mark.parametrize(
    ("shares", "empty", "hint"),
    [
        ({"validation": 0.99}, "train", "lower data.split.validation, or"),
        ({"validation": 0.5, "test": 0.49}, "train", "lower data.split.validation or data.split.test, or"),
        ({"kind": "hash", "validation": 1e-9}, "validation", "raise data.split.validation, or"),
    ],
)
def test_the_hint_of_an_empty_split_names_what_fills_it(tmp_path: Path, shares: dict[str, object], empty: str, hint: str) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    source = {"kind": "text", "path": str(tmp_path / "a.txt"), "documents": "lines"}
    with pytest.raises(DataError, match=f"the {empty} split is empty") as caught:
        Chain(spec_of(source, split={"kind": "ratio", **shares}), tmp_path).run("data")
    assert str(caught.value.hint).startswith(hint)


def test_a_source_of_blank_lines_is_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n\n")
    with pytest.raises(DataError, match="holds no text") as caught:
        Chain(spec_of({"kind": "text", "path": "a.txt", "documents": "lines"}), tmp_path).run("data")
    assert caught.value.code == "empty-corpus"


def test_documents_in_two_splits_are_counted_and_warned_about_with_an_example(tmp_path: Path) -> None:
    source = text_source(tmp_path, train=f"{LONG}\nother\n", validation=f"  {LONG}  \n{LONG}\nshort\n")
    chain = Chain(spec_of(source, split=GIVEN), tmp_path)
    output = chain.run("data")
    assert output.values["leakage"] == {"train/validation": 2}
    assert chain.alerts == ["duplicate-across-splits"]
    assert "2 documents of validation (66.7%) also in train" in output.warnings[0]
    assert "a line of text" in output.warnings[0]


def test_short_documents_and_those_repeated_inside_a_split_are_no_leak(tmp_path: Path) -> None:
    source = text_source(tmp_path, train=f"{LONG}\n{LONG}\n= heading =\n", validation="= heading =\n")
    output = Chain(spec_of(source, split=GIVEN), tmp_path).run("data")
    assert output.values["leakage"] == {"train/validation": 0}
    assert output.warnings == ()


def lines(count: int) -> str:
    return "".join(f"{LONG}, number {n}\n" for n in range(count))


def test_over_the_folds_each_document_validates_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(12))
    validated = []
    for fold in (1, 2, 3):
        (tmp_path / str(fold)).mkdir()
        split = {"kind": "kfold", "folds": 3, "fold": fold, "shuffle": True}
        chain = Chain(spec_of({"kind": "text", "path": "a.txt", "documents": "lines"}, split=split), tmp_path / str(fold), base=tmp_path)
        assert set(chain.run("data").values["splits"]) == {"train", "validation"}
        validated += stored(chain, "validation")
        assert sorted(stored(chain, "train") + stored(chain, "validation")) == sorted(lines(12).splitlines(keepends=True))
    assert sorted(validated) == sorted(lines(12).splitlines(keepends=True))


def test_fewer_documents_than_folds_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(3))
    spec = spec_of({"kind": "text", "path": "a.txt"}, split={"kind": "kfold", "fold": 1})
    with pytest.raises(DataError, match="the source has 1 document, too few for 5 folds"):
        Chain(spec, tmp_path).run("data")


def test_a_share_of_the_given_train_split_validates_where_the_source_has_no_other(tmp_path: Path) -> None:
    source = text_source(tmp_path, train=lines(200), test=f"{LONG} of the test\n")
    chain = Chain(spec_of(source, split={"kind": "given", "validation": 0.25, "test": "test"}), tmp_path)
    splits = chain.run("data").values["splits"]
    assert {name: facts["documents"] for name, facts in splits.items()} == {"train": 150, "validation": 50, "test": 1}
    assert stored(chain, "validation") != lines(200).splitlines(keepends=True)[150:]


def test_duplicates_and_what_is_not_sampled_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(lines(300) + lines(40))
    spec = spec_of({"kind": "text", "path": "a.txt", "documents": "lines"}, split={"kind": "hash"})
    data = spec.data.model_copy(update={"deduplicate": True, "sample": parse_quantity("50%")})
    chain = Chain(spec.model_copy(update={"data": data}), tmp_path)
    values = chain.run("data").values
    kept = stored(chain, "train") + stored(chain, "validation")
    assert values["left_out"]["duplicates"] == 40
    assert len(kept) == len(set(kept)) == 300 - values["left_out"]["unsampled"]
    assert 110 < len(kept) < 190
    assert not chain.alerts


def test_a_leak_ends_the_step_where_the_spec_says_so(tmp_path: Path) -> None:
    source = text_source(tmp_path, train=f"{LONG}\n", validation=f"{LONG}\n")
    spec = spec_of(source, split=GIVEN)
    for what, found in (("off", {}), ("fail", None)):
        (tmp_path / what).mkdir()
        data = spec.data.model_copy(update={"checks": Checks(leakage=what)})
        chain = Chain(spec.model_copy(update={"data": data}), tmp_path / what, base=tmp_path)
        if found is None:
            with pytest.raises(DataError, match=r"1 document of validation .* also in train") as caught:
                chain.run("data")
            assert caught.value.code == "leaking-split"
        else:
            assert chain.run("data").values["leakage"] == found


texts = st.lists(st.sampled_from([letter * 50 for letter in "abcde"]), max_size=8)


@given(texts, texts, texts, st.randoms(use_true_random=False))
def test_leaks_are_the_documents_that_stand_in_both_whatever_the_order(
    train: list[str], validation: list[str], test: list[str], random: Any
) -> None:
    splits = {"train": train, "validation": validation, "test": test}
    items = [(split, text) for split, of_split in splits.items() for text in of_split]
    random.shuffle(items)
    check = LeakageCheck()
    for split, text in items:
        check.add(split, text)
    for leak in check.leaks(("train", "validation", "test")):
        shared = [text for text in splits[leak.second] if text in splits[leak.first]]
        assert leak.documents == len(shared)
        of_second = [text for split, text in items if split == leak.second]
        assert (leak.example is None) == (not shared)
        assert leak.example is None or of_second[leak.example] in splits[leak.first]


def test_a_very_long_document_is_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "_BLOCK", 64)
    check = LeakageCheck()
    for split, text in (("train", "x" * 1000), ("validation", "x" * 1000), ("validation", "x" * 999 + "y")):
        check.add(split, text)
    assert check.leaks(("train", "validation"))[0].documents == 1


def test_wikitext_keeps_its_counts_as_rows_and_as_one_document(tmp_path: Path, shared_data: Path) -> None:
    source = {"kind": "huggingface", "path": "Salesforce/wikitext", "config": "wikitext-2-v1"}
    found = {}
    for documents in ("rows", "joined"):
        (tmp_path / documents).mkdir()
        spec = spec_of(source | {"documents": documents}, split={"kind": "given", "test": "test"})
        found[documents] = Chain(spec, tmp_path / documents, data_root=shared_data / "hub").run("data").values
    for split in ("train", "validation", "test"):
        rows, joined = found["rows"]["splits"][split], found["joined"]["splits"][split]
        assert (rows["bytes"], rows["words"]) == (joined["bytes"], joined["words"])
        assert joined["documents"] == 1
    assert found["rows"]["empty_documents"] + sum(s["documents"] for s in found["rows"]["splits"].values()) == 3760 + 2159 + 2199
    assert found["joined"]["splits"]["train"]["words"] == 213_886
    assert found["joined"]["source"]["revision"] == found["rows"]["source"]["revision"]


@pytest.mark.slow
@pytest.mark.parametrize("documents", ["files", "lines"])
def test_memory_stays_near_the_size_of_the_largest_document(tmp_path: Path, documents: str) -> None:
    """Measured in a process of its own: 60 MB of text, one document or many."""
    size = 60_000_000
    with (tmp_path / "big.txt").open("w") as file:
        for number in range(size // 60):
            file.write(f"{number:>12} a line of text of sixty characters, nearly all.....\n")
    code = (
        "import resource, sys, pathlib; import numpy, pyarrow.parquet, tokenizers, data_chain as d\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "folder = pathlib.Path(sys.argv[1]); before = peak()\n"
        "source = {'kind': 'text', 'path': 'big.txt', 'documents': sys.argv[2]}\n"
        "d.Chain(d.spec_of(source, tokenizer={'kind': 'char'}), folder).all(); print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), documents]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    assert int(done.stdout) < (2.5 * size if documents == "files" else 3 * size) + 100_000_000
