"""Says what went wrong between here and the Hub: unreachable, not there, gated, a wrong revision or configuration.

The library keeps the cause of some failures only in its message; where it does, the message decides.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from specrun.errors import DataError
from specrun.sources.contract import SourceUnavailable
from specrun.sources.files import nearest_existing
from specrun.sources.huggingface.options import Options
from specrun.spec.nearest import listed, nearest

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOTDIR})
_OUT_OF_REACH = frozenset({"ConnectionError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectError", "ConnectTimeout",
                           "ReadTimeout", "TimeoutException", "ReadError", "RemoteProtocolError", "ProxyError", "SSLError", "NetworkError",
                           "TransportError", "SocketBlockedError", "SocketConnectBlockedError", "TimeoutError", "gaierror"})  # fmt: skip


def wrong_config(options: Options, configs: Sequence[str]) -> DataError:
    """A configuration is missing or not one of the dataset's."""
    there = listed(configs, "and")
    if options.config is None:
        message, code = f"{options.path} has several configurations and no default: {there}", "missing-config"
        return DataError(message, code=code, hint=f"set data.source.config: {configs[0]}")
    near = nearest(options.config, configs) or configs[0]
    message = f"{options.path} has no configuration {options.config!r}; it has {there}"
    return DataError(message, code="unknown-config", hint=f"set data.source.config: {near}")


def cannot_load(
    options: Options, error: Exception, *, folder: Path | None, data_root: Path | None, cut_off: str | None = None
) -> DataError:
    """The dataset's description could not be read. cut_off: why the Hub was not asked, if it was not."""
    refused = _refused_write(error)
    if refused is not None:
        return refused
    if folder is not None:
        message = f"{folder} is not a dataset: {_one_line(error)}"
        return DataError(
            message, code="not-a-dataset", hint="a dataset folder holds Parquet, CSV, JSON or text files, or a README naming them"
        )
    if cut_off is not None:
        return _unreachable(options, f"{cut_off}; and it is not in the cache", data_root)
    names = {type(link).__name__ for link in _chain(error)}
    said = " ".join(str(link) for link in _chain(error))
    if "GatedRepoError" in names or "is a gated dataset" in said:
        hint = f"accept its terms at https://huggingface.co/datasets/{options.path}, then set the environment variable HF_TOKEN"
        return SourceUnavailable(f"{options.path} is gated: the Hub gives it to named users only", code="gated-dataset", hint=hint)
    if "RevisionNotFoundError" in names or "Revision '" in said:
        message = f"{options.path} has no revision {options.revision or 'main'!r}"
        return DataError(
            message, code="unknown-revision", hint="set data.source.revision to a commit, tag or branch of it, or leave it out"
        )
    if "Dataset scripts are no longer supported" in said:
        message = f"{options.path} is a program, and code of datasets is never run"
        return DataError(message, code="dataset-needs-code", hint="choose a dataset of Parquet, CSV, JSON or text files")
    if names & _OUT_OF_REACH or _server_failed(error):
        return _unreachable(options, _one_line(error), data_root)
    if "DatasetNotFoundError" in names or "RepositoryNotFoundError" in names or _status(error) & {401, 403, 404}:
        hint = "check the spelling of data.source.path; for a private dataset set the environment variable HF_TOKEN"
        return SourceUnavailable(f"the Hub has no dataset {options.path}, or does not show it", code="unknown-dataset", hint=hint)
    message = f"{options.path} cannot be loaded: {_one_line(error)}"
    return DataError(message, code="not-a-dataset", hint="choose a dataset of Parquet, CSV, JSON or text files")


def cannot_prepare(options: Options, error: Exception) -> DataError:
    """The dataset's files could not be fetched, read or converted."""
    refused = _refused_write(error)
    if refused is not None:
        return refused
    names = {type(link).__name__ for link in _chain(error)}
    if names & _OUT_OF_REACH or _server_failed(error):
        return _unreachable(options, _one_line(error), None)
    root = list(_chain(error))[-1]
    return DataError(
        f"{options.path} cannot be read: {_one_line(root)}", code="unreadable-dataset", hint="its files may be damaged; fetch them again"
    )


def _refused_write(error: Exception) -> DataError | None:
    """The error of a cache that cannot be written, if that is what happened."""
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in _FULL:
            hint = "free some space, or set HF_HOME to a folder with more"
            return DataError(f"{link.filename or 'the cache of datasets'}: no space left", code="disk-full", hint=hint)
        if isinstance(link, OSError) and link.errno in _FORBIDDEN:
            message = f"{link.filename or 'the cache of datasets'} cannot be written: {link.strerror}"
            return DataError(message, code="unwritable-cache", hint="set HF_HOME to a folder that can be written")
    return None


def _unreachable(options: Options, why: str, data_root: Path | None) -> SourceUnavailable:
    message = f"the Hugging Face Hub cannot be reached for {options.path}: {why}"
    if data_root is not None:
        near = nearest_existing(data_root / options.path)
        message += f"; {data_root} has no {options.path}" + (f", but {near}" if near else "")
    hint = (
        "three ways out: connect to the network once, after which HF_HUB_OFFLINE=1 uses the cache;"
        f" or --data-root DIR with a copy in DIR/{options.path}; or data.fallback: {{kind: python_docs}}, marked not comparable"
    )
    return SourceUnavailable(message, code="hub-unreachable", hint=hint)


def _server_failed(error: Exception) -> bool:
    return any(status >= 500 or status == 429 for status in _status(error))


def _status(error: Exception) -> set[int]:
    """HTTP statuses among the causes of an error."""
    statuses = (getattr(getattr(link, "response", None), "status_code", None) for link in _chain(error))
    return {status for status in statuses if status is not None}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, newest first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
