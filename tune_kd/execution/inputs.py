"""The images of a study, read once for all of its runs."""

from __future__ import annotations

import torch

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.data.summary import in_words, remarks
from tune_kd.formats import plural
from tune_kd.models import compiler
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.storage.data_root import FOLDERS, is_here, official_root
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.teacher import check_networks


def read_data(study: Study, execution: Execution, progress: Progress) -> ImageData:
    """The images of the study's scenario. A data set with a name is downloaded first if it is not here.

    Raises InputError for data or networks of no use, and for a scenario that compiles where nothing can be compiled;
    RunFailed for a download that fails.
    """
    if study.scenario.compile:
        compiler.compiler()
    name, root = study.scenario.data, official_root(execution.home.folder, execution.data_root)
    missing = name in FOLDERS and not is_here(name, root)
    progress.stage(f"downloading {name} into {root}" if missing else "reading the data")
    data = task_of(study.scenario).load(study.scenario, execution.home.folder, execution.data_root)
    check_networks(study.scenario, data)
    return data


def show_data(data: ImageData, progress: Progress, shown: set[str]) -> None:
    """Show a summary of the data and what is notable about them, unless ``shown`` has that summary already."""
    summary = in_words(data)
    if summary in shown:
        return
    shown.add(summary)
    progress.data_read(summary)
    for text in remarks(data):
        progress.note(text)


def show_networks(scenario: Scenario, data: ImageData, progress: Progress, shown: set[str]) -> None:
    """Show what is trained on these data, unless ``shown`` has that line already: both networks and their sizes."""
    task = task_of(scenario)
    with torch.random.fork_rng(devices=[]):
        sizes = {
            name: sum(parameter.numel() for parameter in task.build(name, data).parameters())
            for name in (scenario.teacher, scenario.student)
        }
    line = (
        f"teacher {scenario.teacher}, {sizes[scenario.teacher]:,} parameters · student {scenario.student}, "
        f"{sizes[scenario.student]:,} parameters, {plural(scenario.trial_epochs, 'epoch')} a trial"
    )
    if line not in shown:
        shown.add(line)
        progress.data_read(line)
