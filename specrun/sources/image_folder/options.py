"""Options of the `image_folder` source: images in folders that are called after their class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from specrun.sources.extent import Extent
from specrun.sources.files import located, nearest_existing, why_unusable
from specrun.sources.image_folder.listing import Fault, Listing, read_folder
from specrun.spec.bounds import found
from specrun.spec.section import Part, Problem, option


class Options(Part):
    """Columns image (bytes and path) and label, from <path>/<class>/<image>, or <path>/<split>/<class>/<image> where there are splits.

    A relative path starts at the spec's folder, or the current folder for values of `--set`.
    """

    factory: ClassVar[str] = "specrun.sources.image_folder.build:build"
    has_columns: ClassVar[bool] = True

    kind: Literal["image_folder"] = option(impact="weights", description="Images in folders that are called after their class.")
    path: str = option(
        impact="runtime",  # what the files hold and what they are called enters keys; where they lie does not
        description="Folder that holds a folder for each class, or a folder for each split with those of the classes in it.",
        examples=["data/flowers"],
        min_length=1,
    )

    def folder(self, base: Path) -> Path:
        """Where it is."""
        return located(self.path, base)

    def listing(self, base: Path) -> Listing:
        """What it holds; nothing where there is no such folder."""
        folder = self.folder(base)
        return read_folder(folder) if folder.is_dir() else Listing()

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """The images, sorted."""
        return tuple(sorted(image.path for image in self.listing(base).images))

    def input_roles(self, *, base: Path, data_root: Path | None) -> tuple[tuple[str, Path], ...]:
        """The images by their names inside the folder, which say their split, their class and their order."""
        return tuple((image.name, image.path) for image in self.listing(base).images)

    def identity(self) -> dict[str, Any]:
        """Facts beyond options and files that decide the result: none."""
        return {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """Bytes and images of each split."""
        splits = self.listing(base).splits
        return {split: Extent(sum(image.path.stat().st_size for image in images), len(images)) for split, images in splits.items()}

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """A folder that is not there, and what is amiss with what it holds. Opens no file. path: of the source in the spec."""
        at = (*path, "path")
        if (fault := self.missing(base)) is not None:
            yield Problem(at, *fault, severity)
            return
        yield from (Problem(at, *fault, severity) for fault in self.listing(base).faults)

    def missing(self, base: Path) -> Fault | None:
        """Why there is no such folder."""
        if (why := why_unusable(self.path, base)) is not None:
            return Fault("not-a-path", f"{found(self.path)} cannot be a path: {why}", "use a path such as data/flowers")
        folder = self.folder(base)
        if folder.is_dir():
            return None
        if folder.exists():
            return Fault("file-not-folder", f"{found(self.path)} is a file; an image_folder source reads a folder",
                         "name the folder that holds the folders of the classes")  # fmt: skip
        near = nearest_existing(folder)
        hint = f'did you mean "{near}"?' if near else "name a folder with a folder of images for each class"
        return Fault("missing-folder", f"{found(self.path)} does not exist; looked for {folder}", hint)
