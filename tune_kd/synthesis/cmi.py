"""Contrastive model inversion (CMI, Fang et al. 2021): batches that differ from each other, and from those before.

L = a_bn·(distance of the batch norms' statistics) + a_oh·CE(T(x), y) + a_cr·(contrastive term) − a_adv·(the student's
disagreement), with x = G(z). Generator and noise are made anew for every batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_kd.config.synthesis import ContrastiveInversion
from tune_kd.synthesis.batch_norms import BatchNormInputs, batch_norms, watched
from tune_kd.synthesis.generator import Generator
from tune_kd.synthesis.methods import Best, Made, Wanted, repeated
from tune_kd.synthesis.terms import contrastive, disagreement
from tune_kd.synthesis.views import global_view, local_view


class ContrastiveInversions:
    """Batches of :class:`tune_kd.synthesis.methods.Method`. Between them a head and a bank of earlier views is kept."""

    def __init__(self, wanted: Wanted, teacher: nn.Module, device: torch.device) -> None:
        self._wanted, self._teacher, self._device = wanted, teacher, device
        self._options: ContrastiveInversion = wanted.synthesis.cmi
        width = sum(layer.num_features for layer in batch_norms(teacher))
        torch.manual_seed(wanted.seed)
        head = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, self._options.embedding))
        self._head = head.to(device)
        self._head_optimizer = torch.optim.Adam(head.parameters(), lr=self._options.lr, betas=self._options.betas)
        self._bank = torch.empty(0, 2, width, device=device)  # pairs of views: local, global

    def batch(self, student: nn.Module | None) -> Made:
        options, count = self._options, self._wanted.synthesis.batch_size
        channels, size, _ = self._wanted.shape
        generator = Generator(noise=options.noise, width=options.channels, channels=channels, image_size=size).to(
            self._device
        )
        noise = torch.randn(count, options.noise, device=self._device, requires_grad=True)
        labels = torch.randint(self._wanted.classes, (count,), device=self._device)
        optimizer = torch.optim.Adam([*generator.parameters(), noise], lr=options.lr, betas=options.betas)
        best, losses, views = Best(), list[Tensor](), list[Tensor]()
        with watched(self._teacher) as inputs:

            def step() -> None:
                images = generator(noise)
                loss, pairs = self._loss(images, labels, inputs, student)
                best.offer(loss, images)
                optimizer.zero_grad(set_to_none=True)
                self._head_optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                self._head_optimizer.step()
                losses[:], views[:] = [loss.detach()], [pairs]

            flops = repeated(step, options.steps)
        self._bank = torch.cat([self._bank, views[-1]])[-options.bank :]
        return Made(best.images, labels, flops, bool(losses[-1].isfinite()))

    def state_dict(self) -> dict[str, Any]:
        return {
            "head": self._head.state_dict(),
            "head_optimizer": self._head_optimizer.state_dict(),
            "bank": self._bank,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._head.load_state_dict(state["head"])
        self._head_optimizer.load_state_dict(state["head_optimizer"])
        self._bank = state["bank"].to(self._device)

    def _loss(
        self, images: Tensor, labels: Tensor, inputs: BatchNormInputs, student: nn.Module | None
    ) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, and the features of both views of each image, [B, 2, all channels]."""
        options = self._options
        seen = self._wanted.normalise(global_view(images, options.padding, options.flip))
        logits = self._teacher(seen)
        told = options.one_hot * F.cross_entropy(logits, labels)
        if student is not None and options.adversarial:
            told = told - options.adversarial * disagreement(logits, student(seen))
        met = options.batch_norm * inputs.distance(inputs.statistics())
        whole = inputs.features()
        self._teacher(self._wanted.normalise(local_view(images, options.smallest_crop, options.flip)))
        pairs = torch.stack([inputs.features(), whole], dim=1)
        drawn = self._bank[torch.randint(max(1, len(self._bank)), (min(options.drawn, len(self._bank)),))]
        local, apart = torch.cat([pairs, drawn]).unbind(1)
        found = contrastive(
            self._embedded(local), self._embedded(apart).detach(), options.contrast_temperature, len(images)
        )
        return met + told + options.contrast * found, pairs.detach()

    def _embedded(self, features: Tensor) -> Tensor:
        embedded: Tensor = F.normalize(self._head(features), dim=1)
        return embedded
