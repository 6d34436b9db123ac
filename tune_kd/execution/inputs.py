"""The images that a study is about, read once for all of its runs."""

from __future__ import annotations

from tune_kd.data import ImageData, official
from tune_kd.data.official import official_root
from tune_kd.models import compiler
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.teacher import check_networks


def read_data(study: Study, execution: Execution, progress: Progress) -> ImageData:
    """The images that the study is about, downloaded first where they have a name and are not here.

    Raises InputError where they, or networks of the user's own that should look at them, cannot be used, or where
    nothing can be compiled and the scenario says so; RunFailed where they cannot be downloaded.
    """
    if study.scenario.compile:
        compiler.compiler()
    name, root = study.scenario.data, official_root(execution.home.folder, execution.data_root)
    missing = name in official.OFFICIAL and not official.is_here(name, root)
    progress.stage(f"downloading {name} into {root}" if missing else "reading the data")
    data = task_of(study.scenario).load(study.scenario, execution.home.folder, execution.data_root)
    check_networks(study.scenario, data)
    return data
