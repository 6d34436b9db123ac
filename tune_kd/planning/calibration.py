"""What one whole trial of a scenario costs on this hardware, as it was measured before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces import Space
from tune_kd.config.scenario import scenario_sha256
from tune_kd.meter.power_model import this_machine
from tune_kd.meter.probe import probe
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.forecast import TrialCost
from tune_kd.planning.plan import Study
from tune_kd.storage import checkpoints


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """One whole trial at the constant ``tau``, alone on its node."""

    tau: float
    epochs: int
    energy_j: float
    energy_method: str
    duration_s: float
    flops: float

    def cost(self, execution: Execution) -> TrialCost:
        """As the basis of a forecast."""
        return TrialCost(
            epochs=self.epochs,
            energy_j=self.energy_j,
            co2e_g=execution.carbon.co2e_g(self.energy_j),
            duration_s=self.duration_s,
            flops=self.flops,
            trials=1,
            source=f"the calibration, one trial at τ = {self.tau:g}",
        )


def middle_tau(space: Space) -> float:
    """The middle of the space: its middle level, or the middle of its interval."""
    if space.tau.step is None:
        return (space.tau.low + space.tau.high) / 2
    levels = space.tau.levels()
    return levels[len(levels) // 2]


def hardware(execution: Execution) -> dict[str, Any]:
    """What a trial's joules depend on beside its scenario: the machine, the trial's share of it, how it is read."""
    machine = this_machine()
    return {
        "address": execution.address,
        "cpu_model": machine.cpu_model,
        "cpus": machine.cpus,
        "readers": {finding.reader: finding.why for finding in probe() if finding.works},
        "cpus_per_trial": execution.cpus_per_trial,
        "gpus_per_trial": execution.gpus_per_trial,
        "power": execution.power(),
    }


def calibration_path(study: Study, execution: Execution) -> Path:
    """Where the calibration for a study's scenario on this hardware is kept; τ is the middle of its space."""
    place = json.dumps({"tau": middle_tau(study.runs[0].space), **hardware(execution)}, sort_keys=True)
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return execution.home.folder / "calibrations" / f"{scenario_sha256(study.scenario)}-{digest}.json"


def kept(study: Study, execution: Execution, split_sha256: str | None = None) -> Calibration | None:
    """The calibration that was measured before; None where there is none.

    With ``split_sha256`` it counts only where it was measured on that data: a folder may hold others by now.
    """
    path = calibration_path(study, execution)
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    if split_sha256 is not None and record.get("split_sha256") != split_sha256:
        return None
    return Calibration(**record["calibration"])


def keep(found: Calibration, study: Study, execution: Execution, split_sha256: str) -> None:
    """Put a calibration on the data with this hash where :func:`kept` finds it, whole or not at all."""
    calibrated = dataclasses.asdict(found)
    record = {"calibration": calibrated, "hardware": hardware(execution), "split_sha256": split_sha256}
    checkpoints.write(calibration_path(study, execution), json.dumps(record, indent=2).encode())
