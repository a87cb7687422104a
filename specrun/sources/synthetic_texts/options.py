"""Options of the `synthetic_texts` source: sentences to copy, to reverse, or to classify by the one word that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from specrun.sources.drawn_options import DrawnOptions
from specrun.spec.section import Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(DrawnOptions):
    """Columns source and target for content copy and reverse, text and label for keyword. What the best model scores is told."""

    factory: ClassVar[str] = "specrun.sources.synthetic_texts.build:build"

    kind: Literal["synthetic_texts"] = option(impact="weights", description="Drawn sentences with a known best prediction.")
    content: Literal["copy", "reverse", "keyword"] = option(
        "reverse",
        impact="weights",
        description="copy: the target is the source. reverse: its words in reverse. keyword: the label is told by one word of the text.",
    )
    rows: int = option(5000, impact="weights", description="Sentences.", ge=10, le=10**9)
    words: int = option(30, impact="weights", description="Words of the language, beside the keywords.", ge=2, le=10_000)
    shortest: int = option(3, impact="weights", description="Words of the shortest sentence.", ge=1, le=10_000)
    longest: int = option(8, impact="weights", description="Words of the longest sentence.", ge=1, le=10_000)
    classes: int = option(2, impact="weights", description="Labels of content keyword; each has three keywords.", ge=2, le=1000)
    wrong_labels: float = option(
        0.0, impact="weights", description="Share of texts that have another label, of content keyword.", ge=0, le=0.5
    )

    @property
    def total_rows(self) -> int:
        return self.rows

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.shortest > self.longest:
            yield Problem((*path, "shortest"), "shortest-exceeds-longest", f"shortest {self.shortest} is more than longest {self.longest}",
                          f"use shortest: {self.longest}")  # fmt: skip
        for name in ("classes", "wrong_labels"):
            if self.content != "keyword" and name in self.model_fields_set:
                yield Problem((*path, name), "option-without-effect", f"content {self.content} has no labels",
                              f"remove {name}, or use content: keyword", severity="warning")  # fmt: skip
