"""How long the trials of a scenario take on this machine, by the last study of it that ended here.

Each study leaves a small file in the cache. So that the start of a study does not grow with its store, no record is
read.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from tune_kd.config.scenario import scenario_sha256
from tune_kd.formats import duration
from tune_kd.meter.power_model import this_machine
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.forecast import expected_trials, unmeasured
from tune_kd.planning.plan import Study
from tune_kd.storage.whole_file import whole_file

FOLDER = "durations"


def how_long(study: Study, execution: Execution) -> str | None:
    """A line on how long the study's trials will take about; None where no study of the scenario has ended here.

    It is known of budgets in trials and in epochs: what else fits into a budget is known once a trial was measured.
    """
    path = _path(study, execution)
    if not path.is_file() or any(plan.budget.currency not in ("trials", "epochs") for plan in study.runs):
        return None
    each_s = float(json.loads(path.read_text(encoding="utf-8"))["seconds_per_epoch"])
    trials = [expected_trials(plan, unmeasured(study.scenario)) or 0.0 for plan in study.runs]
    epochs = math.fsum(trials) * study.scenario.trial_epochs
    return f"trials will take about {duration(each_s * epochs)}, by the pace of the last study of this scenario here"


def keep(study: Study, execution: Execution, seconds: float, epochs: int) -> None:
    """Keep that so many epochs of students took so many seconds, of all trials together."""
    with whole_file(_path(study, execution)) as file:
        file.write(json.dumps({"seconds_per_epoch": seconds / epochs, "epochs": epochs}).encode())


def _path(study: Study, execution: Execution) -> Path:
    """A file for each scenario, machine, and number of trials at a time that was asked for."""
    machine = this_machine()
    asked = [execution.cpus_per_trial, execution.gpus_per_trial, execution.max_concurrent, execution.side_by_side]
    place = json.dumps([execution.address, machine.cpu_model, machine.cpus, *asked])
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return execution.home.folder / FOLDER / f"{scenario_sha256(study.scenario)}-{digest}.json"
