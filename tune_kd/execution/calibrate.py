"""What one fixed-τ trial of a scenario uses on this hardware, measured once and kept with the scenario in the cache.

It makes ``20trials-equivalent`` a budget in joules that is the same for every policy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.grid import Grid
from search_spaces import Dimension, Space
from tune_kd.storage import checkpoints
from tune_kd.budget.ledger import Budget
from tune_kd.data import ImageData
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.forecast import TrialCost
from tune_kd.meter.power_model import this_machine
from tune_kd.meter.probe import probe
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.history.records import scenario_sha256
from tune_kd.execution.study import execute, plan_rows
from tune_kd.storage.scratch import own_folder
from tune_kd.store import create_store
from tune_kd.cluster.worker import checkpoints_folder


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


def measure(study: Study, data: ImageData, execution: Execution, progress: Progress) -> Calibration:
    """Train one trial at the middle τ, by itself, and keep what it used. Raises RunFailed where nothing meters it."""
    single = _single_trial(study)
    run_id, tau = single.runs[0].run_id, middle_tau(study.runs[0].space)
    progress.stage(f"calibrating: one trial at τ = {tau:g}, measured once for this scenario")
    alone = replace(execution, max_concurrent=1)
    try:
        with own_folder() as folder:
            store = create_store(folder / "calibration")
            outcome = execute(single, plan_rows(single, data, store), data, store, alone, Progress())
            trials, beside_s = outcome.store.trials(), outcome.store.nodes().meters_beside_s.max()
    except Interrupted:
        raise Interrupted("interrupted while calibrating: nothing was run yet, start the same command again") from None
    finally:
        execution.home.kept.remove_folder(checkpoints_folder(run_id))
    trial = trials[trials.status == "completed"].iloc[0]
    if trial.isna().energy_j or trial.energy_j <= 0:
        raise RunFailed("a budget in trials-equivalent needs energy, and nothing here measures it; see tune-kd doctor")
    found = Calibration(
        tau=tau,
        epochs=int(trial.epochs),
        energy_j=float(trial.energy_j),
        energy_method=str(trial.energy_method),
        duration_s=float(trial.duration_s),
        flops=float(trial.flops_executed),
    )
    if beside_s > 0:
        progress.note("the calibration was taken while another study ran on the same machine, and is not kept")
    else:
        keep(found, study, execution, data.split_sha256)
    return found


def _single_trial(study: Study) -> Study:
    """A study of one run with one trial, at the middle of the space."""
    tau = middle_tau(study.runs[0].space)
    plan = replace(
        study.runs[0],
        run_id=f"{study.study_id}-calibration",
        space=Space(name="calibration", dimensions={"tau": Dimension(low=tau, high=tau, step=1)}),
        policy=Grid(),
        label="grid",
        budget=Budget(currency="trials", limit=1),
        budget_text="1trial",
        track="recipe",
        target_accuracy=None,
    )
    return Study(study_id=study.study_id, name="calibration", runs=(plan,))
