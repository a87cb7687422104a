"""Options of the `transformers` model: an architecture of Hugging Face's library, with its weights or with ones of our own drawing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specrun.models.transformers.folder import COMMIT, PATTERNS, folder_problem, is_hub_name, named_files
from specrun.spec.model_options import ModelOptions
from specrun.spec.section import Problem, apart, option

if TYPE_CHECKING:
    from specrun.spec.document import Spec

EXTRA = "pip install 'specrun[transformers]'"


class Options(ModelOptions):
    """A folder with `config.json` and `model.safetensors`, or a commit of the Hub. Sizes come from there; code from there is never run."""

    factory: ClassVar[str] = "specrun.models.transformers.build:build"
    serves: ClassVar[tuple[str, ...]] = ("language_model", "masked_language_model", "text_classifier", "seq2seq", "image_classifier")
    wants_interface: ClassVar[bool] = True
    path_field: ClassVar[str] = "name"

    kind: Literal["transformers"] = option(impact="weights", description="A model of the transformers library.")
    name: str = option(
        impact="weights",
        description="A folder with config.json and, for init: pretrained, model.safetensors; or a repository of the Hugging Face Hub.",
        min_length=1,
    )
    revision: str | None = option(
        None, impact="weights", description="Commit of the Hub's repository, 40 hexadecimal digits; required there, and only there."
    )
    init: Literal["pretrained", "scratch"] = option(
        "pretrained",
        impact="weights",
        description="pretrained: the weights of model.safetensors; what these lack for the task, such as a classifier, is drawn. "
        "scratch: all weights are drawn; vocabulary, classes and image size are the data's.",
    )
    dropout: float | None = option(
        None,
        impact="weights",
        description="Rate, 0 to 1, of every dropout that config.json sets; layers left out whole are not among them. Absent means its own.",
        ge=0,
        lt=1,
    )

    @property
    def draws_in_training(self) -> bool:
        """Whether a forward pass in training may draw random numbers: what a config says of it is not known before it is read."""
        return self.dropout != 0

    @property
    def trained_before(self) -> bool:
        """Whether training begins with weights that are worth adapting."""
        return self.init == "pretrained"

    @property
    def is_hub_name(self) -> bool:
        """Whether the name can be one of the Hub, rather than a local folder alone."""
        return is_hub_name(self.name)

    def folder(self, *, base: Path, data_root: Path | None) -> Path | None:
        """The local folder that is read: the mirror under data_root, else a folder of that name; None means the Hub, or nothing."""
        found = [base / Path(self.name).expanduser()]
        if data_root is not None and self.is_hub_name:
            found.insert(0, data_root / self.name)
        return next((folder for folder in found if folder.is_dir()), None)

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """The files of a local folder that decide the model."""
        folder = self.folder(base=base, data_root=data_root)
        return () if folder is None else named_files(folder, PATTERNS[self.init])

    def input_roles(self, *, base: Path, data_root: Path | None) -> tuple[tuple[str, Path], ...]:
        """The same by their names."""
        return tuple((file.name, file) for file in self.local_inputs(base=base, data_root=data_root))

    def placed(self, *, base: Path, data_root: Path | None) -> Options:
        folder = self.folder(base=base, data_root=data_root)
        return self if folder is None else self.model_copy(update={"name": str(folder.resolve())})

    def restored(self, checkpoint: Path) -> Options:
        return Restored(kind="transformers", name=str(checkpoint), init="scratch")

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """The library that is not installed, a folder that is not there or not to be used, and a name of the Hub without a commit."""
        if not installed():
            yield Problem((*path, "kind"), "missing-extra", "the transformers library is not installed", EXTRA, severity)
        folder, at = self.folder(base=base, data_root=data_root), (*path, "name")
        if folder is not None:
            if (found := folder_problem(folder, init=self.init)) is not None:
                yield Problem(at, *found, severity)
        elif not self.is_hub_name:
            where = base / Path(self.name).expanduser()
            yield Problem(at, "missing-model", f"{self.name!r} does not exist; looked for {where}",
                          "name a folder with config.json and model.safetensors, or owner/name of the Hub", severity)  # fmt: skip
        elif self.revision is None:
            yield Problem(at, "unpinned-revision",
                          f"{self.name!r} is not at hand, and a name of the Hub without a commit can mean something else tomorrow",
                          f"set model.revision to one of https://huggingface.co/{self.name}/commits/main", severity)  # fmt: skip

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        yield from apart(self._revision_problems(path), self._tokenizer_problems(spec))

    def _revision_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """A revision that names no commit, or where there is none to choose."""
        if self.revision is None:
            return
        if not self.is_hub_name:
            yield Problem((*path, "revision"), "revision-of-a-folder",
                          "a local folder has no revisions; the digests of its files are recorded", "leave revision out")  # fmt: skip
        elif COMMIT.fullmatch(self.revision) is None:
            yield Problem((*path, "revision"), "unpinned-revision",
                          f"revision {self.revision!r} is no commit: what a branch or a tag names can change",
                          f"use one of https://huggingface.co/{self.name}/commits/main, 40 hexadecimal digits")  # fmt: skip

    def _tokenizer_problems(self, spec: Spec) -> Iterator[Problem]:
        """Trained weights take the ids of the tokenizer that they were trained with."""
        if self.init == "scratch" or "tokenizer" not in spec.task.data_settings:
            return
        tokenizer: Any = spec.data.tokenizer
        path: str | None = getattr(tokenizer, "path", None)
        remedy = f"set data.tokenizer: {{kind: pretrained, path: {self.name}}}, or model.init: scratch"
        if path is None:
            yield Problem(("data", "tokenizer"), "tokenizer-of-another-model",
                          f"the weights of {self.name} are for the tokens of its own tokenizer, whose ids are other tokens in one of kind "
                          f"{tokenizer.kind}", remedy)  # fmt: skip
        elif Path(path).name != Path(self.name).name and Path(path).parent != Path(self.name):
            yield Problem(("data", "tokenizer", "path"), "tokenizer-of-another-model",
                          f"the tokenizer is that of {path}, and the weights are those of {self.name}: if the tokenizers are not the same, "
                          "the weights mean nothing", remedy, severity="warning")  # fmt: skip


class Restored(Options):
    """A model as a checkpoint of a training has it, whose folder is its `name`: built by the config beside the weights, as that is."""

    factory: ClassVar[str] = "specrun.models.transformers.build:restore"


def installed() -> bool:
    """Whether the library is there, without importing it."""
    try:
        return find_spec("transformers") is not None
    except ValueError:
        return False
