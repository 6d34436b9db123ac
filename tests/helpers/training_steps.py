"""One batch in training as a policy sees it, without a trial around it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tune_kd.config.scenario import load_scenario
from tune_kd.data.batches import Batch
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.step import Step


def step_of(
    student_logits: Tensor,
    teacher_logits: Tensor | None,
    labels: Tensor,
    *,
    number: int = 0,
    alpha: float = 0.95,
    settings: Mapping[str, Any] | None = None,
    student: nn.Module | None = None,
    images: Tensor | None = None,
    learning_rate: float = 0.1,
    held_out: tuple[Tensor, Tensor] | None = None,
    scenario: str = "digits",
) -> Step:
    """Batch ``number``: logits [B, n], labels [B]; ``held_out``, images and labels, comes round and round.

    Logits and labels are those of the task that ``scenario`` is about.
    """
    what = load_scenario(scenario).changed(settings or {})
    batches = itertools.repeat(Batch(*held_out, torch.arange(len(held_out[1])))) if held_out else iter(())
    return Step(
        number=number,
        images=torch.empty(0) if images is None else images,
        labels=labels,
        student=student or nn.Identity(),
        student_logits=student_logits,
        teacher_logits=teacher_logits,
        learning_rate=learning_rate,
        task=task_of(what),
        scenario=what,
        alpha=alpha,
        held_out_batches=batches,
    )
