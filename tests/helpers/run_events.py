"""Events of a run made by hand: what a ledger charges is given, the rest is filler."""

from __future__ import annotations

from tune_kd.events import EpochReport, TrialEnded, TrialMetered, TrialStarted, utc_now

NOW = utc_now()


def report(trial_id: str, attempt: int, epoch: int, cost: float | None) -> EpochReport:
    """A report whose attempt has cost ``cost`` so far, in every currency alike; None where it can be unmeasured."""
    known = 0 if cost is None else cost
    return EpochReport(
        run_id="run",
        trial_id=trial_id,
        attempt=attempt,
        at=NOW,
        epoch=epoch,
        node_id="node",
        train_loss=1.0,
        val_loss=1.0,
        val_score=0.5,
        checkpoint_epoch=epoch,
        lr=0.1,
        tau_mean=None,
        tau_min=None,
        tau_max=None,
        energy_j=cost,
        energy_cpu_j=None,
        energy_gpu_j=None,
        energy_ram_j=None,
        energy_idle_j=None,
        energy_method=None,
        co2e_g=cost,
        flops_executed=round(known),
        flops_teacher=0,
        flops_forward=0,
        flops_backward=0,
        flops_eval=0,
        flops_paper=0,
        flops_uncounted_ops="",
        duration_s=float(known),
        train_s=0.0,
        eval_s=0.0,
        teacher_s=0.0,
        other_s=0.0,
        peak_memory_bytes=None,
        co_tenants=None,
    )


def started(trial_id: str, attempt: int) -> TrialStarted:
    return TrialStarted(
        run_id="run",
        trial_id=trial_id,
        attempt=attempt,
        at=NOW,
        index=0,
        seed=0,
        params={},
        tau=None,
        alpha=None,
        pue=1.0,
        carbon_g_per_kwh=1.0,
        carbon_source="test",
    )


def ended(trial_id: str, attempt: int, status: str = "completed") -> TrialEnded:
    return TrialEnded(run_id="run", trial_id=trial_id, attempt=attempt, at=NOW, status=status, error=None)


def closed_account(trial_id: str, attempt: int, joules: float | None) -> TrialMetered:
    return TrialMetered(
        run_id="run",
        trial_id=trial_id,
        attempt=attempt,
        at=NOW,
        energy_j=joules,
        energy_cpu_j=None,
        energy_gpu_j=None,
        energy_ram_j=None,
        energy_idle_j=None,
        energy_method=None,
        co2e_g=joules,
        co_tenants=None,
    )
