"""The sections below the charts: what ran, samples, data, plan, hardware, spec, environment, artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from specrun.plan.start import NOT_POSSIBLE, kept_of_parent
from specrun.records.rows import ExampleRow
from specrun.records.seeds import metric_spreads, told, unfinished
from specrun.report.curves import spread
from specrun.report.facts import Facts, mapping, when
from specrun.report.measures import task_of
from specrun.report.numbers import MISSING, count, duration, number, plural, size
from specrun.report.views import Column, Fact, PlanRow, Row, Sample, SpecRow, Table

SHOWN_SAMPLES = 8
SHOWN_CHARACTERS = 1200
_NAMED = ("kind", "architecture")


def what_ran(facts: Facts) -> tuple[Fact, ...]:
    """Task, data, model and training in a line each, and the run's own names."""
    schedule = mapping(facts.option("schedule"))
    rate = mapping(schedule.get("optimizer")).get("learning_rate")
    batch = f"batches of {schedule['batch_size']}" if "batch_size" in schedule else ""
    training = [
        str(schedule.get("duration", "")),
        batch,
        " ".join(filter(None, (_kind(schedule.get("optimizer")), f"at {rate}" if rate else ""))),
        _kind(schedule.get("learning_rate")),
    ]
    model = mapping(facts.option("model"))
    sizes = [_size(name, model[name]) for name in ("num_layers", "width", "num_heads") if name in model]
    source = mapping(facts.option("data", "source"))
    origin = [_kind(source), *(str(source[name]) for name in ("path", "config") if source.get(name))]
    tokenizer = mapping(facts.option("data", "tokenizer"))
    vocabulary = facts.result("tokens").get("vocab_size") or tokenizer.get("vocab_size")
    length = facts.option("data", "sequence_length")
    samples = "documents, up to" if facts.option("data", "packing") == "documents" else "sequences"
    task = task_of(facts)
    if task is not None and "tokenizer" not in task.data_settings:
        tokenizer, vocabulary = {}, None
    if task is not None and "sequence_length" not in task.data_settings:
        length = None
    wanted = (
        ("task", facts.run.task),
        ("model", " · ".join(filter(None, (", ".join(str(model[n]) for n in _NAMED if model.get(n)), *sizes)))),
        ("data", " · ".join(filter(None, origin))),
        ("tokenizer", " · ".join(filter(None, (_kind(tokenizer), f"{count(vocabulary)} tokens" if vocabulary else "")))),
        (samples, plural(length, "token") if isinstance(length, int) else ""),
        ("training", " · ".join(filter(None, training))),
        ("seed", str(facts.run.seed)),
        ("fold", facts.fold.removeprefix("fold ")),
        ("over the folds", _over_folds(facts)),
        ("tags", ", ".join(facts.run.tags)),
    )
    return tuple(Fact(label, value) for label, value in wanted if value)


def _over_folds(facts: Facts) -> str:
    """Mean and deviation over the folds that have ended well; empty where that is one alone."""
    return told(metric_spreads(facts.folds), aside=unfinished(facts.run, facts.folds)) if len(facts.folds) > 1 else ""


def attempts_table(facts: Facts) -> Table | None:
    """How each attempt went; None where there was one alone."""
    if len(facts.attempts) < 2:
        return None
    rows = []
    for one in facts.attempts:
        start = "the start" if one.resumed_from is None else f"step {count(one.resumed_from)}"
        ending = ": ".join(filter(None, (one.status.replace("_", " "), one.reason)))
        rows.append(Row((str(one.attempt), when(one.started_at), start, duration(one.seconds), ending)))
    labels = ("started", "from", "took", "ended")
    columns = (Column("attempt", numeric=True), *(Column(label, numeric=label == "took") for label in labels))
    return Table("Attempts", columns, tuple(rows))


def samples(facts: Facts) -> tuple[tuple[Sample, ...], str]:
    """What the best checkpoint writes, then the texts of training in its order, evenly chosen where there are many; and
    what was left out."""
    best = final_examples(facts)
    known = [example.data for example in best]
    found = [e for e in facts.examples if e.name == "sample" and not (e.step == facts.best_step and e.data in known)]
    chosen = [found[i] for i in spread(range(len(found)), limit=SHOWN_SAMPLES)]
    whole = facts.metrics.get("validation/loss")
    shown = [_sample(example, f"best checkpoint, step {count(example.step)}", loss=whole) for example in best]
    shown += [_sample(e, f"step {count(e.step)}", loss=facts.value_at("validation/loss", e.step)) for e in chosen]
    left_out = len(chosen) < len(found)
    note = f"{count(len(chosen))} of {plural(len(found), 'sample')} through training, evenly chosen." if left_out else ""
    return tuple(shown), note


def final_examples(facts: Facts) -> list[ExampleRow]:
    """The samples of the best checkpoint that its newest evaluation recorded, as many as are asked for."""
    recorded = [e for e in facts.examples if e.step == facts.best_step and (e.name == "final" or e.name.startswith("final-"))]
    newest = max((i for i, example in enumerate(recorded) if example.name == "final"), default=0)
    asked = facts.option("schedule", "evaluate", "samples")
    return recorded[newest:][: asked if isinstance(asked, int) else None]


def _sample(example: ExampleRow, title: str, *, loss: float | None) -> Sample:
    if "text" not in example.data:
        parts = tuple(Fact(name.replace("_", " "), _short(value)) for name, value in example.data.items() if value is not None)
        return Sample(title, "" if loss is None else f"validation loss {number(loss)}", "", "", parts=parts)
    text, prompt = str(example.data.get("text", "")), str(example.data.get("prompt") or "")
    if prompt and text.startswith(prompt):
        text = text[len(prompt) :]
    cut = plural(len(text) - SHOWN_CHARACTERS, "more character") if len(text) > SHOWN_CHARACTERS else ""
    return Sample(title, "" if loss is None else f"validation loss {number(loss)}", prompt, text[:SHOWN_CHARACTERS], cut)


def _short(value: Any) -> str:
    text = number(value) if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def data_facts(facts: Facts) -> tuple[Fact, ...]:
    """Where the data came from, and what was checked about it."""
    data = {**mapping(facts.document.get("data")), **facts.result("data")}
    found = [Fact(label.replace("_", " "), value, mono=_is_name(value)) for label, value in _flat(mapping(data.get("source")))]
    if "fallback_used" in data:
        found.append(Fact("fallback source", "used" if data["fallback_used"] else "not needed"))
    leakage = mapping(data.get("leakage"))
    if leakage:
        pairs = ", ".join(f"{count(n)} in {pair.replace('/', ' and ')}" for pair, n in leakage.items() if n)
        found.append(Fact("exact duplicates across splits", pairs or "none"))
    return tuple(found)


def splits_table(facts: Facts) -> Table | None:
    """Documents, words, bytes and tokens of each split."""
    recorded = {**mapping(mapping(facts.document.get("data")).get("splits")), **mapping(facts.result("data").get("splits"))}
    tokens = mapping(facts.result("tokens").get("splits"))
    if not recorded:
        return None
    names = [name for name in ("train", "validation", "test") if name in recorded] + sorted(
        recorded.keys() - {"train", "validation", "test"}
    )
    if any("documents" not in mapping(recorded[name]) for name in names):
        return _rows_table(facts, {name: mapping(recorded[name]) for name in names})
    rows = []
    for name in names:
        split = mapping(recorded[name])
        token_count = mapping(tokens.get(name)).get("count", split.get("tokens"))
        per_token = split["bytes"] / token_count if token_count and split.get("bytes") else None
        cells = (
            count(split.get("documents")),
            count(split.get("words")),
            size(split.get("bytes")),
            count(token_count),
            number(per_token, digits=3),
        )
        rows.append(Row((name, *cells)))
    labels = ("documents", "words", "size", "tokens", "bytes per token")
    return Table("Text of each split", (Column("split"), *(Column(label, numeric=True) for label in labels)), tuple(rows))


def _rows_table(facts: Facts, splits: Mapping[str, Mapping[str, Any]]) -> Table:
    """Rows and bytes of each split, and the samples that the task makes of them."""
    prepared = mapping(facts.result("examples").get("splits"))
    rows = []
    for name, split in splits.items():
        made = mapping(prepared.get(name))
        rows.append(
            Row((name, count(split.get("rows")), size(split.get("bytes")), count(made.get("samples")), count(made.get("predictions"))))
        )
    labels = ("rows", "size", "samples", "predictions in a pass")
    return Table("Rows of each split", (Column("split"), *(Column(label, numeric=True) for label in labels)), tuple(rows))


def plan_rows(facts: Facts) -> tuple[tuple[PlanRow, ...], str]:
    """The plan's steps, predicted against actual, and how good the prediction was.

    What was not run took nothing; a report cannot know what writing it takes.
    """
    steps = [step if step.action in ("run", "resume") else replace(step, predicted={}, actual={}) for step in facts.steps]
    steps = [replace(step, actual={}) if step.kind == "report" else step for step in steps]
    times = [value for step in steps for value in (step.predicted.get("seconds"), step.actual.get("seconds")) if value]
    longest = max(times, default=0.0)

    def bar(seconds: float | None) -> str:
        return f"{100 * seconds / longest:.2f}" if seconds and longest else ""

    rows = []
    for step in steps:
        predicted, actual = step.predicted.get("seconds"), step.actual.get("seconds")
        rows.append(
            PlanRow(
                id=step.id, action=step.action, reason=step.reason, key=step.key[:12],
                predicted_time=duration(predicted), actual_time=duration(actual), ratio=_ratio(actual, predicted),
                predicted_memory=size(step.predicted.get("memory_bytes")), actual_memory=size(step.actual.get("memory_bytes")),
                disk=size(step.actual.get("disk_bytes", step.predicted.get("disk_bytes"))),
                predicted_bar=bar(predicted), actual_bar=bar(actual),
            )
        )  # fmt: skip
    both = [(s.actual["seconds"], s.predicted["seconds"]) for s in steps if s.actual.get("seconds") and s.predicted.get("seconds")]
    if not both:
        return tuple(rows), ""
    took, foreseen = sum(a for a, _ in both), sum(p for _, p in both)
    note = f"Steps with a prediction took {duration(took)}; {duration(foreseen)} were predicted ({_ratio(took, foreseen)})."
    return tuple(rows), note


def hardware_facts(facts: Facts) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """The machine as it was used, and the reason for each choice."""
    hardware = mapping(facts.document.get("hardware"))
    memory = hardware.get("memory_bytes")
    wanted = (
        ("device", _value(hardware.get("device") or hardware.get("kind"))),
        ("name", _value(hardware.get("name"))),
        ("cores", _value(hardware.get("cores"))),
        ("threads", _value(hardware.get("threads"))),
        ("memory", size(memory) if isinstance(memory, int | float) else ""),
        ("precision", _value(hardware.get("precision"))),
        ("compilation", _value(hardware.get("compilation"))),
    )
    return tuple(Fact(label, value) for label, value in wanted if value), tuple(str(reason) for reason in hardware.get("reasons") or ())


def spec_rows(facts: Facts) -> tuple[SpecRow, ...]:
    """Every value of the resolved spec with where it came from, in the order of the spec."""
    provenance = facts.provenance
    rows = []
    for path, value in _leaves(facts.spec):
        origin = _origin(provenance, path)
        rows.append(SpecRow(path, "absent" if value is None else _text(value), origin, origin == "default"))
    return tuple(rows)


def environment(facts: Facts) -> tuple[tuple[Fact, ...], str, Table | None]:
    """What the run ran in: versions, commit, times; its command; its packages."""
    git = mapping(facts.document.get("git"))
    commit = str(git.get("commit") or "")
    state = ("with uncommitted changes" if git.get("dirty") else "clean") if commit else ""
    wanted = (
        Fact("started", when(facts.run.started_at)),
        Fact("finished", when(facts.final.get("finished_at") or facts.run.finished_at)),
        Fact("python", _value(facts.document.get("python"))),
        Fact("git commit", commit[:12], state, mono=True),
        Fact("spec digest", str(facts.document.get("spec_digest") or "")[:16], mono=True),
        Fact("run", facts.run.run_id, mono=True),
        _parent(facts),
    )
    text = str(facts.document.get("command") or "")
    versions = sorted(mapping(facts.document.get("packages")).items())
    columns = (Column("package"), Column("version", mono=True))
    packages = Table("Packages", columns, tuple(Row((name, str(version))) for name, version in versions)) if versions else None
    return tuple(fact for fact in wanted if fact.value), text, packages


def _parent(facts: Facts) -> Fact:
    """The run that this one began from; without a value where it began by itself."""
    start = mapping(facts.document.get("start"))
    if not start:
        return Fact("begins from", "")
    what = kept_of_parent(start, possible=all(alert.code != NOT_POSSIBLE for alert in facts.alerts))
    return Fact("begins from", f"{start.get('run_id')}, step {start.get('step')}", what, mono=True)


def artifacts_table(facts: Facts) -> Table | None:
    """The files that the run left, but for the report: it cannot name its own digest."""
    columns = (Column("role"), Column("path", mono=True), Column("size", numeric=True), Column("sha256", mono=True), Column("from"))
    files = [a for a in facts.artifacts if not a.role.startswith(("report", "chart"))]
    rows = tuple(Row((a.role, a.path, size(a.size_bytes), a.sha256[:12], a.producer)) for a in files)
    return Table("Files of the run", columns, rows) if rows else None


def _ratio(actual: float | None, predicted: float | None) -> str:
    return f"{number(actual / predicted, digits=2)}×" if actual and predicted else MISSING


def _size(name: str, value: Any) -> str:
    """8 layers, width 256."""
    return plural(value, name.removeprefix("num_").removesuffix("s")) if name.startswith("num_") else f"{name} {value}"


def _kind(section: Any) -> str:
    return str(mapping(section).get("kind") or "")


def _value(value: Any) -> str:
    """A name, or the value of a choice that carries its reason."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return "" if value is None else str(value)


def _is_name(text: str) -> bool:
    """Whether a value is a digest or a commit rather than words or a figure."""
    return len(text) >= 12 and all(character in "0123456789abcdef" for character in text)


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is recorded under each label, in words; nothing of what is empty."""
    for label, value in values.items():
        if text := _words(value):
            yield label, text


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for name, item in value.items() if (text := _words(item)))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_words, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return count(value) if isinstance(value, int) else number(value)
    return _text(value)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def _origin(provenance: Mapping[str, Any], path: str) -> str:
    """Where a value came from: its own entry, else that of the nearest section around it, else nobody set it."""
    while path:
        if path in provenance:
            return str(provenance[path])
        path = path.rpartition(".")[0]
    return "default"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
