"""How training images are synthesised from a teacher: the table ``synthesis`` of a scenario, and one table a method.

The defaults of a method are the official settings for WRN-40-2 → WRN-16-1 on CIFAR-10: of ``deep_inversion`` and
``cmi`` in the scripts of zju-vipa/CMI, of ``fast`` in those of zju-vipa/Fast-Datafree. Their ``adversarial`` terms,
which read the student, are off: with them a pool belongs to one trial, and without them to all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tune_kd.config.fields import Count, Fraction, Frozen, NotNegative, Positive, Share

Betas = tuple[Share, Share]
Flag = Annotated[bool, Field(strict=True)]


class DeepInversion(Frozen):
    """Yin et al. 2020: the pixels themselves are optimised, with Adam."""

    steps: Count = 1000
    lr: Positive = 0.1
    betas: Betas = (0.5, 0.99)
    batch_norm: NotNegative = 10.0  # weight of the batch norms' statistics
    one_hot: NotNegative = 1.0  # weight of the cross-entropy to the label that is aimed at
    total_variation: NotNegative = 0.001  # weight
    l2: NotNegative = 0.0  # weight of the images' norm
    adversarial: NotNegative = 0.0  # weight of the Jensen-Shannon divergence of teacher and student; the script's is 1
    jensen_shannon: Literal["true", "authors"] = "true"  # authors: the clamped form of the official codes
    shift: Fraction = 0.125  # by at most this share of a side the images are rolled before the teacher sees them
    flip: Flag = True  # and mirrored, with probability ½


class ContrastiveInversion(Frozen):
    """CMI, Fang et al. 2021: a fresh generator for every batch, its images told from those that were made before."""

    steps: Count = 200
    lr: Positive = 0.001  # of the generator, its noise and the head
    betas: Betas = (0.5, 0.999)
    batch_norm: NotNegative = 1.0
    one_hot: NotNegative = 1.0
    adversarial: NotNegative = 0.0  # weight of the student's disagreement; the scripts' is 0.5
    contrast: NotNegative = 0.8  # weight of the contrastive term
    contrast_temperature: Positive = 0.1
    noise: Count = 256  # the generator's inputs
    channels: Count = 128  # of its first layers, twice those of its last
    embedding: Count = 256  # of an image by the head
    bank: Count = 40960  # pairs of views of earlier images that are kept
    drawn: Count = 4096  # pairs that each step draws of them
    smallest_crop: Positive = 0.25  # the least share of an image's area in its local view
    padding: Fraction = 0.125  # share of a side by which its global view may be off
    flip: Flag = True  # are views mirrored, with probability ½?


class FastInversion(Frozen):
    """Fast-DFKD, Fang et al. 2022: one generator, meta-learned, from which each batch takes a few steps."""

    steps: Count = 5
    lr: Positive = 0.003  # of the batch's copy of the generator; the generator's own is ``steps`` times that
    lr_noise: Positive = 0.01
    betas: Betas = (0.5, 0.999)
    batch_norm: NotNegative = 10.0
    one_hot: NotNegative = 0.4
    adversarial: NotNegative = 0.0  # as of cmi; the script's is 1.1
    momentum: Share = 0.9  # of the average of earlier batches' statistics
    noise: Count = 256
    channels: Count = 128
    padding: Fraction = 0.125
    flip: Flag = True
    warmup: Annotated[int, Field(ge=0, strict=True)] = 20  # batches at the beginning whose images are not kept


class Synthesis(Frozen):
    """A pool of synthesised images, which students are trained on instead of the training images."""

    method: Literal["deep-inversion", "cmi", "fast", "noise", "real"] = "fast"
    images: Annotated[int, Field(ge=4, strict=True)] = 51200
    batch_size: Annotated[int, Field(ge=2, strict=True)] = 256  # images that are synthesised together
    validation: Literal["real", "synthetic"] = "real"  # synthetic: some of the pool, labelled by the teacher
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1  # of the pool, where validation is synthetic
    deep_inversion: DeepInversion = DeepInversion()
    cmi: ContrastiveInversion = ContrastiveInversion()
    fast: FastInversion = FastInversion()

    @property
    def own(self) -> Frozen | None:
        """The table of the method; None for one that has none."""
        table: Frozen | None = getattr(self, self.method.replace("-", "_"), None)
        return table

    @property
    def reads_batch_norms(self) -> bool:
        """Is the teacher's every batch norm asked what its inputs were in training?"""
        return self.own is not None

    @property
    def reads_student(self) -> bool:
        """Are images made against a student, so that a pool belongs to its trial, and grows while that is trained?"""
        return bool(getattr(self.own, "adversarial", 0.0))

    @model_validator(mode="after")
    def _a_growing_pool_validates_nothing(self) -> Synthesis:
        if self.reads_student and self.validation == "synthetic":
            raise ValueError(
                "validation 'synthetic' takes images of a pool that is complete, and with an adversarial term it grows "
                "while the student is trained; leave one of them out"
            )
        return self

    @property
    def validation_images(self) -> int:
        """How many images of the pool validate."""
        if self.validation == "real":
            return 0
        # Two at least train: batch norm cannot train on one image.
        return min(max(1, round(self.validation_fraction * self.images)), self.images - 2)

    @property
    def training_images(self) -> int:
        """How many images of the pool train a student."""
        return self.images - self.validation_images
