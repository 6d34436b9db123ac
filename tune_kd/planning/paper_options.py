"""How one of the paper's studies is planned: the options of ``study``, by their names there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.errors import InputError
from tune_kd.planning.plan_options import fields_set

if TYPE_CHECKING:
    from tune_kd.planning.plan import Study


@dataclass(frozen=True, kw_only=True)
class PaperPlanning:
    """What is settled once the parts of a study are planned."""

    scale: str = "full"  # or small
    data: Mapping[str, str | Path] | list[str] | None = None  # folders: {"cifar10": "photos"}, or ["cifar10=photos"]
    sources: Mapping[str, str | Path] | None = None  # from Python another name of `data`
    replicates: int | None = None  # None: the scale's own
    seed: int = 0
    set: Mapping[str, Any] | list[str] | None = None  # any field of every scenario
    settings: Mapping[str, Any] | None = None  # from Python another name of `set`

    def parts(self, name: str) -> Sequence[Study]:
        """The parts of the study ``name``. Raises InputError."""
        from tune_kd.planning.paper_studies import plan_parts  # PyTorch: not for the help

        return plan_parts(
            name,
            scale=self.scale,
            sources=sources_given(self.data, self.sources),
            replicates=self.replicates,
            seed=self.seed,
            settings=fields_set(self.set, self.settings),
        )


def sources_given(*given: Mapping[str, str | Path] | Sequence[str] | None) -> dict[str, str | Path]:
    """The folder for each data set's name in mappings and in ``NAME=DIR`` words. Raises InputError."""
    found: dict[str, str | Path] = {}
    for some in given:
        pairs = some.items() if isinstance(some, Mapping) else map(_name_and_folder, some or ())
        for name, folder in pairs:
            if name in found:
                raise InputError(f"data of {name} are given twice, {found[name]} and {folder}; leave one out")
            found[name] = folder
    return found


def _name_and_folder(pair: str) -> tuple[str, str]:
    name, equals, folder = pair.partition("=")
    if not (name and equals and folder):
        raise InputError(f"--data takes NAME=DIR here, got {pair!r}; for example --data cifar10=photos/cifar10")
    return name, folder
