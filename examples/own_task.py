"""A task of one's own, trained without Ray: the digits, judged by the mean recall of the classes.

Run it: python own_task.py. The contract is tune_kd/tasks/base.py. This task is classification with another metric: it
overrides the evaluation alone.
"""

import tempfile
from pathlib import Path

import torch
from sklearn.metrics import balanced_accuracy_score

from policies.stochastic import Stochastic
from search_spaces import SPACES
from tune_kd.config.scenario import load_scenario
from tune_kd.meter.carbon import carbon
from tune_kd.meter.power_model import detect
from tune_kd.meter.process import ProcessMeter
from tune_kd.tasks.catalogue import TASKS
from tune_kd.tasks.classification import Classification
from tune_kd.training.student import TrialSpec
from tune_kd.training.teacher import train_teacher
from tune_kd.training.trial import Place, Trial


class BalancedClassification(Classification):
    """Every class counts the same, however many images it has."""

    name = "balanced-classification"
    metric = "balanced accuracy"

    def evaluate(self, network, part, data, precision):
        found = super().evaluate(network, part, data, precision)
        labels = part.labels.cpu().numpy()
        return found._replace(score=float(balanced_accuracy_score(labels, found.predictions.classes.numpy())))


task = TASKS[BalancedClassification.name] = BalancedClassification()
scenario = load_scenario("digits").changed({"task": task.name, "recipe.epochs": 3, "teacher_recipe.epochs": 3})

with tempfile.TemporaryDirectory() as cache:
    data = task.load(scenario, Path(cache))
device, meter, policy = torch.device("cpu"), ProcessMeter(detect(), 1), Stochastic()
teacher = train_teacher(scenario, data, device=device, meter=meter)
spec = TrialSpec(
    run_id="own",
    trial_id="own-0000",
    index=0,
    replicate_seed=0,
    scenario=scenario,
    policy=policy,
    params=policy.restart_params(SPACES["tau"]),
)
place = Place(device=device, meter=meter, carbon=carbon(), node_id="here")
reports = list(Trial(spec, data, teacher.network(scenario, data), place).fit())
for report in reports:
    print(f"epoch {report.epoch}: {task.metric} {report.val_score:.3f}, {report.energy_j or 0:.2f} J")
