"""Builds the `python_docs` source. Docstrings are read from source files; no module of the library is imported for them."""

from __future__ import annotations

import ast
import importlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path

from specrun.sources.contract import WHOLE, Documents, LoadedText, SourceRequest, SourceUnavailable
from specrun.sources.python_docs.options import Options, library_files, topics_file

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def build(options: Options, request: SourceRequest) -> LoadedText:  # noqa: ARG001 - the contract of a source
    """One stretch: the topics by name, then the docstrings by file and position. Raises SourceUnavailable where Python has none."""
    if "topics" in options.include and topics_file() is None:
        raise SourceUnavailable(
            "this Python comes without its documentation topics (the module pydoc_data)",
            code="missing-topics",
            hint="install the full standard library, or set data.source.include: [docstrings]",
        )

    def read() -> Iterator[str]:
        if "topics" in options.include:
            yield from topics()
        if "docstrings" in options.include:
            for _, path in library_files():
                yield from docstrings(path)

    return LoadedText({WHOLE: Documents(read)}, {**options.identity(), "include": list(options.include)})


def topics() -> Iterator[str]:
    """The texts that `help()` shows for its topics, by name; a text that stands under two names comes once."""
    texts: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return iter(dict.fromkeys(texts[name] for name in sorted(texts)))


def docstrings(path: Path) -> Iterator[str]:
    """Docstrings of a source file with their indentation removed, in the order they stand; none for a file that does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    nodes = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        raw = ast.get_docstring(node, clean=False)
        text = inspect.cleandoc(raw).strip() if raw else ""
        if text and _encodable(text):
            yield text + "\n"


def _encodable(text: str) -> bool:
    """Whether a text is valid Unicode: escapes in source can make lone surrogates."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
