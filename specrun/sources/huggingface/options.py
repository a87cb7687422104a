"""Options of the `huggingface` source: a dataset of the Hub, or a local folder laid out like one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.sources.extent import Extent
from specrun.sources.files import folder_files, located
from specrun.spec.section import Part, Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")
_PARQUET_RATIO = 2
"""Bytes of text in a byte of compressed Parquet, roughly; for estimates alone."""


class Options(Part):
    """Loaded through the `datasets` library; a local folder and a mirror under `--data-root` take the same path."""

    factory: ClassVar[str] = "specrun.sources.huggingface.build:build"
    has_columns: ClassVar[bool] = True
    kind: Literal["huggingface"] = option(impact="weights", description="A dataset of the Hugging Face Hub.")
    path: str = option(impact="weights", description="Name on the Hub (owner/name), or a local folder with the Hub's layout.", min_length=1)
    config: str | None = option(None, impact="weights", description="Configuration of the dataset; absent means its default.", min_length=1)
    revision: str | None = option(
        None,
        impact="weights",
        description="Commit, tag or branch of the dataset; absent takes what is newest and records it.",
        min_length=1,
    )
    documents: Literal["rows", "joined"] = option(
        "rows", impact="weights", description="Whether a row is a document, or all rows of a split joined as they are make one."
    )

    @property
    def is_hub_name(self) -> bool:
        """Whether the path can be a name on the Hub, rather than a local folder alone."""
        return _HUB_NAME.fullmatch(self.path) is not None and ".." not in self.path

    def folder(self, *, base: Path, data_root: Path | None) -> Path | None:
        """The local folder that is read: the mirror under data_root, else a folder of that path; None means the Hub."""
        if self.is_hub_name and data_root is not None and (data_root / self.path).is_dir():
            return data_root / self.path
        local = located(self.path, base)
        return local if local.is_dir() else None

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """Every file of the local folder, sorted; empty for a dataset of the Hub."""
        folder = self.folder(base=base, data_root=data_root)
        return () if folder is None else folder_files(folder)

    def input_roles(self, *, base: Path, data_root: Path | None) -> tuple[tuple[str, Path], ...]:
        """The files by their names inside the folder, which decide the configurations and splits."""
        folder = self.folder(base=base, data_root=data_root)
        return () if folder is None else tuple((file.relative_to(folder).as_posix(), file) for file in folder_files(folder))

    def identity(self) -> dict[str, Any]:
        """Facts beyond options and files that decide the result: none that are known before the Hub is asked."""
        return {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much text, guessed from a local folder's Parquet files, whose names tell the split; nothing for the Hub."""
        files = [file for file in self.local_inputs(base=base, data_root=data_root) if file.suffix == ".parquet"]
        if self.config is not None:
            files = [file for file in files if self.config in file.parts] or files
        sizes: dict[str, int] = {}
        for file in files:
            name = _split_of(file)
            sizes[name] = sizes.get(name, 0) + file.stat().st_size * _PARQUET_RATIO
        return {name: Extent(size, 1.0 if self.documents == "joined" else None) for name, size in sizes.items()}

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """A folder that is not there, and a name of the Hub that is very like one that is."""
        from specrun.sources.existence import missing_dataset

        yield from missing_dataset(self, path, base, data_root, severity)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """A path that can be nothing, and a revision where there is none to choose."""
        if "://" in self.path:
            name = self.path.split("/datasets/")[-1].strip("/")
            yield Problem((*path, "path"), "url-not-a-name", f"{self.path!r} is an address; a dataset is named owner/name", f"use {name}")
        elif not self.is_hub_name and self.revision is not None:
            yield Problem(
                (*path, "revision"),
                "revision-of-a-folder",
                "a local folder has no revisions; its files' digest is recorded",
                "leave revision out",
            )


def _split_of(file: Path) -> str:
    """The split that a file of the Hub's layouts is of: `train-00000-of-00003.parquet`, `train.parquet`, `train/0000.parquet`."""
    name = re.sub(r"-\d+(-of-\d+.*)?$", "", file.stem)
    return file.parent.name if name.isdigit() else name
