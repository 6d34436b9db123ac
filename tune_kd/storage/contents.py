"""What lies in a cache: its entries, and their removal."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tune_kd.errors import StoreError
from tune_kd.storage import in_use
from tune_kd.storage.cache import Cache, Kept, LocalFolder
from tune_kd.storage.data_root import FOLDERS

KINDS = {
    "teachers": "trained teachers",
    "checkpoints": "checkpoints of trials, by run",
    "pools": "images made out of a teacher",
    in_use.OUTPUTS: "what teachers say of batches, for trials to share",
    "data": "decoded images, and surveys of images",
    "datasets": "downloaded data sets",
    "calibrations": "what a trial costs on this machine",
    "durations": "how long trials took on this machine",
    "stores": "copies of files of stores at a URL",
}
"""By its folder in the cache each kind of entries, in words."""

_ELSEWHERE = ("teachers", "checkpoints", "pools")  # behind the cache's URL, where it has one


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is removed as one: a file or a folder of the cache, by its ``name`` there.

    ``of`` names the runs or the data set that it belongs to. ``used_s`` is when it was last used, in s since 1970, as
    far as its file system tells. An entry ``in_use`` is held by a running study.
    """

    name: str
    is_folder: bool
    of: tuple[str, ...]
    in_use: bool
    bytes: int = 0
    used_s: float = 0.0

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        return self.name.partition("/")[0]


def entries(cache: Cache, used: Collection[str]) -> list[Entry]:
    """All entries, kind by kind, by name; ``used`` are the names of those in use. Raises StoreError."""
    runs, found = in_use.runs_by_outputs(cache.folder), dict[str, Entry]()
    for kind in KINDS:
        for file in _place(cache, kind).files(kind):
            name = _entry_of(PurePosixPath(file.name).parts)
            if name is None:
                continue
            entry = found.get(name) or Entry(
                name=name, is_folder=name != file.name, of=_owners(name, runs), in_use=name in used
            )
            found[name] = replace(entry, bytes=entry.bytes + file.bytes, used_s=max(entry.used_s, file.used_s))
    order = [*KINDS]
    return sorted(found.values(), key=lambda entry: (order.index(entry.kind), entry.name))


def remove(cache: Cache, unwanted: Iterable[Entry]) -> None:
    """Remove entries. Raises StoreError at the first that cannot be removed."""
    for entry in unwanted:
        place, reason = _place(cache, entry.kind), None
        try:
            (place.remove_folder if entry.is_folder else place.remove)(entry.name)
        except OSError as error:
            reason = error.strerror
        if entry.is_folder and place.files(entry.name):
            reason = "not all of its files may be deleted"
        if reason is not None:
            raise StoreError(f"cannot remove {entry.name} from the cache {cache.where}: {reason}")
        if entry.kind == in_use.OUTPUTS:
            in_use.forget(cache.folder, entry.name)


def _place(cache: Cache, kind: str) -> Kept:
    return cache.kept if kind in _ELSEWHERE else LocalFolder(cache.folder)


def _entry_of(parts: tuple[str, ...]) -> str | None:
    """The entry of a file by the parts of its name; None for leases, journals, and what is not ours."""
    kind, *below = parts
    deep = 3 if kind == "stores" or below[:1] == ["of-trials"] else 2
    if len(parts) < deep or any(part.startswith(".") for part in parts[:deep]):
        return None
    foreign = {
        in_use.OUTPUTS: len(parts) == 2,
        "datasets": below[0] not in FOLDERS.values(),
        "stores": below[1:2] != ["mirror"],
    }
    return None if foreign.get(kind) else "/".join(parts[:deep])


def _owners(name: str, runs: dict[str, list[str]]) -> tuple[str, ...]:
    """The runs or the data set that an entry belongs to, as its name tells it."""
    kind, last = PurePosixPath(name).parts[0], PurePosixPath(name).name
    if kind == "datasets":
        return tuple(known for known, folder in FOLDERS.items() if folder == last)
    if kind == "checkpoints" or name.startswith("pools/of-trials/"):
        return (last,)
    return tuple(runs.get(name, ()))
