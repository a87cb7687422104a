"""Options of the `huggingface` source: a dataset of the Hub, or a local folder laid out like one."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """Loaded through the `datasets` library; a local folder and a mirror under `--data-root` take the same path."""

    factory: ClassVar[str] = "specrun.sources.huggingface.build:build"
    kind: Literal["huggingface"] = option(impact="weights", description="A dataset of the Hugging Face Hub.")
    path: str = option(impact="weights", description="Name on the Hub (owner/name), or a local folder with the Hub's layout.", min_length=1)
    config: str | None = option(None, impact="weights", description="Configuration of the dataset; absent means its default.")
    revision: str | None = option(
        None, impact="weights", description="Commit, tag or branch of the dataset; absent takes what is newest and records it."
    )
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="Whether a row is a document, or all rows of a split joined as they are make one."
    )
