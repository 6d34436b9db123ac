"""What the networks of the paper's studies cost an image, as a table that is read without PyTorch.

    python -m tune_kd.planning.network_flops > tune_kd/planning/network_flops.csv

makes the table anew by counting (:mod:`tune_kd.meter.flops`); a test sees to it that it is current.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

from tune_kd.config.scenario import Scenario
from tune_kd.planning.paper_catalogue import DATA_SETS, STUDIES
from tune_kd.planning.paper_scales import SCALES, scenario_of

TABLE = "network_flops.csv"
CHANNELS = 3  # all data sets of the paper are in colour


class NetworkFlops(NamedTuple):
    """One network on images of one size, of a data set with so many classes.

    FLOPs are those of one image. ``shares_teacher``: do trials of a run with this student share the teacher's logits?
    """

    network: str
    classes: int
    image_size: int
    forward: int
    backward: int
    shares_teacher: bool


def network_flops(scenario: Scenario, network: str) -> NetworkFlops | None:
    """The row on a network in a scenario; None where the table has none."""
    data = DATA_SETS.get(scenario.data)
    return None if data is None else _rows().get((network, data.classes, scenario.image_size))


def counted() -> list[NetworkFlops]:
    """The rows on all networks of the paper's studies at both scales, counted now. That takes some seconds."""
    from tune_kd import models
    from tune_kd.meter import flops
    from tune_kd.models import detectors
    from tune_kd.tasks.catalogue import task_of

    rows = {}
    for scenario in _scenarios():
        size, classes = scenario.image_size or 0, DATA_SETS[scenario.data].classes
        for network in (scenario.teacher, scenario.student):
            if (network, classes, size) in rows:
                continue
            if scenario.task == "detection":
                built = detectors.build(network, classes=classes + 1, image_size=size)  # the background is one more
            else:
                built = models.build(network, classes=classes, channels=CHANNELS, image_size=size)
            found = flops.count(built, (CHANNELS, size, size))
            shares = task_of(scenario.changed({"student": network})).shares_teacher
            rows[network, classes, size] = NetworkFlops(network, classes, size, found.forward, found.backward, shares)
    return [rows[key] for key in sorted(rows)]


def table(rows: list[NetworkFlops]) -> str:
    """The rows as CSV."""
    lines = [NetworkFlops._fields, *([*row[:-1], int(row.shares_teacher)] for row in rows)]
    return "".join(f"{','.join(map(str, line))}\n" for line in lines)


def _scenarios() -> Iterator[Scenario]:
    for study in STUDIES.values():
        for part in study.parts:
            found = (scenario_of(part, scale) for scale in SCALES)
            yield from (scenario for scenario in found if scenario.data in DATA_SETS)


@cache
def _rows() -> dict[tuple[str, int, int | None], NetworkFlops]:
    text = resources.files("tune_kd.planning").joinpath(TABLE).read_text("utf-8")
    found: dict[tuple[str, int, int | None], NetworkFlops] = {}
    for row in csv.DictReader(text.splitlines()):
        numbers = {name: int(row[name]) for name in ("classes", "image_size", "forward", "backward")}
        one = NetworkFlops(network=row["network"], shares_teacher=row["shares_teacher"] == "1", **numbers)
        found[one.network, one.classes, one.image_size] = one
    return found


if __name__ == "__main__":
    sys.stdout.write(table(counted()))
