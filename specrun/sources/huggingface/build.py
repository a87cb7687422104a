"""Builds the `huggingface` source: one path through `datasets` for the Hub, a local folder and a mirror.

What can go wrong with the Hub and how it is said is `failures`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from specrun.errors import DataError
from specrun.events import Message
from specrun.sources.contract import LoadedTable, SourceRequest, SourceUnavailable, Table
from specrun.sources.files import digest_files
from specrun.sources.huggingface.failures import cannot_load, cannot_prepare, wrong_config
from specrun.sources.huggingface.mirror import COMMIT, Traces, check_revision, traces
from specrun.sources.huggingface.options import Options
from specrun.sources.huggingface.reach import cache_only, expected_errors, library, why_unreachable

_ROWS_AT_ONCE = 1000
_IMAGES_AT_ONCE = 100


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Every split of the dataset. Raises SourceUnavailable where the Hub or the dataset is out of reach, DataError otherwise.

    facts: revision (commit of the Hub, or digest of a local folder's files), commits (that a local copy says it holds),
    files_without_commit (how many of its files say none, where others do), config, origin, rows, class_names.
    """
    folder = options.folder(base=request.base_folder, data_root=request.data_root)
    if folder is None and not options.is_hub_name:
        raise SourceUnavailable(f"{options.path} is not a folder", code="missing-folder", hint="check data.source.path")
    if folder is None and Path(options.path).exists():
        # The library would take it for the dataset, although paths of this spec do not start in the current folder.
        message = f"the current folder holds {options.path}, which is not where this spec's paths start"
        raise DataError(
            message, code="ambiguous-dataset", hint=f"run from another folder, or set data.source.path: {Path(options.path).absolute()}"
        )
    files = options.input_roles(base=request.base_folder, data_root=request.data_root)
    held = traces(folder, (name for name, _ in files)) if folder is not None else Traces()
    warnings = check_revision(options, folder, held, key=request.key) if folder is not None else ()
    cut_off = why_unreachable() if folder is None else None
    with nullcontext() if cut_off is None else cache_only():
        digest = _digest(files) if folder is not None else None
        builder = _builder(options, folder, request, cut_off, digest)
        revision = digest or _commit(options, builder)
        splits = _prepare(options, builder, request)
    class_names = _class_names(splits)
    facts = {
        "path": options.path,
        "origin": "local" if folder is not None else "hub" if cut_off is None else "cache of the hub",
        "config": builder.config.name,
        "revision": revision,
        **({"commits": list(held.commits)} if folder is not None else {}),
        **({"files_without_commit": len(held.untraced)} if held.commits and held.untraced else {}),
        **({"requested_revision": options.revision} if options.revision is not None else {}),
        "rows": {name: len(split) for name, split in splits.items()},
        **({"class_names": class_names} if class_names else {}),
    }
    tables = {name: _table(split) for name, split in splits.items()}
    variant = f"revision {revision}" if folder is None else None
    return LoadedTable(tables, facts, warnings, variant, documents=options.documents)


def _digest(files: Sequence[tuple[str, Path]]) -> str:
    try:
        return digest_files(files)
    except OSError as error:
        hint = "make the dataset's files readable"
        raise SourceUnavailable(f"{error.filename}: {error.strerror}", code="unreadable-file", hint=hint) from error


def _builder(options: Options, folder: Path | None, request: SourceRequest, cut_off: str | None, digest: str | None) -> Any:
    """The library's builder. digest: of the local folder's files; each state of a folder is converted in a cache of its own,
    because the library takes a folder whose files have changed for the one in its cache."""
    datasets = library()
    where = options.path if folder is None else str(folder)
    revision = options.revision if folder is None else None
    cache = None if digest is None else str(Path(datasets.config.HF_DATASETS_CACHE) / "by-content" / digest[:32])
    try:
        return datasets.load_dataset_builder(where, name=options.config, revision=revision, cache_dir=cache)
    except ValueError as error:
        configs = _configs(datasets, where, revision)
        if configs and options.config not in configs:
            raise wrong_config(options, configs) from None
        raise cannot_load(options, error, folder=folder, data_root=request.data_root, cut_off=cut_off) from error
    except expected_errors() as error:
        raise cannot_load(options, error, folder=folder, data_root=request.data_root, cut_off=cut_off) from error


def _configs(datasets: Any, where: str, revision: str | None) -> list[str]:
    try:
        names: list[str] = datasets.get_dataset_config_names(where, revision=revision)
    except expected_errors():
        return []
    return sorted(names)


def _prepare(options: Options, builder: Any, request: SourceRequest) -> dict[str, Any]:
    """Download what is missing and open every split."""
    request.emit(Message(f"{options.path} ({builder.config.name}): preparing"))
    try:
        builder.download_and_prepare()
        return dict(builder.as_dataset())
    except expected_errors() as error:
        raise cannot_prepare(options, error) from error


def _commit(options: Options, builder: Any) -> str:
    found = str(builder.hash)
    if options.revision is not None and COMMIT.fullmatch(options.revision) and found != options.revision:
        # The library falls back to whatever is in its cache when the Hub is out of reach, whichever commit that is.
        raise SourceUnavailable(
            f"{options.path}: the Hub cannot be reached and the cache holds commit {found}, not {options.revision}",
            code="hub-unreachable",
            hint=f"connect to the Hub once, or set data.source.revision: {found}",
        )
    return found


def _class_names(splits: Mapping[str, Any]) -> dict[str, list[str]]:
    """Columns of classes by their numbers -> the classes' names in the order of the numbers."""
    features = next(iter(splits.values())).features if splits else {}
    return {column: list(feature.names) for column, feature in features.items() if isinstance(feature, library().ClassLabel)}


def _table(split: Any) -> Table:
    """A split as Arrow stores it; images with their bytes in them, wherever the dataset keeps those."""
    schema = split.features.arrow_schema.remove_metadata()
    files = {column for column, feature in split.features.items() if isinstance(feature, library().Image)}

    def read(columns: Sequence[str]) -> Iterator[Any]:
        rows = split.select_columns(list(columns)).with_format("arrow")
        for table in rows.iter(batch_size=_IMAGES_AT_ONCE if files & set(columns) else _ROWS_AT_ONCE):
            whole = table if files.isdisjoint(columns) else library().table.embed_table_storage(table)
            yield from whole.select(list(columns)).combine_chunks().to_batches()

    return Table(schema, read, rows=len(split))
