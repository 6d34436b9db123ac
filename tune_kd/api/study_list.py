"""The paper's studies: what each shows, whether its data are here, how much it trains, and what that would cost.

PyTorch is loaded only where earlier records allow a forecast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_kd.formats import MISSING, energy
from tune_kd.planning.known_costs import COSTS, earlier_store, totals
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.paper_scales import SCALES, scenario_of
from tune_kd.planning.study_sizes import StudySize, study_size
from tune_kd.storage.cache import cache_at
from tune_kd.storage.data_root import FOLDERS, is_here, official_root
from tune_kd.terminal.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

Costs = dict[str, float | None]
TO_FETCH = "↓"


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A study at one scale: how much it trains, and its costs in base units, None where nothing tells them."""

    name: str
    scale: str
    size: StudySize
    costs: Costs | None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look: for records and calibrations, and for data sets with a name."""

    store: str | Path
    cache: str | Path | None
    data_root: str | Path | None

    @property
    def data(self) -> Path:
        """The folder of data sets with a name."""
        return official_root(cache_at(self.cache).folder, self.data_root)


def scaled(places: Places) -> list[Scaled]:
    """Every study at every scale."""
    known = _known_scenarios(places)
    return [
        Scaled(name=name, scale=scale, size=study_size(name, scale), costs=_costs(name, scale, places, known))
        for name in STUDIES
        for scale in SCALES
    ]


def data_here(places: Places) -> dict[str, bool]:
    """By data set of some study, whether a copy is here, whole or not. Nothing is fetched."""
    names = {name: None for study in STUDIES.values() for name in study.data_sets}
    return {name: name not in FOLDERS or is_here(name, places.data) for name in names}  # the rest is embedded


def listing(rows: list[Scaled], here: dict[str, bool]) -> Listing:
    """A row a study; its figures at full and at small scale are in one cell."""
    cells = []
    for name, study in STUDIES.items():
        mine = [row for row in rows if row.name == name]
        data = ", ".join(f"{data}{'' if here[data] else TO_FETCH}" for data in study.data_sets)
        figures = (
            [f"{row.size.trainings:,}" for row in mine],
            [f"{row.size.epochs:,}" for row in mine],
            [MISSING if row.size.flops is None else f"{row.size.flops:.1e}".replace("+", "") for row in mine],
            [energy(None if row.costs is None else row.costs["energy_j"]) for row in mine],
        )
        cells.append([name, study.title, data, *(" / ".join(both) for both in figures)])
    headers = ["study", "what it shows", "data sets", "trainings", "epochs", "FLOPs", "energy"]
    if all(row.costs is None for row in rows):
        headers, cells = headers[:-1], [row[:-1] for row in cells]
    return Listing(headers=headers, rows=cells, least=("epochs", "what it shows"))


def notes(rows: list[Scaled], here: dict[str, bool], places: Places) -> Iterator[str]:
    """Where the data are looked for, what the figures hold, and what tells the costs that are missing."""
    if all(here.values()):
        yield f"All data sets are in {places.data}."
    else:
        yield f"{TO_FETCH} not in {places.data}, downloaded to there when the study is run. --data-root DIR: elsewhere."
    yield (
        f"Figures are at {' / '.join(SCALES)} scale, of all students, the teacher's answers among the FLOPs. Training "
        "the teachers and synthesising images come on top. tune-kd study NAME --plan-only shows the parts."
    )
    if any(row.costs is None for row in rows):
        which = "The energy" if all(row.costs is None for row in rows) else f"{MISSING}: the energy"
        yield f"{which} is not known from {places.store} or a calibration; --plan-only says what would tell it."


def frame(rows: Sequence[Scaled]) -> pd.DataFrame:
    """A row a study and scale: what it shows, its data sets, trainings, epochs, FLOPs, and costs in base units."""
    import pandas as pd

    unknown = dict.fromkeys(COSTS)
    return pd.DataFrame(
        {
            "study": row.name,
            "title": STUDIES[row.name].title,
            "data_sets": ", ".join(STUDIES[row.name].data_sets),
            "scale": row.scale,
            **dataclasses.asdict(row.size),
            **(unknown if row.costs is None else row.costs),
        }
        for row in rows
    )


def document(rows: list[Scaled], here: dict[str, bool], places: Places) -> dict[str, Any]:
    """The same for ``--json``, in base units; null where something is not known."""
    return {
        "data_root": str(places.data),
        "studies": [
            {
                "study": name,
                "title": study.title,
                "data_sets": {data: here[data] for data in study.data_sets},
                "scales": {
                    row.scale: {**dataclasses.asdict(row.size), "costs": row.costs} for row in rows if row.name == name
                },
            }
            for name, study in STUDIES.items()
        ],
    }


def _known_scenarios(places: Places) -> set[str]:
    """The hashes of scenarios of which a trial was recorded or calibrated here."""
    calibrations = (cache_at(places.cache).folder / "calibrations").glob("*.json")
    known = {path.name.partition("-")[0] for path in calibrations}
    store = earlier_store(places.store, places.cache)
    return known if store is None else known | set(store.runs()["scenario_sha256"].dropna())


def _costs(name: str, scale: str, places: Places, known: set[str]) -> Costs | None:
    """What all runs of a study are forecast to cost; None where some part's trial is not known."""
    from tune_kd.config.scenario import scenario_sha256

    if not all(scenario_sha256(scenario_of(part, scale)) in known for part in STUDIES[name].parts):
        return None
    from tune_kd.api.study_costs import part_costs
    from tune_kd.planning.paper_studies import plan_parts

    found = [part_costs(part, places.store, places.cache) for part in plan_parts(name, scale=scale)]
    costs = totals([row for part in found for row in part.rows])
    return None if None in costs.values() else costs
