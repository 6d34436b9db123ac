"""DeepInversion (Yin et al. 2020): images are optimised until the teacher takes them for its training images.

L = a_bn·(distance of the batch norms' statistics) + a_oh·CE(T(x), y) + a_tv·TV(x) + a_l2·‖x‖₂ − a_adv·JS(T(x), S(x))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_kd.config.synthesis import DeepInversion
from tune_kd.synthesis.batch_norms import BatchNormInputs, watched
from tune_kd.synthesis.methods import Best, Made, Wanted, repeated
from tune_kd.synthesis.terms import clamped_divergence, jensen_shannon, total_variation
from tune_kd.synthesis.views import shifted


class DeepInversions:
    """Batches of :class:`tune_kd.synthesis.methods.Method`; each is made for itself."""

    def __init__(self, wanted: Wanted, teacher: nn.Module, device: torch.device) -> None:
        self._wanted, self._teacher, self._device = wanted, teacher, device
        self._options: DeepInversion = wanted.synthesis.deep_inversion

    def batch(self, student: nn.Module | None) -> Made:
        options, count = self._options, self._wanted.synthesis.batch_size
        labels = torch.randint(self._wanted.classes, (count,), device=self._device)
        pixels = torch.randn(count, *self._wanted.shape, device=self._device, requires_grad=True)
        optimizer = torch.optim.Adam([pixels], lr=options.lr, betas=options.betas)
        lowest, highest = (self._wanted.normalise(torch.full_like(pixels, value)) for value in (0.0, 1.0))
        best = Best()
        with watched(self._teacher) as inputs:

            def step() -> None:
                loss = self._loss(pixels, labels, inputs, student)
                best.offer(loss, pixels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    pixels.clamp_(lowest, highest)

            flops = repeated(step, options.steps)
            best.offer(self._loss(pixels, labels, inputs, student), pixels)
        made = (best.images - lowest) / (highest - lowest)
        return Made(made.clamp(0, 1), labels, flops, bool(pixels.isfinite().all()))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is nothing: no batch depends on another."""

    def _loss(self, pixels: Tensor, labels: Tensor, inputs: BatchNormInputs, student: nn.Module | None) -> Tensor:
        options = self._options
        seen = shifted(pixels, options.shift, options.flip)
        logits = self._teacher(seen)
        loss = (
            options.batch_norm * inputs.distance(inputs.statistics())
            + options.one_hot * F.cross_entropy(logits, labels)
            + options.total_variation * total_variation(seen)
            + options.l2 * torch.linalg.vector_norm(seen)
        )
        if student is None or not options.adversarial:
            return loss
        divergence = jensen_shannon if options.jensen_shannon == "true" else clamped_divergence
        return loss - options.adversarial * divergence(logits, student(seen))
