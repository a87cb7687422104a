"""Options of the `python_docs` source: English prose that ships with Python itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """The documentation topics behind Python's `help()` and the standard library's docstrings: offline, anywhere.

    The text belongs to the Python version that runs; its version and digest enter the record.
    """

    factory: ClassVar[str] = "specrun.sources.python_docs.build:build"
    kind: Literal["python_docs"] = option(impact="weights", description="Documentation text of the Python that runs.")
    include: tuple[Literal["topics", "docstrings"], ...] = option(
        ("topics",),
        impact="weights",
        description="Which text: the topics of help(), the docstrings of the standard library, or both.",
        min_length=1,
    )
