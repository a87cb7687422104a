"""The specs that ship: valid, documented, and whole from data to report on two tiny batches."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from specrun.engine.api import apply, compile_plan
from specrun.spec.assembly import load_spec
from specrun.spec.own_path import Permission

from .conftest import ROOT

SPECS = sorted((ROOT / "specs").glob("*.yaml"))
CONFIGS = ("wikitext-2-v1", "wikitext-103-raw-v1")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory) -> Path:
    """A folder with the Hub's layout that stands for Salesforce/wikitext, filled with Python's own documentation."""
    from pydoc_data.topics import topics

    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path_factory.mktemp("mirror")
    folder = root / "Salesforce" / "wikitext"
    files = []
    lines = [line + "\n" for name in sorted(topics) for line in topics[name].splitlines()]
    for config in CONFIGS:
        (folder / config).mkdir(parents=True)
        files.append(f"- config_name: {config}\n  data_files:\n")
        for number, split in enumerate(("train", "validation", "test")):
            pq.write_table(pa.table({"text": lines[number * 3000 : (number + 1) * 3000]}), folder / config / f"{split}.parquet")
            files.append(f"  - {{split: {split}, path: {config}/{split}.parquet}}\n")
    (folder / "README.md").write_text("---\nconfigs:\n" + "".join(files) + "---\n")
    write_pairs(root / "bentrevett" / "multi30k" / "data", [line.split() for line in lines if line.strip()])
    write_digits(root / "ylecun" / "mnist")
    write_sentences(root / "stanfordnlp" / "sst2" / "data", [line.strip() for line in lines if line.strip()])
    return root


def write_sentences(folder: Path, sentences: list[str]) -> None:
    """Sentences of two classes, told by their length."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for number, split in enumerate(("train", "validation", "test")):
        chosen = sentences[number * 1000 : (number + 1) * 1000]
        labels = [int(len(sentence) > 60) for sentence in chosen]
        pq.write_table(pa.table({"sentence": chosen, "label": labels}), folder / f"{split}-00000-of-00001.parquet")


def write_pairs(folder: Path, lines: list[list[str]]) -> None:
    """Sentences and the same backwards, as a dataset of the Hub has translations."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for number, split in enumerate(("train", "validation", "test")):
        words = lines[number * 2000 : (number + 1) * 2000]
        pairs = {"en": [" ".join(line) for line in words], "de": [" ".join(reversed(line)) for line in words]}
        pq.write_table(pa.table(pairs), folder / f"{split}-00000-of-00001.parquet")


def write_digits(folder: Path) -> None:
    """Small images of ten classes, with the names of a dataset of the Hub."""
    import io

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in (("train", 300), ("test", 100)):
        images = []
        for pixels in random.integers(0, 256, (count, 28, 28), dtype=np.uint8):
            Image.fromarray(pixels).save(stream := io.BytesIO(), "PNG")
            images.append({"bytes": stream.getvalue(), "path": None})
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(images, kind), "label": [number % 10 for number in range(count)]})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """What stands for files that do not ship, by the name that a spec gives them."""
    from pydoc_data.topics import topics

    folder = tmp_path_factory.mktemp("files")
    text, hours = folder / "corpus.txt", folder / "hours.csv"
    text.write_text("".join(topics[name] for name in sorted(topics)))
    first, values = datetime(2016, 7, 1), ",".join(f"{{{place}:.3f}}" for place in range(7))
    lines = ["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"]
    for hour in range(14_500):
        numbers = (math.sin((hour + 3 * place) * math.pi / 12) + (hour * place) % 5 for place in range(7))
        lines.append(f"{first + timedelta(hours=hour)},{values.format(*numbers)}")
    hours.write_text("\n".join(lines) + "\n")
    return {"../data/tinyshakespeare.txt": text, "../data/ETTh1.csv": hours}


def sets_for(spec: Path, files: dict[str, Path]) -> list[str]:
    text = spec.read_text()
    return [f"data.source.path={file}" for name, file in files.items() if f"path: {name}" in text]


def test_there_are_specs_and_the_quickstart_is_among_them():
    assert {"quickstart", "gpt_shakespeare", "gpt_wikitext", "gpt_wikitext103_10m"} <= {path.stem for path in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_opens_with_its_schema_its_command_its_time_and_its_metric(spec):
    head = "".join(line for line in spec.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert head.startswith("# yaml-language-server: $schema=../schemas/experiment.schema.json")
    assert f"specrun apply specs/{spec.name}" in head
    assert re.search(r"^# Time: ", head, re.MULTILINE)
    assert re.search(r"^# Expect: ", head, re.MULTILINE)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_is_valid_without_a_warning(spec):
    assert [warning.code for warning in load_spec(spec).warnings] == (["own-code-not-checked"] if spec.stem == "own_model" else [])
    assert load_spec(spec, permission=Permission(("specs.own_model",))).warnings == ()


@pytest.mark.parametrize("spec", [pytest.param(it, id=it.stem, marks=() if it.stem == "quickstart" else pytest.mark.slow) for it in SPECS])
def test_a_shipped_spec_runs_whole_on_two_tiny_batches(spec, mirror, files, tmp_path):
    outcome = apply(spec, store=tmp_path / "store", sets=sets_for(spec, files), data_root=mirror, smoke=True, allow_code=["specs"])
    assert outcome.exit_code == 0, outcome.runs
    assert {step.action for step in outcome.steps} == {"run"}
    (run,) = outcome.runs
    assert {"report.html", "report.md"} <= {path.name for path in (run.folder / "report").iterdir()}


def test_the_ten_million_parameter_spec_has_the_sizes_it_promises(mirror):
    spec = load_spec(ROOT / "specs" / "gpt_wikitext103_10m.yaml").spec
    assert (spec.model.width, spec.model.num_layers, spec.model.num_heads, spec.data.sequence_length) == (256, 8, 8, 512)
    assert (spec.schedule.batch_size, spec.schedule.optimizer.learning_rate) == (64, 5e-4)
    cost = spec.model.cost(vocab_size=spec.data.tokenizer.vocab_size, sequence_length=spec.data.sequence_length)
    assert cost.parameters - 50257 * 256 == pytest.approx(6.45e6, rel=0.01)


def test_a_plan_of_a_shipped_spec_needs_no_data_and_no_network(tmp_path):
    prepared = compile_plan(ROOT / "specs" / "gpt_wikitext.yaml", store=tmp_path / "store")
    assert {decision.action for decision in prepared.decisions} == {"run"}
    assert not (tmp_path / "store").exists()
