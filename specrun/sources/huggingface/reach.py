"""The `datasets` library as specrun uses it: quiet, without telemetry, and asked of its cache alone where the Hub is out of reach.

Left to itself the library tries a dead network for minutes, at every file again.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

PROBE_SECONDS = 8.0


def library() -> Any:
    """The `datasets` library without telemetry, download counts, progress bars and log lines."""
    for name, value in {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}.items():
        os.environ.setdefault(name, value)
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging: Any = huggingface_hub.logging
    logging.set_verbosity_error()
    return datasets


def expected_errors() -> tuple[type[Exception], ...]:
    """What the library raises for a dataset or a network at fault; its own errors and the HTTP client's are among them."""
    from datasets.exceptions import DatasetsError

    clients = [(sys.modules.get(name), error) for name, error in (("httpx", "HTTPError"), ("httpx2", "HTTPError"))]
    of_clients = [getattr(module, error) for module, error in clients if module is not None]
    return (DatasetsError, OSError, ValueError, RuntimeError, LookupError, TypeError, NotImplementedError, *of_clients)


def why_unreachable() -> str | None:
    """Ask the Hub for anything at all; None where it answers, else why it does not. Proxies of the environment are used."""
    library()
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        answer = get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except expected_errors() as error:
        return f"{type(error).__name__}: {error}"
    return None if answer.status_code < 500 else f"it answers {answer.status_code}"


@contextlib.contextmanager
def cache_only() -> Iterator[None]:
    """Inside, the libraries read their caches and open no connection."""
    datasets = library()
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
