"""What is drawn of a data set: sizes, classes, lengths and missing values, as figures that `task_figures` knows. Pure functions of the
document that `specrun data --json` prints."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from specrun.report.facts import mapping

_MOST_BARS = 40
_MOST_LENGTHS = 6
"""Columns of text whose lengths are drawn."""


def data_figures(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every figure that there is something for."""
    return [
        _splits(document),
        *_classes(document),
        *_distributions(document),
        *_lengths(document),
        *_missing(document),
        _columns(document),
        *_examples(document),
    ]


def _splits(document: Mapping[str, Any]) -> dict[str, Any]:
    noun, splits = document["noun"], document["splits"]
    sizes = {"id": "splits", "kind": "bars", "title": "Splits", "caption": f"{noun} of each split", "x_label": noun}
    return {**sizes, "names": list(splits), "values": [facts[noun] for facts in splits.values()]}


def labels(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Classes of what is predicted: column, split, and rows by the name of the class, the largest first."""
    roles, named = mapping(document.get("roles")), mapping(document.get("class_names"))
    for split, columns in document["profile"].items():
        for name in [*roles.get("label", ()), *roles.get("target", ())]:
            if name in mapping(document.get("distributions")):
                continue
            classes = mapping(mapping(columns.get(name)).get("classes"))
            if classes and len(classes) <= _MOST_BARS:
                yield name, split, {_class_name(each, named.get(name)): rows for each, rows in classes.items()}


def _class_name(name: str, names: Any) -> str:
    """A class that the source holds by its number, by its name where it has one."""
    return str(names[int(name)]) if names and name.isdigit() and int(name) < len(names) else name


def _classes(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Balance of the classes in each split, as shares of it."""
    found: dict[str, dict[str, Mapping[str, int]]] = {}
    for name, split, classes in labels(document):
        found.setdefault(name, {})[split] = classes
    for place, (name, of_splits) in enumerate(found.items(), start=1):
        names = list(dict.fromkeys(each for counts in of_splits.values() for each in counts))
        values = [[counts.get(each, 0) / rows_of(document, split) for each in names] for split, counts in of_splits.items()]
        yield {"id": f"classes-{place}", "kind": "heatmap", "title": f"Classes of {name}", "caption": "share of each split's rows",
               "x_label": name, "y_label": "split", "x": names, "y": list(of_splits), "values": values, "format": "percent"}  # fmt: skip


def rows_of(document: Mapping[str, Any], split: str) -> int:
    """Rows or documents of a split, at least 1."""
    return max(1, int(mapping(document["splits"].get(split)).get(document["noun"], 1)))


def _distributions(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Targets that are numbers: rows in ranges, in the train split."""
    for place, (name, told) in enumerate(mapping(document.get("distributions")).items(), start=1):
        yield {"id": f"values-{place}", "kind": "bars", "title": f"Values of {name}", "caption": quantile_text(told),
               "x_label": f"{document['noun']} of train", "names": range_names(told), "values": told["counts"]}  # fmt: skip


def quantile_text(told: Mapping[str, Any]) -> str:
    """Where the values of a column lie, in a sentence."""
    low, first, lower, half, upper, last, high = (_written(value) for value in told["quantiles"])
    return f"half of train between {lower} and {upper}, 90 % between {first} and {last}, all between {low} and {high}; median {half}"


def range_names(told: Mapping[str, Any]) -> list[str]:
    """What each range of a distribution is called; the outer ones are open where values lie beyond them."""
    edges, (low, *_, high) = told["edges"], told["quantiles"]
    names = [f"{_written(first)} to {_written(last)}" for first, last in itertools.pairwise(edges)]
    if low < edges[0]:
        names[0] = f"below {_written(edges[1])}"
    if high > edges[-1]:
        names[-1] = f"{_written(edges[-2])} and more"
    return names


def _written(value: float) -> str:
    return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:,.5g}"


def _lengths(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Lengths of texts in the train split."""
    texts = [(name, facts["characters"]) for name, facts in mapping(document["profile"].get("train")).items() if "characters" in facts]
    for place, (name, told) in enumerate(texts[:_MOST_LENGTHS], start=1):
        if told["max"] > told["min"]:
            first = next(place for place, count in enumerate(told["bins"]) if count)
            caption = f"characters of {name} in train: {told['min']:,.0f} to {told['max']:,.0f}, {told['mean']:,.1f} on average"
            yield {"id": f"lengths-{place}", "kind": "bars", "title": f"Lengths of {name}", "caption": caption, "x_label": document["noun"],
                   "names": bin_names(len(told["bins"]))[first:], "values": told["bins"][first:]}  # fmt: skip


def bin_names(bins: int) -> list[str]:
    """What each of so many bins of lengths is called: they double from one to the next."""
    return ["0", "1", *(f"{2 ** (place - 1):,}-{2**place - 1:,}" for place in range(2, bins))][:bins]


def _missing(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Columns with missing values in the train split."""
    rows = rows_of(document, "train")
    shares = {name: facts["missing"] / rows for name, facts in mapping(document["profile"].get("train")).items() if facts["missing"]}
    if shares:
        first = sorted(shares, key=lambda name: (-shares[name], name))[:_MOST_BARS]
        yield {"id": "missing", "kind": "bars", "title": "Missing values", "caption": "share of the train split's rows",
               "x_label": "share", "names": first, "values": [shares[name] for name in first]}  # fmt: skip


def _columns(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every column of the train split."""
    return {"id": "columns", "kind": "table", "title": "Columns", "caption": "of the train split",
            "columns": [{"name": name, "format": "text"} for name in ("column", "role", "type", "missing", "values")],
            "rows": [list(row) for row in column_rows(document)]}  # fmt: skip


def column_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Column, role, type, missing values and what the values are like, of the train split."""
    roles = {name: role for role, names in mapping(document.get("roles")).items() for name in names}
    types = mapping(document.get("columns"))
    for name, facts in mapping(document["profile"].get("train")).items():
        missing = f"{facts['missing']:,}" if facts["missing"] else ""
        yield name, roles.get(name, ""), str(types.get(name, facts["type"])), missing, _values(facts)


def _values(facts: Mapping[str, Any]) -> str:
    """What the values of a column are like, in a few words."""
    parts = []
    if "std" in facts:
        parts.append(f"{facts['min']:.4g} to {facts['max']:.4g}, mean {facts['mean']:.4g} ± {facts['std']:.3g}")
    if "characters" in facts:
        told = facts["characters"]
        same = told["min"] == told["max"]
        parts.append(f"{told['min']:,.0f} to {told['max']:,.0f} characters, {told['mean']:,.1f} on average" if not same
                     else f"{told['min']:,.0f} character{'' if told['min'] == 1 else 's'}")  # fmt: skip
    if "bytes" in facts:
        told = facts["bytes"]
        parts.append(f"{told['min']:,.0f} to {told['max']:,.0f} bytes")
    if "first" in facts:
        parts.append(f"{facts['first']} to {facts['last']}".replace("T", " "))
    if "distinct" in facts:
        parts.append(f"{facts['distinct']} different")
    if facts.get("infinite"):
        parts.append(f"{facts['infinite']:,} infinite")
    return "; ".join(parts)


def _examples(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = document["examples"]
    if rows:
        columns = list(rows[0])
        yield {"id": "examples", "kind": "table", "title": "Examples", "caption": "the first of the train split",
               "columns": [{"name": name, "format": "text"} for name in columns],
               "rows": [[row[name] for name in columns] for row in rows]}  # fmt: skip
