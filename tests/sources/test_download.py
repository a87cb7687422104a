"""Files from addresses: whole, with the checksum that they must have, or an error; what broke off is gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from web_double import CHANGED, CONTENT

from specrun.errors import DataError
from specrun.sources import download
from specrun.sources.contract import SourceUnavailable
from specrun.sources.csv.options import Options
from specrun.spec.splits.ratio import Options as Ratio

WEB_DOUBLE = Path(__file__).with_name("web_double.py")
SHA256, OTHER = (hashlib.sha256(content).hexdigest() for content in (CONTENT, CHANGED))


def on_the_web(folder: Path, modes: str, **options: Any) -> list[dict[str, Any]]:
    """What loading from the server gives, an outcome a mode. In a process of its own, which may open sockets."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, str(WEB_DOUBLE), modes, str(folder), json.dumps(options)]
    process = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder)
    assert process.stderr == ""
    outcomes = [json.loads(line) for line in process.stdout.splitlines()]
    assert all(outcome["left"] == [] for outcome in outcomes)
    return outcomes


def test_an_address_without_a_checksum_is_asked_again_and_what_it_held_is_the_variant(tmp_path: Path) -> None:
    first, same, changed, down = on_the_web(tmp_path, "serve,serve,changed,down")
    assert (first["rows"], first["variant"], first["warnings"]) == (2000, SHA256, ["address-not-pinned"])
    assert {**same, "asked": first["asked"]} == first
    assert (changed["rows"], changed["variant"]) == (1, OTHER)
    assert (down["rows"], down["variant"], down["warnings"]) == (1, OTHER, ["address-not-asked"])
    assert "token" not in json.dumps(first["facts"])


def test_with_its_checksum_a_file_is_fetched_once(tmp_path: Path) -> None:
    first, again, down = on_the_web(tmp_path, "serve,changed,down", sha256=SHA256)
    assert (first["rows"], first["variant"], first["warnings"]) == (2000, None, [])
    assert (again["rows"], again["asked"], down["rows"]) == (2000, [], 2000)


def test_what_broke_off_or_failed_once_is_whole_in_the_end(tmp_path: Path) -> None:
    rest = f"bytes={len(CONTENT) // 2}-"
    asked = {"cut": [None, rest], "no-range!": [None, rest], "busy!": [None, None], "moved!": [None, None]}
    outcomes = on_the_web(tmp_path, ",".join(asked), sha256=SHA256)
    assert [(outcome.get("rows"), outcome["asked"]) for outcome in outcomes] == [(2000, each) for each in asked.values()]


def test_each_way_an_address_fails_has_its_code(tmp_path: Path) -> None:
    expected = {
        "changed": ("DataError", "checksum-mismatch"),
        "404": ("SourceUnavailable", "address-not-found"),
        "403": ("SourceUnavailable", "address-not-found"),
        "500": ("SourceUnavailable", "address-unreachable"),
        "cut-always": ("SourceUnavailable", "address-unreachable"),
        "page": ("SourceUnavailable", "page-not-file"),
        "down": ("SourceUnavailable", "address-unreachable"),
    }
    outcomes = on_the_web(tmp_path, ",".join(expected), sha256=SHA256)
    assert [(outcome["error"], outcome["code"]) for outcome in outcomes] == list(expected.values())
    assert all(outcome["hint"] and "token" not in outcome["message"] for outcome in outcomes)
    assert OTHER in outcomes[0]["hint"]


@pytest.mark.slow
def test_a_kept_file_that_was_damaged_is_fetched_anew(tmp_path: Path) -> None:
    on_the_web(tmp_path, "serve", sha256=SHA256)
    (kept,) = tmp_path.rglob("data.csv")
    kept.write_bytes(kept.read_bytes().replace(b"row 7", b"row 8"))
    (outcome,) = on_the_web(tmp_path, "down", sha256=SHA256)
    assert outcome["code"] == "address-unreachable"


def test_object_stores_are_read_through_fsspec(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://bucket/a.csv", "wb") as stream:
        stream.write(CONTENT)
    found = download.fetch("memory://bucket/a.csv", folder=tmp_path, sha256=None, key="data.source", emit=lambda _: None)
    assert (found.sha256, found.path.name, found.path.read_bytes()) == (SHA256, "a.csv", CONTENT)
    with pytest.raises(SourceUnavailable) as caught:
        download.fetch("memory://bucket/b.csv", folder=tmp_path, sha256=None, key="data.source", emit=lambda _: None)
    assert caught.value.code == "address-not-found"
    with pytest.raises(DataError) as wrong:
        download.fetch("memory://bucket/a.csv", folder=tmp_path, sha256=OTHER, key="data.source", emit=lambda _: None)
    assert wrong.value.code == "checksum-mismatch"


def problems(path: Any, **options: Any) -> list[str]:
    spec: Any = SimpleNamespace(data=SimpleNamespace(split=Ratio(kind="ratio")))
    return [found.code for found in Options(kind="csv", path=path, **options).problems(spec, ("data", "source"))]


def test_addresses_and_checksums_that_cannot_be_are_found_without_the_network() -> None:
    one, other = "https://a.example/x.csv", "https://a.example/y.csv"
    assert problems(one) == problems(one, sha256=SHA256) == problems((one, other), sha256={one: SHA256}) == []
    assert problems("a.csv", sha256=SHA256) == ["checksum-without-address"]
    assert problems((one, other), sha256=SHA256) == ["checksum-not-single"]
    assert problems(one, sha256={other: SHA256}) == ["checksum-without-address"]
    assert problems(one, sha256="abc") == ["not-a-checksum"]
    assert problems("file:///a.csv") == ["file-address"]
    assert problems("memory://a/b.csv") == ["unknown-scheme"]
    assert problems("https:///x.csv") == ["not-an-address"]


def test_a_pinned_file_is_known_by_its_checksum_another_by_its_address() -> None:
    one, other = (Options(kind="csv", path=f"https://{host}/x.csv", sha256=SHA256) for host in ("a", "b"))
    assert one.identity() == other.identity() != {}
    loose = Options(kind="csv", path="https://a/x.csv")
    assert loose.identity() != one.identity()
    assert Options(kind="csv", path="x.csv").identity() == {}
