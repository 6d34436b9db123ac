"""Made by `python -m tune_kd.api.stub > tune_kd/api/signatures.pyi`; a test sees to it that it is current."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tune_kd.api.explanations import Explanations
from tune_kd.api.plans import Plan
from tune_kd.api.study_plans import StudyPlan
from tune_kd.history.rerun import Repeat
from tune_kd.progress.base import Progress
from tune_kd.results.outcome import Outcome

def run(
    policy: str = "stochastic",
    *,
    progress: Progress | bool | None = None,
    scenario: str | None = None,
    data: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    train_limit: int | None = None,
    skip_bad_images: bool = False,
    teacher: str | None = None,
    teacher_checkpoint: str | None = None,
    student: str | None = None,
    recipe: str | None = None,
    epochs: int | None = None,
    teacher_epochs: int | None = None,
    batch_size: int | None = None,
    synthesis: str | None = None,
    validation: str | None = None,
    quantize: bool = False,
    loss: str | None = None,
    alpha: float | None = None,
    reduction: str | None = None,
    precision: str | None = None,
    compile: bool = False,
    set: Mapping[str, Any] | list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    space: str = "tau",
    budget: str = "20trials",
    track: str = "recipe",
    target_accuracy: float | None = None,
    replicates: int = 1,
    seed: int = 0,
    meter_period: float = 1.0,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    side_by_side: int | str = 1,
    max_failures: int = 1,
    train_teacher: bool = False,
    share_teacher: bool | None = None,
    share_synthesis: bool = True,
    wait_for_quiet: bool = False,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float = 1.0,
    log_to: list[str] | None = None,
) -> Outcome:
    """Run one policy."""

def compare(
    policies: Sequence[str],
    *,
    progress: Progress | bool | None = None,
    scenario: str | None = None,
    data: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    train_limit: int | None = None,
    skip_bad_images: bool = False,
    teacher: str | None = None,
    teacher_checkpoint: str | None = None,
    student: str | None = None,
    recipe: str | None = None,
    epochs: int | None = None,
    teacher_epochs: int | None = None,
    batch_size: int | None = None,
    synthesis: str | None = None,
    validation: str | None = None,
    quantize: bool = False,
    loss: str | None = None,
    alpha: float | None = None,
    reduction: str | None = None,
    precision: str | None = None,
    compile: bool = False,
    set: Mapping[str, Any] | list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    space: str = "tau",
    budget: str = "20trials",
    track: str = "recipe",
    target_accuracy: float | None = None,
    replicates: int = 1,
    seed: int = 0,
    until_decided: bool = False,
    max_replicates: int | None = None,
    meter_period: float = 1.0,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    side_by_side: int | str = 1,
    max_failures: int = 1,
    train_teacher: bool = False,
    share_teacher: bool | None = None,
    share_synthesis: bool = True,
    wait_for_quiet: bool = False,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float = 1.0,
    log_to: list[str] | None = None,
) -> Outcome:
    """Run several policies on the same scenario under the same budget, replicate by replicate.

    With ``until_decided`` replicates are added, look by look, until every policy's verdict against the reference is
    reached, or ``max_replicates``.
    """

def extend(
    study: str,
    *,
    replicates: int = 1,
    force: bool = False,
    progress: Progress | bool | None = None,
    meter_period: float = 1.0,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    side_by_side: int | str = 1,
    max_failures: int = 1,
    train_teacher: bool = False,
    share_teacher: bool | None = None,
    share_synthesis: bool = True,
    wait_for_quiet: bool = False,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float = 1.0,
    log_to: list[str] | None = None,
) -> Outcome:
    """Bring a study to ``replicates`` in all. Recorded ones are not run again, new ones are paired like them.

    Raises InputError if there is nothing to add, or if data or code have changed, unless ``force``d.
    """

def resume(
    run: str | None = None,
    *,
    force: bool = False,
    progress: Progress | bool | None = None,
    meter_period: float = 1.0,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    side_by_side: int | str = 1,
    max_failures: int = 1,
    train_teacher: bool = False,
    share_teacher: bool | None = None,
    share_synthesis: bool = True,
    wait_for_quiet: bool = False,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float = 1.0,
    log_to: list[str] | None = None,
) -> Outcome:
    """Resume a run or a study by its id; by default the latest unfinished study.

    Runs and trials that have ended are not run again, and spent budget stays spent. Raises InputError if data or
    code have changed, unless ``force``d.
    """

def study(
    name: str,
    *,
    progress: Progress | bool | None = None,
    scale: str = "full",
    data: Mapping[str, str | Path] | list[str] | None = None,
    sources: Mapping[str, str | Path] | None = None,
    replicates: int | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    meter_period: float = 1.0,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    cpus_per_trial: float = 1,
    gpus_per_trial: float | None = None,
    max_concurrent: int | None = None,
    side_by_side: int | str = 1,
    max_failures: int = 1,
    train_teacher: bool = False,
    share_teacher: bool | None = None,
    share_synthesis: bool = True,
    wait_for_quiet: bool = False,
    country: str | None = None,
    carbon_intensity: float | None = None,
    pue: float = 1.0,
    log_to: list[str] | None = None,
) -> Outcome:
    """Run one of the paper's tables or figures (:data:`tune_kd.planning.paper_catalogue.STUDIES`), full or small.

    ``data`` (or ``sources``) has a folder for a data set's name; ``set`` (or ``settings``) sets fields of every
    scenario. All data are found and all runs planned before the first begins.
    """

def plan_study(
    name: str,
    *,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    scale: str = "full",
    data: Mapping[str, str | Path] | list[str] | None = None,
    sources: Mapping[str, str | Path] | None = None,
    replicates: int | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> StudyPlan:
    """What :func:`tune_kd.study` would train with the same keywords, and what it would cost. Runs and writes nothing.

    A trial's cost is that of earlier records in ``store``, else of a calibration in ``cache``. Raises InputError.
    """

def plan(
    policies: Sequence[str],
    *,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    side_by_side: int | str = "1",
    scenario: str | None = None,
    data: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    train_limit: int | None = None,
    skip_bad_images: bool = False,
    teacher: str | None = None,
    teacher_checkpoint: str | None = None,
    student: str | None = None,
    recipe: str | None = None,
    epochs: int | None = None,
    teacher_epochs: int | None = None,
    batch_size: int | None = None,
    synthesis: str | None = None,
    validation: str | None = None,
    quantize: bool = False,
    loss: str | None = None,
    alpha: float | None = None,
    reduction: str | None = None,
    precision: str | None = None,
    compile: bool = False,
    set: Mapping[str, Any] | list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    space: str = "tau",
    budget: str = "20trials",
    track: str = "recipe",
    target_accuracy: float | None = None,
    replicates: int = 1,
    seed: int = 0,
    until_decided: bool = False,
    max_replicates: int | None = None,
) -> Plan:
    """What ``compare`` would cost, and which verdicts it could give. Runs nothing and writes nothing.

    A trial's cost is that of earlier records in ``store``, else of a calibration in ``cache``. ``side_by_side`` is how
    many trials one process will train at the same time, a number or auto. Of a comparison that adds replicates until it
    is decided the costs are those of the last look, with nothing decided before it.
    """

def explain(
    what: str,
    *,
    images: int | Sequence[str | Path] | None = None,
    out: str | Path = "explained",
    tau: float = 4.0,
    layer: str | None = None,
    cells: bool = False,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Explanations:
    """Draw what teacher and students say of a few images, where they look (Grad-CAM), and how sure they are.

    ``what`` is the id of a run or a study. ``images`` is a number of test images, or image files; without it those
    that the tests have kept, drawn from the store alone. Figures go to the folder ``out``, as PNG and as PDF. Raises
    InputError, or StoreError where there is nothing to draw.
    """

def rerun(
    trial: str,
    *,
    store: str | Path = "./runs",
    cache: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Repeat:
    """Train a recorded trial again, here and without Ray, and say what differs. Nothing is recorded.

    Raises InputError for a trial that is not in the store or did not end.
    """
