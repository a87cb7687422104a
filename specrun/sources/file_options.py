"""What the options of every source that reads files have in common: paths, globs and addresses, by split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from specrun.sources.contract import WHOLE
from specrun.sources.extent import Extent
from specrun.sources.files import is_address, matches, real_paths
from specrun.spec.bounds import found
from specrun.spec.nearest import listed, nearest
from specrun.spec.section import Part, Problem, apart, option
from specrun.spec.shape import valid_items
from specrun.spec.splits.given import Options as Given

if TYPE_CHECKING:
    from specrun.spec.document import Spec

SCHEMES = frozenset({"http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "ftp", "sftp"})
"""How an address may begin: http by the standard library; of fsspec's, those that read a file from elsewhere and run nothing."""
_HOST = re.compile(r"[^/\s:]+(:\d+)?/\S")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BEGINNING_BYTES = 1 << 18
_COMPRESSED_RATIO = 3
"""Bytes of text in a byte of gzip, roughly; for estimates alone."""


class FileOptions(Part):
    """Files by path, glob or address. Relative paths start at the spec's folder, or the current folder for values of `--set`.

    A mapping gives the splits: {train: ..., validation: ...}; a single path is one stretch, to be cut by `data.split`.
    has_columns: whether its rows have columns. suffix: of its files, for messages; holds: what is in them. bytes_per_byte: of values in one
    of a file, roughly. splits_key: the option that is a mapping where the source has splits of its own.
    """

    has_columns: ClassVar[bool] = True
    suffix: ClassVar[str]
    holds: ClassVar[str] = "rows"
    bytes_per_byte: ClassVar[float] = 1.0
    splits_key: ClassVar[str] = "path"

    path: str | tuple[str, ...] | dict[str, str | tuple[str, ...]] = option(
        impact="runtime",  # what the files hold enters keys as a digest; where they lie does not
        description="File, glob or address (https://, s3://, hf:// and the like), list of them, or a mapping from split to them.",
        examples=["data/corpus.txt"],
        min_length=1,
    )
    sha256: str | dict[str, str] | None = option(
        None,
        impact="runtime",  # counts in the key in the place of the address, see `identity`
        description="SHA-256 that the file at an address must have, 64 digits; for several, a mapping from address to it; absent takes "
        "what is there and records it.",
    )

    def patterns(self) -> Mapping[str, tuple[str, ...]]:
        """Paths, globs and addresses as they are written, by split."""
        by_split = self.path if isinstance(self.path, dict) else {WHOLE: self.path}
        return {split: (given,) if isinstance(given, str) else tuple(given) for split, given in by_split.items()}

    def addresses(self) -> tuple[str, ...]:
        """The addresses among them, each once."""
        given = (given for patterns in self.patterns().values() for _, given in valid_items(patterns))
        return tuple(dict.fromkeys(given for given in given if is_address(given)))

    def checksum(self, address: str) -> str | None:
        """The SHA-256 that the file at an address must have, where the spec says one."""
        return self.sha256.get(address) if isinstance(self.sha256, dict) else self.sha256

    def files(self, base: Path) -> Mapping[str, tuple[Path, ...]]:
        """The local files of each split, in the order they are read: as the patterns stand, those of a glob by name, each once."""
        return {split: each_once(file for pattern in given for file in matches(pattern, base)) for split, given in self.patterns().items()}

    def local_inputs(self, *, base: Path, data_root: Path | None) -> tuple[Path, ...]:
        """The local files that decide the result, sorted."""
        return tuple(sorted({file for files in self.files(base).values() for file in files}))

    def input_roles(self, *, base: Path, data_root: Path | None) -> tuple[tuple[str, Path], ...]:
        """The files with the part each plays, whatever it is called: its split and its place in it."""
        return tuple((f"{split}/{place}", file) for split, files in self.files(base).items() for place, file in enumerate(files))

    def identity(self) -> dict[str, Any]:
        """What is read from addresses, by split and place: the checksum where the spec says one, so that another copy of the same file
        is the same; else the address. What was found there is the variant."""
        given = {
            f"{split}/{place}": f"sha256 {checksum}" if (checksum := self.checksum(address)) is not None else address
            for split, patterns in self.patterns().items()
            for place, address in enumerate(patterns)
            if is_address(address)
        }
        return {"addresses": given} if given else {}

    def extents(self, *, base: Path, data_root: Path | None) -> Mapping[str, Extent]:
        """How much there is, from the files' sizes; how many rows, from the beginning of the first file."""
        if self.addresses():
            return {}
        return {split: self._extent(files) for split, files in self.files(base).items() if files}

    def _extent(self, files: tuple[Path, ...]) -> Extent:
        size = sum(int(file.stat().st_size * (_COMPRESSED_RATIO if file.suffix == ".gz" else self.bytes_per_byte)) for file in files)
        return Extent(size, self.rows(files[0], size))

    def rows(self, file: Path, size_bytes: int) -> float | None:
        """About how many rows so many bytes hold, if they are as those at the beginning of a file; None where only reading would tell."""
        if file.suffix == ".gz":
            return None
        breaks, read_bytes = self.breaks(file, rb"\n")
        return max(1.0, size_bytes * breaks / read_bytes) if read_bytes else 1.0

    @staticmethod
    def breaks(file: Path, pattern: bytes) -> tuple[int, int]:
        """How often a pattern occurs in the beginning of a file, and how many bytes that is."""
        with file.open("rb") as stream:
            beginning = stream.read(_BEGINNING_BYTES)
        return len(re.findall(pattern, beginning)), len(beginning)

    def file_problems(self, path: tuple[str, ...], base: Path, data_root: Path | None, severity: str) -> Iterator[Problem]:
        """Files that are not there, or are named twice. Opens none of them. path: of the source in the spec."""
        from specrun.sources.existence import missing_files

        yield from missing_files(self, path, base, severity)

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        """Checksums without a file, and splits that do not go together with `data.split`."""
        yield from apart(self._checksum_problems(path), self._address_problems(path), self._split_problems(spec, path))

    def _checksum_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        addresses, at = self.addresses(), (*path, "sha256")
        for given in self.sha256.values() if isinstance(self.sha256, dict) else (self.sha256,):
            if given is not None and not _SHA256.fullmatch(given):
                hint = "write its 64 digits of 0-9 and a-f, as sha256sum does"
                yield Problem(at, "not-a-checksum", f"{found(given)} is no SHA-256", hint)
        if isinstance(self.sha256, dict):
            for address in self.sha256.keys() - set(addresses):
                near = nearest(address, addresses)
                hint = f"did you mean {near}?" if near else "remove it, or add the address to path"
                yield Problem(at, "checksum-without-address", f"path has no address {address!r}", hint)
        elif self.sha256 is not None and not addresses:
            message = "sha256 is of a file at an address, and path has none; digests of local files are recorded anyway"
            yield Problem(at, "checksum-without-address", message, "remove sha256")
        elif self.sha256 is not None and len(addresses) > 1:
            message = f"one checksum for {len(addresses)} addresses"
            yield Problem(at, "checksum-not-single", message, f"make sha256 a mapping from address to it: {{{addresses[0]!r}: ...}}")

    def _address_problems(self, path: tuple[str | int, ...]) -> Iterator[Problem]:
        for address in self.addresses():
            scheme, _, rest = address.partition("://")
            if scheme in ("file", "local"):
                yield Problem((*path, "path"), "file-address", f"{address!r} is a local file", f"use the path {rest}")
            elif scheme not in SCHEMES:
                hint = f"use one of {', '.join(sorted(SCHEMES))}, or a path on this machine"
                yield Problem((*path, "path"), "unknown-scheme", f"{address!r}: nothing is read by {scheme}", hint)
            elif not _HOST.match(rest):
                yield Problem((*path, "path"), "not-an-address", f"{address!r} names no host", f"write {scheme}://<host>/<file>")

    def _split_problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        at, split, key = ("data", "split"), spec.data.split, f"data.source.{self.splits_key}"
        given, one = getattr(self, self.splits_key), f"one stretch of {self.holds}"
        if path != ("data", "source"):
            return
        if isinstance(split, Given) and not isinstance(given, dict):
            yield Problem(
                at,
                "split-not-given",
                f"split given takes the splits from the source, but {key} is {one}",
                f"use split: {{kind: ratio, validation: 0.1}}, or make {self.splits_key} a mapping: {{train: ..., validation: ...}}",
            )
        elif isinstance(split, Given) and isinstance(given, dict):
            for role, name in split.sources.items():
                if name not in given:
                    near = nearest(name, given)
                    hint = f'did you mean "{near}"?' if near else f"add {name} to {key}"
                    there = listed(sorted(given), "and")
                    yield Problem((*at, role), "missing-split", f"{key} has no split {name!r}; it has {there}", hint)
        elif isinstance(given, dict):
            yield Problem(
                at,
                "splits-already-given",
                f"split {split.kind} cuts {one}, but {key} names splits: {', '.join(sorted(given))}",
                f"use split: {{kind: given, train: train, validation: validation}}, or make {self.splits_key} one, without splits",
            )


def each_once(files: Iterable[Path]) -> tuple[Path, ...]:
    """Files without those that lead where one before them does."""
    first: dict[Path, Path] = {}
    given = tuple(files)
    for file, real in zip(given, real_paths(given), strict=True):
        first.setdefault(real, file)
    return tuple(first.values())
