"""The names of a store's files, which are made of ids."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tune_kd.errors import StoreError
from tune_kd.store.files.manifest import PACKED

JOURNALS = "_journal"
LEASES = "_leases"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


def checked(kind: str, given: str) -> str:
    """``given`` as an id that can be part of a file's name on every file system. Raises StoreError."""
    if not _ID.fullmatch(given):
        raise StoreError(f"a {kind} is made of letters, digits, '.', '_' and '-' (150 at most), got {given!r}")
    if f"{given}-".startswith(PACKED):  # its trials' files would pass for packed ones
        raise StoreError(f"a {kind} does not begin with {PACKED!r}, got {given!r}")
    return given


def run_file(run_id: str) -> str:
    """The file of a run's row."""
    return f"runs/{checked('run_id', run_id)}.parquet"


def attempt_file(table: str, trial_id: str, attempt: int) -> str:
    """The file of an attempt's row of ``trials`` or of its rows of ``reports``."""
    return f"{table}/{checked('trial_id', trial_id)}-{attempt}.parquet"


def node_file(run_id: str, node_id: str) -> str:
    """The file of a node's row. A node's id may hold any character, so its hash stands in the name."""
    return f"nodes/{checked('run_id', run_id)}-{hashlib.sha256(node_id.encode()).hexdigest()[:12]}.parquet"


def journal_file(trial_id: str, attempt: int) -> str:
    """The journal of an attempt, in the folder :data:`JOURNALS`."""
    return f"{checked('trial_id', trial_id)}-{attempt}.jsonl"


def run_of(table: str, stem: str) -> str:
    """The run of a small file of ``table``, from the file's stem."""
    tails = {"runs": 0, "nodes": 1, "trials": 2, "reports": 2}  # the part after the run: a hash; index and attempt
    return stem.rsplit("-", tails[table])[0] if tails[table] else stem


def is_of_run(table: str, name: str, run_id: str) -> bool:
    """Whether ``name``, a small file of ``table`` or a journal, is the run's."""
    attempt = r"-\d+-\d+"
    tail = {"runs": "", "nodes": "-[0-9a-f]{12}", "trials": attempt, "reports": attempt, JOURNALS: attempt}[table]
    return re.fullmatch(re.escape(run_id) + tail, Path(name).stem) is not None


def trial_of_run(trial_id: str, run_id: str) -> str:
    """``trial_id``, if it is the run's id and a number, so that a file's name tells its run. Raises StoreError."""
    if not re.fullmatch(re.escape(checked("run_id", run_id)) + r"-\d+", trial_id):
        raise StoreError(f"a trial's id is its run's id and its index, as in '{run_id}-0001', got {trial_id!r}")
    return trial_id
