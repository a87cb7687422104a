"""Owns the text of `specrun data`: plain data in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specrun.cli.tables import table
from specrun.plan import figures
from specrun.report.data_figures import bin_names, column_rows, labels, quantile_text, range_names, rows_of
from specrun.spec.visible import visible_line

_BAR = 30
_MOST_COLUMNS = 40


def data_text(document: Mapping[str, Any]) -> str:
    """The data on a page: splits, columns, classes, lengths, leaks, examples."""
    parts = (_head(document), _splits(document), _columns(document), _classes(document), _distributions(document),
             _lengths(document), _checked(document), _examples(document))  # fmt: skip
    return "\n".join([line for part in parts for line in part])


def headline(document: Mapping[str, Any]) -> list[str]:
    """Where the data is from, and how much there is."""
    noun, source = document["noun"], document["source"]
    total = sum(facts[noun] for facts in document["splits"].values())
    size = figures.size(sum(facts["bytes"] for facts in document["splits"].values()))
    place = source.get("path") or source.get("files")
    where = f" {place}" if isinstance(place, str) else ""
    return [f"{source['kind']} source{where}", f"{total:,} {noun}, {size}", f"task {document['task']}"] + (
        [] if document["comparable"] else ["from the fallback: not comparable"]
    )


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    yield visible_line(f"{document['name']}: {', '.join(headline(document))}")


def _splits(document: Mapping[str, Any]) -> Iterator[str]:
    noun, counts = document["noun"], document["counts"]
    unit = noun if noun == "rows" else "bytes"
    total = sum(facts[unit] for facts in document["splits"].values())
    splits = document["splits"].values()
    known = [name for name in dict.fromkeys(("samples", counts, "tokens", "padding_share")) if any(name in facts for facts in splits)]
    if counts in known and counts not in (noun, "samples") and all(facts.get(counts) == facts.get("samples") for facts in splits):
        known.remove(counts)
    known = [name for name in known if name != noun]
    rows = []
    for name, facts in document["splits"].items():
        told = [_known(facts, other) for other in known]
        rows.append([name, facts[noun], f"{facts[unit] / total:.1%}", figures.size(facts["bytes"]), *told])
    yield ""
    headings = ["SPLIT", noun.upper(), "SHARE", "SIZE", *("PADDING" if name == "padding_share" else name.upper() for name in known)]
    yield table(headings, rows)
    for reason, count in document.get("left_out", {}).items():
        if count:
            yield f"  {_LEFT_OUT[reason].format(count=f'{count:,} {noun}')}"
    if document["not_prepared"]:
        yield visible_line(f"  not prepared for training: {document['not_prepared']}")


def _known(facts: Mapping[str, Any], name: str) -> object:
    return f"{facts[name]:.1%}" if name == "padding_share" and name in facts else facts.get(name)


_LEFT_OUT = {
    "split": "{count} are in no split, as data.split says",
    "duplicates": "{count} are left out as duplicates",
    "unsampled": "{count} are left out by data.sample",
}


def _columns(document: Mapping[str, Any]) -> Iterator[str]:
    rows = list(column_rows(document))
    if rows:
        yield ""
        yield table(("COLUMN", "ROLE", "TYPE", "MISSING", "VALUES IN TRAIN"), rows[:_MOST_COLUMNS])
    if len(rows) > _MOST_COLUMNS:
        yield f"  and {len(rows) - _MOST_COLUMNS:,} more columns"


def _classes(document: Mapping[str, Any]) -> Iterator[str]:
    """Rows of each class in each split, the largest of train first, with a bar for its share of that."""
    found: dict[str, dict[str, Mapping[str, int]]] = {}
    for name, split, classes in labels(document):
        found.setdefault(name, {})[split] = classes
    for name, splits in found.items():
        names = list(dict.fromkeys(each for classes in splits.values() for each in classes))
        first = next(iter(splits.values()))
        most = max(first.values())
        rows = [
            [each[:40], *(_share(classes.get(each, 0), rows_of(document, split)) for split, classes in splits.items()),
             "#" * round(_BAR * first.get(each, 0) / most)]
            for each in names
        ]  # fmt: skip
        yield ""
        yield table((name, *(split.upper() for split in splits), ""), rows)
        different = document["profile"].get("train", {}).get(name, {}).get("distinct", 0)
        if isinstance(different, int) and different > len(first):
            yield f"  and {different - len(first):,} more in train"


def _distributions(document: Mapping[str, Any]) -> Iterator[str]:
    """Where the values of each numeric target lie."""
    for name, told in document.get("distributions", {}).items():
        yield ""
        yield visible_line(f"{name}: {quantile_text(told)}")
        yield from _bars(range_names(told), told["counts"])


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})"


def _lengths(document: Mapping[str, Any]) -> Iterator[str]:
    for name, facts in document["profile"].get("train", {}).items():
        told = facts.get("characters")
        if told and told["max"] > told["min"] and "classes" not in facts:
            first = next(place for place, count in enumerate(told["bins"]) if count)
            yield ""
            yield visible_line(f"characters of {name} in train, {document['noun']} of each length:")
            yield from _bars(bin_names(len(told["bins"]))[first:], told["bins"][first:])


def _bars(names: Sequence[str], values: Sequence[int]) -> Iterator[str]:
    most, total = max(values, default=0) or 1, sum(values) or 1
    texts = [visible_line(name)[:40] for name in names]
    width = max(map(len, texts), default=0)
    for name, value in zip(texts, values, strict=True):
        yield f"  {name:>{width}}  {'#' * round(_BAR * value / most):<{_BAR}}  {value:,} ({value / total:.1%})".rstrip()


def _checked(document: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for pair, count in document["leakage"].items():
        first, second = pair.split("/")
        what = f"{count:,} {document['noun']} of {second} are also in {first}" if count else f"nothing of {second} is also in {first}"
        yield f"leakage: {what}"
    if not document["leakage"]:
        yield "leakage: not looked for (data.checks.leakage: off)"
    if document.get("checks"):
        yield f"expectations that hold: {', '.join(map(visible_line, document['checks']))}"
    for warning in document["warnings"]:
        yield visible_line(f"warning: {warning}")


def _examples(document: Mapping[str, Any]) -> Iterator[str]:
    if document["examples"]:
        yield ""
        yield "the first of train:"
    for row in document["examples"]:
        yield "  " + visible_line("; ".join(f"{name}: {value}" for name, value in row.items()))
