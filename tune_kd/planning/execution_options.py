"""How a study is executed: the options of every command that trains, by their names there."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

from tune_kd.config.address import check_address
from tune_kd.config.keywords import changed
from tune_kd.config.log_to import LogTo
from tune_kd.errors import InputError
from tune_kd.meter.carbon import Carbon, carbon
from tune_kd.meter.options import Metering
from tune_kd.storage.cache import Cache, cache_at

AUTO = "auto"

LEAST = {"cpus_per_trial": 0.01, "gpus_per_trial": 0, "max_concurrent": 1, "max_failures": 0}


@dataclass(frozen=True, kw_only=True)
class Execution(Metering):
    """Where a study runs and how it is metered, never what is trained. Raises InputError for an impossible value."""

    store: str | Path = "./runs"
    cache: str | Path | None = None  # None: $TUNE_KD_CACHE, else the user's cache folder
    data_root: str | Path | None = None  # of data sets with a name; None: inside the cache
    address: str | None = None  # of a running Ray; None: one of its own
    cpus_per_trial: float = 1
    gpus_per_trial: float | None = None  # None: a whole one where there is any
    max_concurrent: int | None = None  # None: as many as fit
    side_by_side: int | str = 1  # trials that one process trains at the same time; auto: as many as pays
    max_failures: int = 1
    train_teacher: bool = False  # also where no policy asks it: for its row in the tables
    share_teacher: bool | None = None  # ask it once for all trials of a run; None: where there may be several
    share_synthesis: bool = True  # images synthesised once for all trials of a replicate, or by each trial for itself
    wait_for_quiet: bool = False  # begin once other programs no longer keep this machine busy
    country: str | None = None
    carbon_intensity: float | None = None  # g CO2e/kWh; None: the country's
    pue: float = 1.0
    log_to: list[str] | None = None  # pages of others: tensorboard:DIR, mlflow:URI

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, bound in LEAST.items():
            value = getattr(self, name)
            if value is not None and not bound <= value < math.inf:
                raise InputError(f"--{name.replace('_', '-')} must be a number ≥ {bound}, got {value}")
        if not (str(self.side_by_side) == AUTO or (str(self.side_by_side).isdecimal() and int(self.side_by_side) > 0)):
            raise InputError(f"--side-by-side must be {AUTO} or a number ≥ 1, got {self.side_by_side}")
        _ = self.logs

    @property
    def students(self) -> int | None:
        """How many students one process trains at the same time; None: as many as pays."""
        return None if self.side_by_side == AUTO else int(self.side_by_side)

    @cached_property
    def home(self) -> Cache:
        """The cache. Raises InputError for a place that cannot be one."""
        return cache_at(self.cache)

    @property
    def carbon(self) -> Carbon:
        """How joules become g CO2e. Raises InputError for an unknown country or an impossible number."""
        return carbon(self.country, self.carbon_intensity, self.pue)

    @property
    def logs(self) -> list[LogTo]:
        """The places beside the store that it is logged to. Raises InputError for one that is none."""
        if isinstance(self.log_to, str):
            raise InputError(f"log_to must be a list of places, got the text {self.log_to!r}")
        return [LogTo.parsed(text) for text in self.log_to or []]

    def check(self) -> None:
        """See that all of it can be used, before data are read. Raises InputError."""
        if self.address is not None:
            check_address(self.address)
        self.home.check_folder()
        self.home.check()
        _ = self.carbon
        for place in self.logs:
            place.check()

    def resumed_by(self, study_id: str, store: str) -> str:
        """The command that goes on with a study in the same way, in any folder of this machine.

        It has the options that are not the default. ``store`` is where the records are, as the store names it.
        """
        options = "".join(_options({**{name: getattr(self, name) for name in self._given}, "data_root": self._root}))
        return f"tune-kd resume {study_id} --store {shlex.quote(store)}{self.home.option}{options}"

    @property
    def _given(self) -> list[str]:
        """The fields that are not the default, but for the two places that a message names in its own way."""
        own = {field.name for field in fields(Execution)}
        return [name for name in changed(self) if name in own - {"store", "cache"}]

    @property
    def _root(self) -> Path | None:
        return None if self.data_root is None else Path(self.data_root).expanduser().absolute()

    def with_carbon(self, recorded: Carbon) -> Execution:
        """The same with the carbon intensity and PUE that a study was recorded with."""
        return _Recorded(**asdict(self), recorded=recorded)


@dataclass(frozen=True, kw_only=True)
class _Recorded(Execution):
    """The execution of a study that goes on with the carbon intensity that it was recorded with."""

    recorded: Carbon

    @property
    def carbon(self) -> Carbon:
        return self.recorded


def _options(values: Mapping[str, object]) -> Iterator[str]:
    """Each as an option of the command line, with a space before it."""
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            yield f" --{option}" if value else f" --no-{option}"
            continue
        for one in value if isinstance(value, list) else [value]:
            yield "" if one is None else f" --{option} {shlex.quote(str(one))}"
