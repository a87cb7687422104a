"""What a folder of images holds: split and class of each file, from the folders that it is in; and what is amiss. Opens no file.

Links are followed. A layout is <class>/<image> or <split>/<class>/<image>, the same throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from specrun.sources.contract import WHOLE
from specrun.spec.bounds import found
from specrun.spec.nearest import listed

SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"})
_DEEPEST = 3
_SHOWN = 3


class Fault(NamedTuple):
    """What is amiss with a folder, and what helps."""

    code: str
    message: str
    hint: str


class ImageFile(NamedTuple):
    """name: below the folder, with slashes."""

    path: Path
    name: str
    label: str
    split: str


@dataclass(slots=True)
class Listing:
    """images: those of a class together, classes and files by name. strays: names of files that are no images."""

    images: list[ImageFile] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def splits(self) -> dict[str, list[ImageFile]]:
        """The images by split."""
        found: dict[str, list[ImageFile]] = {}
        for image in self.images:
            found.setdefault(image.split, []).append(image)
        return found


@dataclass(slots=True)
class _Walk:
    """Names are as tuples of parts below the folder."""

    folder: Path
    files: list[tuple[str, ...]] = field(default_factory=list)
    leaves: list[tuple[str, ...]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def visit(self, at: tuple[str, ...] = ()) -> None:
        """Take in what is below, hidden names left out."""
        place, folders = self.folder.joinpath(*at), 0
        try:
            entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            self.faults.append(Fault("unreadable-folder", f"{place}: {error.strerror}", "make it readable"))
            return
        for entry in entries:
            name = (*at, entry.name)
            if not _is_text(entry.name):
                message = f"{found(str(place))} holds a name that is not UTF-8: {entry.name.encode(errors='surrogateescape')!r}"
                self.faults.append(Fault("name-not-utf-8", message, "rename it"))
            elif entry.is_symlink() and not entry.exists():
                self.faults.append(
                    Fault("broken-link", f"{entry} leads to {entry.readlink()}, which is not there", "mend or remove the link")
                )
            elif not entry.is_dir():
                self.files.append(name)
            elif len(name) < _DEEPEST:
                folders += 1
                self.visit(name)
            else:
                message = f"{entry} is a folder within a class: images are in <class>/ or <split>/<class>/"
                self.faults.append(Fault("folder-in-a-class", message, "move its images one folder up, or it out of the way"))
        if at and not folders:
            self.leaves.append(at)


def read_folder(folder: Path) -> Listing:
    """List a folder, which is there."""
    walk = _Walk(folder)
    walk.visit()
    images = [name for name in walk.files if Path(name[-1]).suffix.lower() in SUFFIXES]
    kept = set(images)
    listing = Listing(strays=["/".join(name) for name in walk.files if name not in kept], faults=walk.faults)
    listing.faults += _layout_faults(folder, images)
    full = {name[:-1] for name in images}
    for leaf in walk.leaves:
        if leaf not in full:
            hint = "put its images there, or remove the folder"
            listing.faults.append(Fault("empty-class", f"{folder.joinpath(*leaf)} holds no image", hint))
    if not listing.faults:
        listing.images = [_image(folder, name) for name in images]
    return listing


def _layout_faults(folder: Path, images: list[tuple[str, ...]]) -> Iterator[Fault]:
    by_depth = {depth: next((name for name in images if len(name) == depth), None) for depth in range(1, _DEEPEST + 1)}
    bare, in_class, in_split = by_depth.values()
    if not images:
        yield Fault("no-images", f"{folder} holds no image; images end in {listed(sorted(SUFFIXES), 'or')}",
                    "name a folder with a folder of images for each class")  # fmt: skip
    if bare is not None:
        yield Fault("image-without-class", f"{folder / bare[0]} is in no folder of a class", "put it into one: <class>/<image>")
    if in_class is not None and in_split is not None:
        message = f"{'/'.join(in_class)} is in <class>/, {'/'.join(in_split)} is in <split>/<class>/"
        yield Fault("mixed-layout", f"{folder}: {message}", "use one of them throughout")


def _image(folder: Path, name: tuple[str, ...]) -> ImageFile:
    split = name[0] if len(name) == _DEEPEST else WHOLE
    return ImageFile(folder.joinpath(*name), "/".join(name), name[-2], split)


def stray_warning(strays: list[str]) -> str:
    """Which files are left out."""
    shown = listed(strays[:_SHOWN], "and") if len(strays) <= _SHOWN else f"{', '.join(strays[:_SHOWN])} and {len(strays) - _SHOWN} more"
    return f"no images by their names, and left out: {shown}"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
