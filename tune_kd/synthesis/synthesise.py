"""From a teacher to a pool of images, batch by batch. What is made is kept at once and not made again."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tune_kd.budget.cost import Cost
from tune_kd.config.scenario import Scenario
from tune_kd.data.image_set import ImageData
from tune_kd.errors import RunFailed
from tune_kd.meter import flops
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.synthesis.cmi import ContrastiveInversions
from tune_kd.synthesis.deep_inversion import DeepInversions
from tune_kd.synthesis.fast import FastInversions
from tune_kd.synthesis.methods import Method, Wanted
from tune_kd.synthesis.plain import Noise, RealImages
from tune_kd.synthesis.pool import PoolFiles

NAMING_BATCH = 512


class SynthesisFailed(RunFailed):
    """A loss, or images, that are not finite; ``cost`` is what was spent on it."""

    def __init__(self, reason: str, cost: Cost = Cost()) -> None:  # noqa: B008  (frozen; pickle calls it with args)
        super().__init__(reason)
        self.cost = cost


def wanted_of(scenario: Scenario, data: ImageData, seed: int) -> Wanted:
    """What is synthesised for a replicate with this ``seed``. Of the data only sizes and statistics are read."""
    assert scenario.synthesis is not None
    shape = (data.channels, data.image_size, data.image_size)
    return Wanted(
        synthesis=scenario.synthesis,
        classes=len(data.classes),
        shape=shape,
        mean=data.mean,
        std=data.std,
        seed=seed,
    )


class Synthesiser:
    """Makes the batches of a pool one after the other, and keeps each at once. What is kept is not made again.

    ``teacher`` is frozen, in evaluation mode and on the ``device``. ``training_images``, uint8 [N, C, H, W], are read
    by the method ``real`` alone.
    """

    def __init__(
        self,
        wanted: Wanted,
        teacher: nn.Module,
        files: PoolFiles,
        *,
        device: torch.device,
        meter: Meter,
        carbon: Carbon,
        training_images: Callable[[], Tensor],
    ) -> None:
        self.wanted, self.files = wanted, files
        self._teacher, self._device = teacher, device
        self.batches, state = files.progress()
        self.is_complete = bool(self.batches) and state is None
        if self.is_complete:
            return
        self._spent = _Spent(meter, carbon)
        self._method = _make(wanted, teacher, device, training_images)
        if state is not None:
            self._method.load_state_dict(state)

    def make(self, batches: int, student: nn.Module | None = None) -> Cost:
        """Have so many ``batches``; what those cost that were missing. Raises SynthesisFailed.

        ``student`` is whom they are made against, where the method has an adversarial term; it stays as it is.
        """
        total = Cost()
        if self.is_complete:
            return total
        if student is not None:
            self._spent.skip()
            student = copy.deepcopy(student).eval().requires_grad_(False)
        for number in range(self.batches, batches):
            self.is_complete = self.files.is_complete  # another command may have completed it meanwhile
            if self.is_complete:
                break
            total += self._make_one(number, student, total)
        return total

    def complete(self) -> Cost:
        """Make what is missing of the pool, and have the teacher name its images; the cost of both."""
        total = self.make(self.wanted.batches)
        if self.is_complete:
            return total
        named, flops = _named(self.wanted, self._teacher, self.files, self._device)
        cost = self._spent.since(flops)
        self.files.complete(self.wanted.batches, named, cost)
        self.is_complete = True
        return total + cost

    def _make_one(self, number: int, student: nn.Module | None, before: Cost) -> Cost:
        self.wanted.seed_batch(number)
        made = self._method.batch(student)
        cost = self._spent.since(made.flops)
        if not (made.finite and made.images.isfinite().all()):
            raise SynthesisFailed(_diverged(self.wanted, number), before + cost)
        kept = slice(0) if number < self.wanted.unkept else slice(None)
        labels = None if made.labels is None else made.labels[kept].cpu()
        self.files.write(number, _as_bytes(made.images[kept]), labels, cost)
        self.files.made(number + 1, self._method.state_dict())
        self.batches = number + 1
        return cost


class _Spent:
    """What has been spent since it was last asked for; at first, since the ``meter`` has been counting."""

    def __init__(self, meter: Meter, carbon: Carbon) -> None:
        self._meter, self._carbon = meter, carbon
        self._at, energies = self._now()
        self._energies = [None if joules is None else 0.0 for joules in energies]

    def skip(self) -> None:
        """Leave out what has been spent meanwhile."""
        self._at, self._energies = self._now()

    def since(self, flops: int) -> Cost:
        """The cost of what took so many ``flops``."""
        before_at, before = self._at, self._energies
        self._at, self._energies = self._now()
        pairs = zip(self._energies, before, strict=True)
        used_j, own_j = (None if now is None or then is None else now - then for now, then in pairs)
        return Cost(
            flops=flops,
            duration_s=self._at - before_at,
            energy_j=used_j,
            co2e_g=self._carbon.co2e_g(used_j),
            own_pace_j=own_j,
        )

    def _now(self) -> tuple[float, list[float | None]]:
        """The time, and the energy so far: by the hour, and at its own pace."""
        at, total_j = time.perf_counter(), self._meter.mark().total_j
        return at, [total_j, self._meter.pace.own_j]


def _make(wanted: Wanted, teacher: nn.Module, device: torch.device, training_images: Callable[[], Tensor]) -> Method:
    match wanted.synthesis.method:
        case "deep-inversion":
            return DeepInversions(wanted, teacher, device)
        case "cmi":
            return ContrastiveInversions(wanted, teacher, device)
        case "fast":
            return FastInversions(wanted, teacher, device)
        case "noise":
            return Noise(wanted, device)
        case "real":
            return RealImages(wanted, training_images())


def _as_bytes(images: Tensor) -> Tensor:
    """Images in 0..1 as uint8, on the CPU."""
    return (images * 255).round().to(torch.uint8).cpu()


@torch.inference_mode()
def _named(wanted: Wanted, teacher: nn.Module, files: PoolFiles, device: torch.device) -> tuple[Tensor, int]:
    """The class that the teacher names for each image of the pool, int64 [N], and the FLOPs of asking it."""
    named, missing = list[Tensor](), wanted.synthesis.images
    with flops.counting() as counter:
        for number in range(wanted.batches):
            images = files.batch(number)["images"][:missing]
            missing -= len(images)
            parts = (wanted.normalise(part.to(device).float() / 255) for part in images.split(NAMING_BATCH))
            named += [teacher(part).argmax(dim=1).cpu() for part in parts]
    return torch.cat(named).clone(), counter.get_total_flops()


def _diverged(wanted: Wanted, number: int) -> str:
    method, own = wanted.synthesis.method, wanted.synthesis.own
    rate = getattr(own, "lr", 0.0)
    field = f"synthesis.{method.replace('-', '_')}.lr"
    return (
        f"the synthesis of images by {method!r} diverged in batch {number + 1} of {wanted.batches}: its loss or images "
        f"are not finite; its learning rate is {rate:g}, try a lower one, --set {field}={rate / 10:g}"
    )
