"""Fast-DFKD (Fang et al. 2022): one generator learns to be a few steps away from any batch.

L = a_bn·(distance of the batch norms' statistics) + a_oh·CE(T(x), y) − a_adv·(the student's disagreement), with
x = G'(z). A batch takes its steps on a copy G' of the generator. The sum of the copy's gradients then moves the
generator itself (first-order MAML, Finn et al. 2017).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_kd.config.synthesis import FastInversion
from tune_kd.synthesis.batch_norms import BatchNormInputs, Statistics, watched
from tune_kd.synthesis.generator import Generator
from tune_kd.synthesis.methods import Best, Made, Wanted, repeated
from tune_kd.synthesis.terms import disagreement
from tune_kd.synthesis.views import global_view


class FastInversions:
    """Batches of :class:`tune_kd.synthesis.methods.Method`. Between them the generator is kept."""

    def __init__(self, wanted: Wanted, teacher: nn.Module, device: torch.device) -> None:
        self._wanted, self._teacher, self._device = wanted, teacher, device
        self._options: FastInversion = wanted.synthesis.fast
        torch.manual_seed(wanted.seed)
        channels, size, _ = wanted.shape
        self._generator = Generator(
            noise=self._options.noise, width=self._options.channels, channels=channels, image_size=size
        ).to(device)
        rate = self._options.lr * self._options.steps
        self._optimizer = torch.optim.Adam(self._generator.parameters(), lr=rate, betas=self._options.betas)
        self._average: list[Statistics] | None = None  # of earlier batches

    def batch(self, student: nn.Module | None) -> Made:
        options, count = self._options, self._wanted.synthesis.batch_size
        noise = torch.randn(count, options.noise, device=self._device, requires_grad=True)
        labels = torch.randint(self._wanted.classes, (count,), device=self._device)
        twin = copy.deepcopy(self._generator)
        groups: list[dict[str, Any]] = [
            {"params": list(twin.parameters())},
            {"params": [noise], "lr": options.lr_noise},
        ]
        optimizer = torch.optim.Adam(groups, lr=options.lr, betas=options.betas)
        self._optimizer.zero_grad(set_to_none=True)
        best, losses = Best(), list[Tensor]()
        with watched(self._teacher) as inputs:

            def step() -> None:
                images = twin(noise)
                loss = self._loss(images, labels, inputs, student)
                best.offer(loss, images)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self._hand_over(twin)
                optimizer.step()
                losses[:] = [loss.detach()]

            flops = repeated(step, options.steps)
        self._optimizer.step()
        self._generator.load_state_dict(dict(twin.named_buffers()), strict=False)
        return Made(best.images, labels, flops, bool(losses[-1].isfinite()))

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self._generator.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": None if self._average is None else [tuple(layer) for layer in self._average],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._generator.load_state_dict(state["generator"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._average = None if state["average"] is None else [Statistics(*layer) for layer in state["average"]]

    def _loss(self, images: Tensor, labels: Tensor, inputs: BatchNormInputs, student: nn.Module | None) -> Tensor:
        options = self._options
        seen = self._wanted.normalise(global_view(images, options.padding, options.flip))
        logits = self._teacher(seen)
        averaged = self._averaged(inputs.statistics())
        loss = options.batch_norm * inputs.distance(averaged) + options.one_hot * F.cross_entropy(logits, labels)
        if student is None or not options.adversarial:
            return loss
        return loss - options.adversarial * disagreement(logits, student(seen))

    def _averaged(self, met: list[Statistics]) -> list[Statistics]:
        """The batch's statistics, averaged with those of earlier batches, which no gradient reaches."""
        share = self._options.momentum if self._average is not None else 0.0
        before = self._average or met
        averaged = [
            Statistics(*(share * old.detach() + (1 - share) * new for old, new in zip(*layers, strict=True)))
            for layers in zip(before, met, strict=True)
        ]
        self._average = [Statistics(*(value.detach() for value in layer)) for layer in averaged]
        return averaged

    def _hand_over(self, twin: nn.Module) -> None:
        """Add the gradients of the generator's copy to its own."""
        for own, other in zip(self._generator.parameters(), twin.parameters(), strict=True):
            if other.grad is not None:
                own.grad = other.grad.clone() if own.grad is None else own.grad + other.grad
