"""Measures the cost of one fixed-τ trial of a scenario on this hardware, once, and keeps it in the cache.

With it ``20trials-equivalent`` is a budget in joules, the same for every policy.
"""

from __future__ import annotations

from dataclasses import replace

from policies.grid import Grid
from search_spaces import Dimension, Space
from tune_kd.budget.amount import Budget
from tune_kd.data import ImageData
from tune_kd.errors import Interrupted, RunFailed
from tune_kd.execution.study import execute
from tune_kd.history.records import plan_rows
from tune_kd.planning.calibration import Calibration, keep, middle_tau
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.results.store import create_store
from tune_kd.storage.checkpoints import checkpoints_folder
from tune_kd.storage.scratch import own_folder


def measure(study: Study, data: ImageData, execution: Execution, progress: Progress) -> Calibration:
    """Train one trial at the middle τ, alone, and keep its cost in J, s and FLOP. Raises RunFailed if unmeasured."""
    single = _single_trial(study)
    run_id, tau = single.runs[0].run_id, middle_tau(study.runs[0].space)
    progress.stage(f"calibrating: one trial at τ = {tau:g}, measured once for this scenario")
    alone = replace(execution, max_concurrent=1)
    try:
        with own_folder() as folder:
            store = create_store(folder / "calibration")
            outcome = execute([(single, data)], plan_rows(single, data, store), store, alone, Progress())
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
