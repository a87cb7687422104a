"""Options of the `pretrained` tokenizer: one that was made elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.spec.section import Part, Problem, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

FILE = "tokenizer.json"
_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Options(Part):
    """A `tokenizer.json` as it is; the train split has no say in it. What a task needs and it lacks is added as last rows."""

    factory: ClassVar[str] = "specrun.tokenizers.pretrained.build:train"
    kind: Literal["pretrained"] = option(impact="weights", description="A tokenizer that was made elsewhere.")
    path: str = option(
        impact="weights",
        description="A tokenizer.json, a folder that holds one, or a repository of the Hugging Face Hub (owner/name).",
        min_length=1,
    )
    revision: str | None = option(
        None, impact="weights", description="Commit of the Hub's repository, 40 hexadecimal digits; required there, and only there."
    )
    end_of_text: bool = option(
        True, impact="weights", description="Whether the tokenizer's end-of-text token follows each document; <|endoftext|> if it has none."
    )

    @property
    def is_hub_name(self) -> bool:
        """Whether the path can be a name on the Hub, rather than a local one alone."""
        return _HUB_NAME.fullmatch(self.path) is not None and ".." not in self.path and not self.path.endswith(".json")

    def file(self, *, base: Path, data_root: Path | None) -> Path | None:
        """The local file that is read: that of a mirror under data_root, else of the path itself; None means the Hub, or nothing."""
        local = base / Path(self.path).expanduser()
        found = [local, local / FILE]
        if data_root is not None and self.is_hub_name:
            found.insert(0, data_root / self.path / FILE)
        return next((file for file in found if file.is_file()), None)

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """The file, where it is a local one."""
        file = self.file(base=base, data_root=data_root)
        return () if file is None else (file,)

    def identity(self) -> dict[str, Any]:
        """Facts beyond options and files that decide the result: none."""
        return {}

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """A local file that is not there, and a repository of the Hub without a commit."""
        if self.file(base=base, data_root=data_root) is not None:
            return
        local = base / Path(self.path).expanduser()
        if local.is_dir():
            yield Problem((*path, "path"), "missing-tokenizer", f"{local} holds no {FILE}",
                          "have transformers write it: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)", severity)  # fmt: skip
        elif not self.is_hub_name:
            yield Problem((*path, "path"), "missing-tokenizer", f"{self.path!r} does not exist; looked for {local}",
                          f"name a {FILE}, a folder that holds one, or owner/name of the Hub", severity)  # fmt: skip
        elif self.revision is None:
            yield Problem((*path, "path"), "unpinned-revision",
                          f"{self.path!r} is not at hand, and a name of the Hub without a commit can mean something else tomorrow",
                          f"set data.tokenizer.revision to one of https://huggingface.co/{self.path}/commits/main", severity)  # fmt: skip

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """A revision that names no commit, or where there is none to choose."""
        if self.revision is not None and not self.is_hub_name:
            yield Problem((*path, "revision"), "revision-of-a-folder",
                          "a local file has no revisions; its digest is recorded", "leave revision out")  # fmt: skip
        elif self.revision is not None and _COMMIT.fullmatch(self.revision) is None:
            yield Problem((*path, "revision"), "unpinned-revision",
                          f"revision {self.revision!r} is no commit: what a branch or a tag names can change",
                          f"use one of https://huggingface.co/{self.path}/commits/main, 40 hexadecimal digits")  # fmt: skip
