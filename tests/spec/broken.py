"""A broken spec for every code that reading a spec can give."""

from __future__ import annotations

from tests.spec.specs import MINIMAL


def _model(text: str) -> str:
    return MINIMAL.replace("{kind: gpt}", text)


def _schedule(text: str) -> str:
    return MINIMAL + f"schedule: {text}\n"


def _rows(*, split: str = "{kind: ratio}", columns: str = "{target: y}", more: str = "", task: str = "tabular", model: str = "mlp") -> str:
    """A spec of a task that reads rows."""
    return (
        f"version: 1\nname: rows\ntask: {{kind: {task}}}\nmodel: {{kind: {model}}}\n"
        f"data:\n  source: {{kind: csv, path: a.csv}}\n  columns: {columns}\n  split: {split}\n" + (f"  {more}\n" if more else "")
    )


_BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))

BROKEN: dict[str, str] = {
    "alias-bomb": _BOMB,
    "alias-cycle": "a: &x [1, *x]\n",
    "bad-code-path": _model('{kind: "my_model:"}'),
    "bad-name": MINIMAL.replace("minimal", "my first model"),
    "batch-not-divisible": _schedule("{batch_size: 30, micro_batch_size: 8}"),
    "cadence-exceeds-duration": _schedule("{duration: 400 steps, evaluate: {every: 500 steps}}"),
    "check-without-column": MINIMAL.replace("{kind: ratio}", "{kind: ratio}\n  checks: {ranges: {age: [0, 120]}, unique: [id]}"),
    "control-character": "version: 1\nname: a\x07b\n",
    "devices-without-torchrun": MINIMAL + "hardware: {devices: 4}\n",
    "duplicate-item": MINIMAL + "report: {formats: [html, html]}\n",
    "duplicate-key": MINIMAL + "name: again\n",
    "duplicate-seed": MINIMAL + "seeds: [0, 1, 1]\n",
    "empty-spec": "# nothing\n",
    "extends-escapes": "extends: /etc/base.yaml\n",
    "extends-missing": "extends: no/such/base.yaml\n",
    "extends-not-yaml": "extends: base.txt\n",
    "fallback-equals-source": MINIMAL.replace("{kind: synthetic}", "{kind: synthetic}\n  fallback: {kind: synthetic}"),
    "file-too-large": "#" + "x" * 1_000_001,
    "gate-without-metric": MINIMAL + 'expect: ["validation/perplexty < 60", "test/loss < 3", "sheep/count > 1"]\n',
    "heads-do-not-divide-width": _model("{kind: gpt, width: 250, num_heads: 8}"),
    "key-not-text": MINIMAL + "1: x\n",
    "masks-follow-devices": MINIMAL.replace("kind: gpt", "kind: gpt, dropout: 0.1") + "hardware: {engine: torchrun}\n",
    "lora-on-random-weights": _schedule("{parameters: {lora: {rank: 8}}}"),
    "moments-not-in-order": _rows(split="{kind: time, validation: 2018-02-01, test: 2018-01-01}", columns="{target: y, time: when}"),
    "merge-not-a-mapping": MINIMAL + "<<: 3\n",
    "missing-colon": "version: 1\nname\n",
    "missing-key": MINIMAL.replace("model: {kind: gpt}\n", ""),
    "nesterov-without-momentum": _schedule("{optimizer: {kind: sgd, momentum: 0, nesterov: true}}"),
    "no-such-fold": MINIMAL.replace("{kind: ratio}", "{kind: kfold, folds: 5, fold: 6}"),
    "no-such-moment": _rows(split="{kind: time, validation: 2018-02-30}", columns="{target: y, time: when}"),
    "nothing-to-train": _schedule("{parameters: {frozen: ['*']}}"),
    "not-a-mapping": "- version: 1\n",
    "not-a-quantity": _schedule("{duration: 3 fortnights}"),
    "not-a-size": MINIMAL + "hardware: {memory: 16 gigs}\n",
    "not-a-validation-metric": _schedule("{early_stopping: {metric: test/loss}, checkpoint: {metric: validation/los}}"),
    "own-code-not-checked": _model('{kind: "my_model:Net", width: 3}'),
    "unusable-option-name": _model('{kind: "my_model:Net", num-layers: 3}'),
    "not-available-yet": MINIMAL + "search: {trials: 20}\nexpect: [export/onnx/latency_p95_ms < 50]\n",
    "not-yaml": "name: @a\n",
    "number-too-long": MINIMAL + "seeds: [" + "9" * 301 + "]\n",
    "out-of-range": _schedule("{batch_size: 0, optimizer: {kind: adamw, learning_rate: 20}}"),
    "pattern-matches-nothing": _schedule("{parameters: {frozen: [token_embedding.*, 'block.*']}}"),
    "quantity-not-positive": _schedule("{duration: 0 steps}"),
    "quantity-without-unit": _schedule("{duration: 3}"),
    "range-upside-down": _rows(more="checks: {min_rows: 20, max_rows: 10, ranges: {age: [120, 0]}}"),
    "rank-exceeds-matrix": MINIMAL.replace("kind: gpt", "kind: gpt, width: 64") + "schedule: {parameters: {lora: {rank: 96}}}\n",
    "sample-breaks-series": _rows(columns="{target: y, time: when}", more="sample: 10%", task="forecasting", model="tft"),
    "sample-exceeds-data": MINIMAL.replace("{kind: ratio}", "{kind: ratio}\n  sample: 110%"),
    "missing-column-role": _rows(columns="{}"),
    "model-does-not-serve-task": _model("{kind: tft}"),
    "tokens-not-counted": _rows() + "schedule: {duration: 50M tokens}\n",
    "share-beside-moment": _rows(split="{kind: time, validation: 2018-02-01, test: 0.1}", columns="{target: y, time: when}"),
    "split-without-column": _rows(split="{kind: group}"),
    "stratify-without-label": MINIMAL.replace("{kind: ratio}", "{kind: ratio, stratify: true}"),
    "two-divisions": _rows(split="{kind: kfold, fold: 1, stratify: true, by_group: true}", columns="{target: y, group: who}"),
    "secret-literal": MINIMAL + "description: token hf_" + "a1B2" * 8 + "\n",
    "shares-leave-no-train": MINIMAL.replace("{kind: ratio}", "{kind: ratio, validation: 0.6, test: 0.5}"),
    "several-documents": MINIMAL + "---\nname: b\n",
    "size-without-unit": MINIMAL + "hardware: {memory: 16}\n",
    "tab": MINIMAL + "schedule:\n\tbatch_size: 3\n",
    "tag": MINIMAL + "description: !!python/name:os.system x\n",
    "tokenizer-lowers-targets": _rows(
        columns="{source: de, target: en}", more="tokenizer: {kind: wordpiece}", task="seq2seq", model="encoder_decoder"
    ),
    "too-deep": "a: " + "[" * 60 + "]" * 60 + "\n",
    "too-many-values": "seeds: [" + "1," * 100_001 + "]\n",
    "unclosed": MINIMAL + "seeds: [0, 1\nhardware: {}\n",
    "undefined-alias": MINIMAL + "schedule: &schedule {}\nreport: *shedule\n",
    "unit-not-allowed": _schedule("{duration: 20%}"),
    "unknown-escape": 'name: "a\\q"\n',
    "unknown-key": _schedule("\n  lerning_rate: {kind: warmup_cosine, warmup: 500 steps}\n  width: 3\n  zebra: 1"),
    "unknown-kind": _model("{kind: gtp, width: 64}"),
    "unknown-value": MINIMAL + "hardware: {profile: gpu}\n",
    "unreadable-gate": MINIMAL + 'expect: ["validation/loss below 3"]\n',
    "vocabulary-exceeds-model": _model("{kind: gpt, vocab_size: 4096}"),
    "warmup-without-clock": _schedule("{duration: 400 steps, learning_rate: {kind: warmup_cosine, warmup: 10min}}"),
    "warmup-not-shorter": _schedule("{duration: 400 steps, learning_rate: {kind: warmup_cosine, warmup: 500 steps}}"),
    "wrong-indent": _schedule("\n  batch_size: 8\n   duration: 3 epochs"),
    "wrong-length": MINIMAL + "report: {formats: []}\n",
    "wrong-type": _schedule("{batch_size: many, optimizer: adamw, gradient_clip: [1]}") + "tags: [2024]\n",
    "yaml-directive": "%YAML 1.1\n---\n" + MINIMAL,
}

BEYOND_THE_MACHINE: dict[str, str] = {
    "compile-without-compiler": MINIMAL + "hardware: {compile: default}\n",
    "devices-exceed-machine": MINIMAL + "hardware: {engine: torchrun, devices: 4}\n",
    "precision-slower-here": MINIMAL + "hardware: {precision: bfloat16}\n",
    "precision-without-device": MINIMAL + "hardware: {precision: tf32}\n",
    "profile-without-device": MINIMAL + "hardware: {profile: cuda}\n",
    "threads-exceed-cores": MINIMAL + "hardware: {threads: 64}\n",
}
"""Specs that ask of a machine what a small one does not have."""

BEYOND_THE_STEPS: dict[str, str] = {
    "cycles-exceed-steps": _schedule("{duration: 20 steps, learning_rate: {kind: cosine_restarts, cycles: 12, cycle_growth: 1.5}}"),
    "patience-exceeds-evaluations": _schedule("{duration: 400 steps, evaluate: {every: 25%}, early_stopping: {patience: 5 evaluations}}"),
}
"""Specs that ask for more than the steps of the training have room for."""
