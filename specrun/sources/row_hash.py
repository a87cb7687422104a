"""Hashes of rows: 64 bits a row, the same on every machine, whatever the layout of a column.

Numbers are told apart by their value (1 is 1.0, -0.0 is 0.0, NaN is NaN), texts and files by BLAKE2b, a missing value from all others.
Among 10 million rows two differing ones meet with odds of 1 in 400,000. Finaliser: splitmix64 (Steele, Lea and Flood, 2014).

Legend: N rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_MISSING = 0x9E3779B97F4A7C15
_EXACT = 2**53


def mixed(values_N: Hashes, *, seed: int = 0) -> Hashes:
    """A permutation of the 64-bit numbers that depends on a seed. values_N: (N,)."""
    with np.errstate(over="ignore"):
        x = values_N + np.uint64((seed * 0xBF58476D1CE4E5B9 + _MISSING) & (2**64 - 1))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)


def fractions(hashes_N: Hashes, *, seed: int) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1), others for each seed. hashes_N: (N,)."""
    return np.asarray((mixed(hashes_N, seed=seed) >> np.uint64(11)).astype(np.float64) / _EXACT)


def shuffled(count: int, *, seed: int) -> npt.NDArray[np.int64]:
    """The positions 0 .. count - 1 in an order that a seed decides."""
    return np.argsort(mixed(np.arange(count, dtype=np.uint64), seed=seed), kind="stable")


def row_hashes(batch: pa.RecordBatch, columns: Sequence[str]) -> Hashes:
    """A hash of the named columns of each row. Returns: (N,)."""
    total = np.zeros(batch.num_rows, np.uint64)
    for name in columns:
        total = mixed(total ^ column_hashes(batch.column(name)))
    return total


def column_hashes(values: pa.Array) -> Hashes:
    """A hash of each value. Returns: (N,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), _MISSING, np.uint64)
    if pa.types.is_dictionary(kind):
        found = _taken(column_hashes(values.dictionary), values.indices)
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found = _numbers(values)
    elif pa.types.is_temporal(kind):
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        found = _numbers(values.view(wide))
    elif pa.types.is_struct(kind):
        names = ["bytes"] if {field.name for field in kind} == {"bytes", "path"} else sorted(field.name for field in kind)
        found = np.zeros(len(values), np.uint64)
        for name in names:
            found = mixed(found ^ column_hashes(pc.struct_field(values, name)))
    elif _is_bytes(kind):
        encoded = values.cast(_plain(kind)).dictionary_encode()
        found = _taken(np.array([_digest(each) for each in encoded.dictionary.to_pylist()], np.uint64), encoded.indices)
    else:
        found = np.array([_digest(repr(each)) for each in values.to_pylist()], np.uint64)
    if values.null_count:
        found = np.where(pc.is_null(values).to_numpy(zero_copy_only=False), np.uint64(_MISSING), found)
    return found


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
                                           pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary))  # fmt: skip


def _plain(kind: Any) -> Any:
    """A layout that can be encoded as a dictionary."""
    import pyarrow as pa

    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.large_string() if is_text else pa.large_binary()


def _taken(hashes: Hashes, indices: Any) -> Hashes:
    """The hash of each index; of a missing one, any."""
    if not len(hashes):
        return np.zeros(len(indices), np.uint64)
    return np.asarray(hashes[np.nan_to_num(indices.to_numpy(zero_copy_only=False)).astype(np.int64)])


def _numbers(values: Any) -> Hashes:
    """Numbers by their value as float64; whole ones beyond its precision by their own bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0).to_numpy(zero_copy_only=False)
    numbers = filled.astype(np.float64) + 0.0  # which makes -0.0 a 0.0
    numbers[np.isnan(numbers)] = np.nan
    bits = numbers.view(np.uint64)
    if filled.dtype.kind in "iu" and filled.dtype.itemsize == 8:
        far = np.abs(numbers) >= _EXACT
        bits = np.where(far, mixed(filled.astype(np.uint64)), bits)
    return mixed(bits)


def _digest(value: Any) -> int:
    data = value.encode() if isinstance(value, str) else value or b""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
