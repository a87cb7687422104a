"""Records of invented runs, for tests of the report: plain values in the shape that the records return."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from specrun.records.rows import AlertRow, ArtifactRow, AttemptRow, ExampleRow, Point, Reading, RunRow, StepRow

RUN_ID = "gpt-wikitext-7f3a"
SPEC: dict[str, Any] = {
    "version": 1,
    "name": "gpt-wikitext",
    "description": "A small GPT on WikiText-2, to see what two cores can learn in two minutes.",
    "tags": ["wikitext", "baseline"],
    "seeds": [0],
    "task": {"kind": "causal_lm", "prompt": "The city", "sample_tokens": 96},
    "data": {
        "source": {"kind": "huggingface", "path": "Salesforce/wikitext", "config": "wikitext-2-raw-v1", "documents": "joined"},
        "columns": {"text": "text"},
        "split": {"kind": "given", "train": "train", "validation": "validation", "test": "test"},
        "tokenizer": {"kind": "bpe", "vocab_size": 8192},
        "sequence_length": 256,
        "limit": None,
    },
    "model": {"kind": "gpt", "architecture": "gpt2", "num_layers": 8, "width": 256, "num_heads": 8, "dropout": 0.1, "bias": True},
    "hardware": {"profile": "auto", "precision": "auto", "compile": "auto", "threads": None},
    "schedule": {
        "duration": "1200 steps",
        "batch_size": 64,
        "micro_batch_size": "auto",
        "optimizer": {"kind": "adamw", "learning_rate": 0.001, "betas": [0.9, 0.999], "weight_decay": 0.01},
        "learning_rate": {"kind": "warmup_cosine", "warmup": "100 steps", "final_fraction": 0.1},
        "gradient_clip": 1.0,
        "evaluate": {"every": "100 steps", "max_batches": None, "samples": 1},
        "checkpoint": {"every": "300 steps", "keep_last": 2, "keep_best": 1, "metric": "validation/loss"},
        "early_stopping": None,
    },
    "expect": ["test/perplexity < 90", "test/bits_per_byte < 2"],
    "report": {"formats": ["html", "md"], "title": None},
}
PROVENANCE = {
    "version": "specs/gpt_wikitext.yaml:2",
    "name": "specs/gpt_wikitext.yaml:3",
    "description": "specs/gpt_wikitext.yaml:4",
    "tags": "specs/gpt_wikitext.yaml:5",
    "seeds": "default",
    "task.kind": "specs/gpt_wikitext.yaml:7",
    "task.prompt": "specs/gpt_wikitext.yaml:7",
    "data.source": "specs/gpt_wikitext.yaml:10",
    "data.tokenizer": "specs/gpt_wikitext.yaml:12",
    "data.sequence_length": "specs/gpt_wikitext.yaml:13",
    "model.kind": "specs/gpt_wikitext.yaml:15",
    "model.num_layers": "specs/gpt_wikitext.yaml:15",
    "model.width": "specs/gpt_wikitext.yaml:15",
    "model.num_heads": "specs/gpt_wikitext.yaml:15",
    "schedule.duration": "--set schedule.duration=1200 steps",
    "schedule.batch_size": "specs/gpt_wikitext.yaml:18",
    "schedule.optimizer.learning_rate": "specs/gpt_wikitext.yaml:19",
    "schedule.evaluate.every": "preset balanced",
    "expect": "specs/gpt_wikitext.yaml:24",
}
TEXTS = (
    "The city the the of , and in the . the of = = the a to was , and of the",
    "The city was the first of the county , and the state of the city of the same year . = = = History = = =",
    "The city was built in 1887 and became the seat of the county in the following year . It was the first of its kind in the state .",
    "The city was founded by settlers from the north , who had been granted land . By 1890 its population had risen to 4 @,@ 200 .",
)
FINAL_TEXT = "The city was incorporated in 1891 , and its first mayor took office in the spring of that year ."


@dataclass
class FakeRecords:
    """What the report reads of a run, held in memory."""

    row: RunRow
    run_document: dict[str, Any]
    ending: dict[str, Any] | None
    curves: dict[str, list[Point]]
    plan: list[StepRow] = field(default_factory=list)
    notes: list[AlertRow] = field(default_factory=list)
    texts: list[ExampleRow] = field(default_factory=list)
    files: list[ArtifactRow] = field(default_factory=list)
    machine: dict[str, list[Reading]] = field(default_factory=dict)
    tries: list[AttemptRow] = field(default_factory=list)

    def run(self, run_id: str) -> RunRow:
        return self.row

    def experiment(self, run: RunRow) -> list[RunRow]:
        return [run]

    def document(self, run_id: str) -> dict[str, Any]:
        return self.run_document

    def final(self, run_id: str) -> dict[str, Any] | None:
        return self.ending

    def series(self, run_id: str, metrics: Sequence[str] | None = None) -> dict[str, list[Point]]:
        return self.curves

    def system(self, run_id: str) -> dict[str, list[Reading]]:
        return self.machine

    def steps(self, run_id: str) -> list[StepRow]:
        return self.plan

    def alerts(self, run_id: str) -> list[AlertRow]:
        return self.notes

    def examples(self, run_id: str) -> list[ExampleRow]:
        return self.texts

    def artifacts(self, run_id: str) -> list[ArtifactRow]:
        return self.files

    def attempts(self, run_id: str) -> list[AttemptRow]:
        return self.tries


def points(values: Mapping[int, float]) -> list[Point]:
    return [Point(step, value, step / 400, step * 64 * 256, "2026-11-20T10:08:52Z") for step, value in values.items()]


def readings(values: Mapping[float, float], *, attempt: int = 1, began: float = 1_795_169_340.0) -> list[Reading]:
    """By seconds of training."""
    return [Reading(attempt, began + seconds, value) for seconds, value in values.items()]


def processor_readings() -> dict[str, list[Reading]]:
    """Of ten minutes on a machine without a GPU."""
    times = [0.5, *(5.0 * number for number in range(1, 126)), 628.0]
    return {
        "system/process_cpu_percent": readings({at: 186 + 9 * noise(round(at)) - (60 if at % 100 == 0 else 0) for at in times}),
        "system/cpu_percent": readings({at: 95 + 4 * noise(round(at)) for at in times}),
        "system/process_rss_bytes": readings({at: (1.19 - 0.7 * math.exp(-at / 9)) * 2**30 for at in times}),
        "system/process_rss_peak_bytes": readings({at: (1.21 - 0.7 * math.exp(-at / 9)) * 2**30 for at in times}),
        "system/memory_available_bytes": readings({at: (20.4 + 0.1 * noise(round(at))) * 2**30 for at in times}),
    }


def device_readings(device: int = 0, *, busy: float = 93.0, watts: float = 610.0) -> dict[str, list[Reading]]:
    """Of ten minutes on a GPU."""
    times = [0.5, *(5.0 * number for number in range(1, 126)), 628.0]
    name = f"system/gpu{device}"
    return {
        f"{name}/utilization_percent": readings({at: busy + 4 * noise(round(at)) - (40 if at % 100 == 0 else 0) for at in times}),
        f"{name}/memory_used_bytes": readings({at: (31 - 25 * math.exp(-at / 9)) * 2**30 for at in times}),
        f"{name}/power_watts": readings({at: watts + 40 * noise(round(at)) for at in times}),
        f"{name}/energy_joules": readings({at: watts * at for at in times}),
        f"{name}/temperature_celsius": readings({at: 66 - 30 * math.exp(-at / 60) for at in times}),
        f"{name}/throttled": readings({at: float(at > 500) for at in times}),
    }


def noise(step: int) -> float:
    """Repeatable, and irregular enough to look at: -1 to 1."""
    return math.sin(step * 12.9898) * math.cos(step * 78.233)


def losses(step: int) -> float:
    return 3.9 + 5.1 * math.exp(-step / 160)


def curves(*, total: int, every: int, evaluate: int) -> dict[str, list[Point]]:
    logged, evaluated = range(every, total + 1, every), range(evaluate, total + 1, evaluate)
    validation = {step: losses(step) + 0.12 + max(0.0, step - 0.75 * total) * 0.0004 for step in evaluated}
    warm = max(1, total // 12)
    return {
        "train/loss": points({step: losses(step) + 0.09 * noise(step) for step in logged}),
        "train/learning_rate": points(
            {
                step: 1e-3 * (step / warm if step < warm else 0.55 + 0.45 * math.cos(math.pi * (step - warm) / (total - warm)))
                for step in logged
            }
        ),
        "train/gradient_norm": points({step: 0.6 + 3 * math.exp(-step / 90) + 0.25 * abs(noise(step)) for step in logged}),
        "throughput/tokens_per_second": points({step: 28_400 + 900 * noise(step) - (9_000 if step == every else 0) for step in logged}),
        "validation/loss": points(validation),
        "validation/perplexity": points({step: math.exp(value) for step, value in validation.items()}),
        "validation/accuracy": points({step: 0.36 - 0.3 * math.exp(-step / 240) for step in evaluated}),
    }


def evaluate_values(best_loss: float) -> dict[str, Any]:
    """Values of an evaluate step whose figures follow from its sums."""
    sums = {
        "validation": {"nll": best_loss * 288_000, "tokens": 288_000, "bytes": 1_120_000, "words": 213_000},
        "test": {"nll": (best_loss - 0.03) * 325_000, "tokens": 325_000, "bytes": 1_256_000, "words": 241_000},
    }
    metrics: dict[str, float] = {}
    for split, s in sums.items():
        metrics |= {
            f"{split}/loss": s["nll"] / s["tokens"],
            f"{split}/perplexity": math.exp(s["nll"] / s["tokens"]),
            f"{split}/word_perplexity": math.exp(s["nll"] / s["words"]),
            f"{split}/bits_per_byte": s["nll"] / (math.log(2) * s["bytes"]),
            f"{split}/accuracy": 0.342,
        }
    baselines = {split: [unigram(entropy, s)] for (split, s), entropy in zip(sums.items(), (6.55, 6.53), strict=True)}
    return {"metrics": metrics, "sums": sums, "baselines": baselines, "checkpoint": "checkpoints/best"}


def unigram(entropy: float, sums: dict[str, float]) -> dict[str, Any]:
    """The unigram baseline as an evaluate step records it. sums: of the split."""
    total = entropy * sums["tokens"]
    metrics = {"loss": entropy, "perplexity": math.exp(entropy), "word_perplexity": math.exp(total / sums["words"]),
               "bits_per_byte": total / (math.log(2) * sums["bytes"]), "accuracy": 0.05}  # fmt: skip
    return {"name": "unigram", "label": "unigram baseline", "metrics": metrics}


def a_run(*, total: int = 1200, every: int = 10, evaluate: int = 100) -> tuple[FakeRecords, dict[str, dict[str, Any]]]:
    """A run that went well, and the values of its steps."""
    series = curves(total=total, every=every, evaluate=evaluate)
    best = min(series["validation/loss"], key=lambda point: point.value)
    evaluation = evaluate_values(best.value)
    results: dict[str, dict[str, Any]] = {
        "train": {
            "parameters": 9_964_032,
            "tokens": total * 64 * 256,
            "tokens_per_second": 28_412.6,
            "peak_memory_bytes": 1_423_000_000,
            "steps": total,
            "best_step": best.step,
        },
        "evaluate": evaluation,
        "tokens": {
            "vocab_size": 8192,
            "splits": {"train": {"count": 2_713_000}, "validation": {"count": 288_001}, "test": {"count": 325_001}},
        },
    }
    row = RunRow(
        run_id=RUN_ID,
        name="gpt-wikitext",
        status="completed",
        reason="",
        task="causal_lm",
        seed=0,
        attempts=1,
        started_at="2026-11-20T10:08:52Z",
        finished_at="2026-11-20T10:19:44Z",
        duration_s=652.4,
        tags=("wikitext", "baseline"),
        comparable=True,
        metrics={name: series_points[-1].value for name, series_points in series.items()},
    )
    gates = [
        {"expression": "test/perplexity < 90", "passed": True, "value": evaluation["metrics"]["test/perplexity"]},
        {"expression": "test/bits_per_byte < 2", "passed": True, "value": evaluation["metrics"]["test/bits_per_byte"]},
    ]
    ending = {
        "status": "completed",
        "reason": "",
        "finished_at": "2026-11-20T10:19:44Z",
        "duration_s": 652.4,
        "metrics": evaluation["metrics"],
        "gates": gates,
        "best_step": best.step,
    }
    texts = [*samples(total), ExampleRow(best.step, "final", {"prompt": "The city", "text": FINAL_TEXT})]
    return FakeRecords(row, document(), ending, series, plan(), [], texts, files(), processor_readings()), results


def document() -> dict[str, Any]:
    return {
        "format_version": 1,
        "run_id": RUN_ID,
        "name": "gpt-wikitext",
        "tags": ["wikitext", "baseline"],
        "task": "causal_lm",
        "seed": 0,
        "started_at": "2026-11-20T10:08:52Z",
        "spec": SPEC,
        "spec_digest": "b5d4045c3f466fa91fe2cc6abe79232a",
        "provenance": PROVENANCE,
        "command": "specrun apply specs/gpt_wikitext.yaml --set 'schedule.duration=1200 steps' --data-root data/hub",
        "git": {"commit": "3f2a9c41d0be77aa01", "dirty": True, "patch": ""},
        "python": "3.11.9",
        "packages": {"torch": "2.13.0", "tokenizers": "0.21.1", "datasets": "4.0.0", "duckdb": "2.0.0"},
        "hardware": {
            "kind": "cpu",
            "name": "Intel Xeon (Sapphire Rapids)",
            "cores": 2,
            "memory_bytes": 24_696_061_952,
            "threads": 2,
            "device": {"value": "cpu", "reason": "no CUDA device found"},
            "precision": "float32",
            "compilation": {"value": "eager", "reason": "compilation is not part of this version"},
            "reasons": [
                "cpu: no CUDA device found",
                "float32: no bf16 instructions here",
                "eager: compilation is not part of this version",
            ],
        },
        "data": {
            "splits": {
                "train": {"documents": 1, "bytes": 10_916_000, "words": 2_051_904},
                "validation": {"documents": 1, "bytes": 1_120_192, "words": 213_886},
                "test": {"documents": 1, "bytes": 1_256_449, "words": 241_211},
            },
            "source": {
                "kind": "huggingface",
                "path": "Salesforce/wikitext",
                "config": "wikitext-2-raw-v1",
                "revision": "b08601e04326c79dfdd32d625aee71d232d685c3",
            },
            "comparable": True,
            "fallback_used": False,
            "leakage": {"train/validation": 0, "train/test": 0},
        },
        "comparable": True,
        "smoke": False,
    }


def plan() -> list[StepRow]:
    return [
        StepRow("data", "data", "a41f09c2d1", "cached", "finished on 19 Nov 2026", {}, {}),
        StepRow("tokenizer", "tokenizer", "77c0e1b2aa", "cached", "finished on 19 Nov 2026", {}, {}),
        StepRow(
            "tokens",
            "tokens",
            "c81d5512fe",
            "run",
            "its tokenizer changes",
            {"seconds": 4.0, "disk_bytes": 6.7e6},
            {"seconds": 3.4, "disk_bytes": 6.65e6},
        ),
        StepRow(
            "train",
            "train",
            "9e12b7740d",
            "run",
            "schedule.optimizer.learning_rate 5e-4 -> 1e-3 (specs/gpt_wikitext.yaml:19)",
            {"seconds": 660.0, "memory_bytes": 1.4e9, "disk_bytes": 1.26e8},
            {"seconds": 628.0, "memory_bytes": 1.423e9, "disk_bytes": 1.2e8},
        ),
        StepRow("evaluate", "evaluate", "0b7c2d9911", "run", "its input changes", {"seconds": 12.0}, {"seconds": 15.1}),
        StepRow("report", "report", "5dd0ce1230", "run", "its input changes", {"seconds": 3.0}, {}),
    ]


def samples(total: int) -> list[ExampleRow]:
    steps = [total // 12, total // 4, total // 2, total]
    return [ExampleRow(step, "sample", {"prompt": "The city", "text": text}) for step, text in zip(steps, TEXTS, strict=True)]


def files() -> list[ArtifactRow]:
    return [
        ArtifactRow("model", f"runs/{RUN_ID}/checkpoints/best/model.safetensors", "9f86d081884c7d659a2feaa0c55ad015", 39_870_464, "train"),
        ArtifactRow("tokenizer", "steps/tokenizer-77c0e1b2aa/tokenizer.json", "2c26b46b68ffc68ff99b453c1d304134", 591_230, "tokenizer"),
    ]


def ended(records: FakeRecords, **changes: Any) -> FakeRecords:
    """The same records with another ending: fields of final.json, and the row's status after it."""
    final = {**(records.ending or {}), **changes}
    return replace(records, ending=final, row=replace(records.row, status=final["status"]))
