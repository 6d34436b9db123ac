"""Sealed Parquet files, each of which carries the SHA-256 of its own bytes.

The digest stands in the file's footer as a key-value pair of fixed length, and is taken with its own 64
characters as zeros. So a file is checked by itself, on any file system and in any copy, with no list beside it
that could be lost or fall behind.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tune_kd.store.columns import SCHEMA_VERSION
from tune_kd.store.files import parquet

_MAGIC = b"PAR1"
_DIGEST_KEY = "tune-kd:sha256"
_BLANK = "0" * 64
_VERSION_KEY = "tune-kd:schema_version"
_NAME_KEY = "tune-kd:file"
_ROWS_KEY = "tune-kd:rows"
# Thrift's compact protocol writes a value after its key as: field type 0x18, length as a varint, bytes.
_DIGEST = re.compile(re.escape(_DIGEST_KEY.encode()) + rb"\x18\x40([0-9a-f]{64})")
_VERSION = re.compile(re.escape(_VERSION_KEY.encode()) + rb"\x18.([0-9]+)", re.DOTALL)
_NAME = re.compile(re.escape(_NAME_KEY.encode()) + rb"\x18[\x80-\xff]*[\x00-\x7f]([!-~]+)")
_BLOCK = 1 << 20
_MEASURED = {b"J", b"s", b"g CO2e"}
"""Units of numbers that only their first bytes have in common: packed byte by byte, they take least."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with one file of a store."""

    file: str  # relative to the store: trials/….parquet
    kind: str  # truncated, foreign, tampered, missing, newer, altered or contradictory
    detail: str

    @property
    def is_read(self) -> bool:
        """Whether the file's rows are read in spite of it."""
        return self.kind in ("altered", "contradictory")

    def __str__(self) -> str:
        return f"{self.file} is {self.kind}: {self.detail}"


def packer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of a large file; write tables, :func:`close` it, then :func:`stamp` the file."""
    units = {field.name: (field.metadata or {}).get(b"unit", b"") for field in schema}
    measured = [field.name for field in schema if units[field.name] in _MEASURED]
    # Neither times nor losses and scores repeat, so that a dictionary of them would come on top; the rest repeats.
    plain = [field.name for field in schema if pa.types.is_timestamp(field.type) or _is_score(field)]
    repeating = [name for name in schema.names if name not in {*measured, *plain}]
    return parquet.writer(
        path,
        schema,
        compression="zstd",
        compression_level=12,
        use_dictionary=repeating,
        use_byte_stream_split=measured,
    )


def _is_score(field: pa.Field) -> bool:
    return pa.types.is_floating(field.type) and not (field.metadata or {}).get(b"unit")


def close(writer: pq.ParquetWriter, name: str, *, sealed_rows: int | None = None) -> None:
    """End the file, to be called ``name`` in its store, with a blank digest in its footer.

    ``sealed_rows`` is the digest of the rows (:mod:`tune_kd.store.files.rows`) as they were sealed, if known.
    """
    rows = {} if sealed_rows is None else {_ROWS_KEY: f"{sealed_rows:016x}"}
    writer.add_key_value_metadata({_NAME_KEY: name, _VERSION_KEY: str(SCHEMA_VERSION), **rows, _DIGEST_KEY: _BLANK})
    writer.close()


def sealed_rows(path: Path) -> int | None:
    """The digest of a sound file's rows as they were sealed; None if an older tune-kd packed them without one."""
    text = parquet.metadata(path).get(_ROWS_KEY.encode())
    return None if text is None else int(text, 16)


def encode(table: pa.Table, name: str) -> bytes:
    """``table``, a few rows, as the bytes of a stamped Parquet file to be called ``name`` in its store."""
    sink = pa.BufferOutputStream()
    # In a file of one row, dictionaries, statistics and compression only cost time, to the writer and to readers.
    writer = parquet.writer(sink, table.schema, compression="none", use_dictionary=False, write_statistics=False)
    writer.write_table(table)
    close(writer, name)
    data = bytearray(sink.getvalue())
    start = _last(_DIGEST, data).start(1)
    data[start : start + 64] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def stamp(path: Path) -> None:
    """Fill in the digest of the file that :func:`close` ended."""
    with path.open("r+b") as file:
        footer_at, footer = _footer(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(footer_at + _last(_DIGEST, footer).start(1))
        file.write(digest.encode())


def check(path: Path, name: str) -> Fault | int:
    """The fault of the file at ``path``, called ``name`` in its store; its schema version if it has none."""

    def fault(kind: str, detail: str) -> Fault:
        return Fault(file=name, kind=kind, detail=detail)

    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        if file.read(4) != _MAGIC:
            return fault("foreign" if size else "truncated", f"its {size} bytes are not Parquet")
        file.seek(-4, 2)
        if size < 12 or file.read(4) != _MAGIC:
            return fault("truncated", f"it ends after {size} bytes, without a Parquet footer")
        footer_at, footer = _footer(file)
        digests, names, versions = ([*pattern.finditer(footer)] for pattern in (_DIGEST, _NAME, _VERSION))
        if not (digests and names and versions):
            if all(name in footer for name in (b"schema_version", b"run_id")):
                return fault("tampered", "another program wrote it again, without its checksum")
            return fault("foreign", "it has no tune-kd checksum")
        if (version := int(versions[-1][1])) > SCHEMA_VERSION:
            return fault("newer", f"its schema version is {version}; this tune-kd knows up to {SCHEMA_VERSION}")
        if _hash(file, footer_at + digests[-1].start(1)) != digests[-1][1].decode():
            return fault("tampered", "its bytes are not those that were sealed")
        if (sealed_as := names[-1][1].decode()) != name:
            return fault("foreign", f"it was sealed as {sealed_as}")
    return version


def _last(pattern: re.Pattern[bytes], data: bytes | bytearray) -> re.Match[bytes]:
    """The last match: the file's own key-value pairs come at its very end."""
    return list(pattern.finditer(data))[-1]


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """The offset of the Parquet footer, and its bytes."""
    size = file.seek(-8, 2) + 8
    length = int.from_bytes(file.read(4), "little")
    start = max(0, size - 8 - length)
    file.seek(start)
    return start, file.read(size - start)


def _hash(file: BinaryIO, digest_at: int) -> str:
    """The SHA-256 of ``file`` with the 64 characters at ``digest_at`` as zeros."""
    digest = hashlib.sha256()
    file.seek(0)
    left = digest_at
    while left:
        block = file.read(min(left, _BLOCK))
        digest.update(block)
        left -= len(block)
    digest.update(_BLANK.encode())
    file.seek(digest_at + 64)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
