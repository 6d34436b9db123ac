"""The digest of rows, by which packed rows are compared with the sealed ones.

A sum over the rows modulo 2⁶⁴, so that it is the same in any order, and that of two files together is the sum of
theirs. Columns that are null in a row add nothing: a later schema's new columns leave the digests of old rows alone.
Digests are kept in files and must never change; hashes of pandas or duckdb may change from version to version.
"""

from __future__ import annotations

import json
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
MODULUS = 2**64


def digest(rows: pa.Table) -> int:
    """The digest of ``rows``, 0 ≤ digest < 2⁶⁴."""
    summed = np.zeros(len(rows), np.uint64)
    for name in rows.schema.names:
        column = rows[name]
        known = column.is_valid().to_numpy()
        summed += np.where(known, _mixed(_hashes(column) ^ np.uint64(_of_text(name))), np.uint64(0))
    return int(_mixed(summed).sum(dtype=np.uint64))


def _hashes(column: pa.ChunkedArray) -> Hashes:
    """64 bits of each value; undefined if it is null."""
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([[json.dumps(value) for value in column.to_pylist()]], pa.string())
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        texts = [_of_text(text) for text in encoded.dictionary.to_pylist()] or [0]
        return np.array(texts, np.uint64)[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    if pa.types.is_floating(column.type):
        values = column.fill_null(0.0).to_numpy()
        return np.where(np.isnan(values), np.nan, values).view(np.uint64)  # one NaN: their bits are the machine's
    return column.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)


def _of_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(hashes: Hashes) -> Hashes:
    """Each number's bits spread over all 64: the finish of SplitMix64, so that sums do not cancel out."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
