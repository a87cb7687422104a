"""What a source is expected to hold before it is read agrees with what is read, where its documents are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.sources.contract import WHOLE, SourceRequest, load_text
from specrun.sources.extent import Extent, expected_sizes
from specrun.sources.huggingface.options import Options as HuggingFace
from specrun.sources.python_docs.options import Options as PythonDocs
from specrun.sources.splitting import split_documents
from specrun.sources.synthetic.options import Options as Synthetic
from specrun.sources.text.options import Options as Text
from specrun.spec.section import Part
from specrun.spec.splits.given import Options as Given
from specrun.spec.splits.hash import Options as Hash
from specrun.spec.splits.ratio import Options as Ratio

LINE = "0123456789abcde\n"
LIMITS = st.none() | st.integers(1, 400)


def read_sizes(source: Part, split: Part, base: Path, limit: int | None) -> dict[str, int]:
    """Bytes of each split as the data step stores them: the first documents, so many."""
    taken: dict[str, list[str]] = {}
    for role, document in split_documents(split, load_text(source, SourceRequest(base, lambda event: None))):
        documents = taken.setdefault(role, [])
        if limit is None or len(documents) < limit:
            documents.append(document)
    return {role: sum(len(document.encode()) for document in documents) for role, documents in taken.items()}


def agree(source: Any, split: Part, base: Path, limit: int | None, *, within: int) -> None:
    expected = expected_sizes(split, source.extents(base=base, data_root=None), limit=limit)
    assert expected is not None
    found = read_sizes(source, split, base, limit)
    assert all(abs(expected[role] - found.get(role, 0)) <= within for role in expected), (expected, found)


@settings(max_examples=25)
@given(lines=st.integers(120, 600), limit=LIMITS, test=st.sampled_from([0.0, 0.2]), paragraphs=st.booleans())
def test_a_text_that_is_cut_is_foreseen_to_a_document(tmp_path, lines, limit, test, paragraphs):
    (tmp_path / "a.txt").write_text((LINE + ("\n" if paragraphs else "")) * lines)
    source = Text(kind="text", path="a.txt", documents="paragraphs" if paragraphs else "lines")
    blank = lines if paragraphs else 0  # blank lines part paragraphs and belong to none
    agree(source, Ratio(kind="ratio", validation=0.1, test=test), tmp_path, limit, within=3 * len(LINE) + blank)


@settings(max_examples=25)
@given(files=st.integers(1, 6), limit=LIMITS)
def test_files_of_given_splits_are_foreseen_each(tmp_path, files, limit):
    for name, size in (("train", 40), ("held out", 7)):
        for number in range(6):
            (tmp_path / f"{name}-{number}.txt").write_text(LINE * (size if number < files else 0))
    paths = {name: tuple(f"{name}-{number}.txt" for number in range(files)) for name in ("train", "held out")}
    agree(Text(kind="text", path=paths), Given(kind="given", validation="held out"), tmp_path, limit, within=1)


@settings(max_examples=25)
@given(characters=st.integers(20_000, 60_000), limit=LIMITS)
def test_a_synthetic_text_is_foreseen_to_a_document(tmp_path, characters, limit):
    source = Synthetic(kind="synthetic", characters=characters, document_characters=100)
    agree(source, Ratio(kind="ratio", validation=0.2, test=0.1), tmp_path, limit, within=200)


def hub_folder(root: Path, files: dict[str, int]) -> Path:
    for name, size in files.items():
        path = root / "owner" / "name" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" * size)
    return root


@pytest.mark.parametrize("form", ["{}-0000{}-of-00002.parquet", "data/{}-0000{}-of-00002.parquet", "{}/000{}.parquet"])
def test_a_hub_folder_is_foreseen_by_the_split_that_its_files_are_of(tmp_path, form):
    sizes = {form.format(split, part): size for split, size in (("train", 500), ("pretrain", 300), ("validation", 50)) for part in (0, 1)}
    root = hub_folder(tmp_path, sizes)
    extents = HuggingFace(kind="huggingface", path="owner/name").extents(base=tmp_path, data_root=root)
    assert {split: extent.size_bytes for split, extent in extents.items()} == {"train": 2000, "pretrain": 1200, "validation": 200}
    assert expected_sizes(Given(kind="given", train="pretrain"), extents, limit=None) == {"train": 1200, "validation": 200}
    assert expected_sizes(Given(kind="given", train="other"), extents, limit=None) is None
    assert expected_sizes(Ratio(kind="ratio"), extents, limit=None) is None


def test_a_hub_folder_s_configuration_counts_alone(tmp_path):
    root = hub_folder(tmp_path, {"small/train.parquet": 10, "large/train.parquet": 1000})
    for config, size in (("small", 20), ("large", 2000)):
        source = HuggingFace(kind="huggingface", path="owner/name", config=config)
        assert source.extents(base=tmp_path, data_root=root)["train"].size_bytes == size


def test_a_limit_of_documents_that_nobody_has_counted_makes_the_size_unknown(tmp_path):
    root = hub_folder(tmp_path, {"train.parquet": 1000})
    rows, joined = (
        HuggingFace(kind="huggingface", path="owner/name", documents=documents).extents(base=tmp_path, data_root=root)
        for documents in ("rows", "joined")
    )
    assert expected_sizes(Given(kind="given"), rows, limit=10) is None
    assert expected_sizes(Given(kind="given"), joined, limit=10) == {"train": 2000}
    docs = PythonDocs(kind="python_docs").extents(base=tmp_path, data_root=None)
    assert expected_sizes(Hash(kind="hash"), docs, limit=10) is None
    assert expected_sizes(Hash(kind="hash"), docs, limit=None) is not None


def test_a_source_that_says_nothing_of_itself_is_unknown(tmp_path):
    assert HuggingFace(kind="huggingface", path="owner/name").extents(base=tmp_path, data_root=None) == {}
    assert expected_sizes(Given(kind="given"), {}, limit=None) is None
    assert Extent(100, 4).limited(2) == 50
    assert WHOLE in Text(kind="text", path="*.py").extents(base=Path(__file__).parent, data_root=None)
