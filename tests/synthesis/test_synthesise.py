"""From a teacher to a pool: what is made, what it costs, what is kept of it, and what nobody touches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.config.synthesis import Synthesis
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.meter import flops
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import Pace
from tune_kd.synthesis.batch_norms import check_synthesis
from tune_kd.synthesis.generator import Generator
from tune_kd.synthesis.pool import Pool, PoolFiles, pool_id, training_images, with_pool, without_images
from tune_kd.synthesis.synthesise import Synthesiser, SynthesisFailed, wanted_of
from tune_kd.training.teacher import Teacher

CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.5)
METHODS = ("deep-inversion", "cmi", "fast", "noise", "real")
SMALL = {
    "synthesis.images": 20,
    "synthesis.batch_size": 8,
    "synthesis.deep_inversion.steps": 3,
    "synthesis.cmi.steps": 3,
    "synthesis.cmi.channels": 4,
    "synthesis.cmi.bank": 12,
    "synthesis.cmi.drawn": 5,
    "synthesis.fast.steps": 2,
    "synthesis.fast.channels": 4,
    "synthesis.fast.warmup": 1,
}
Make = Callable[..., Pool]


def nobody() -> Tensor:
    raise AssertionError("training images were read")


class CountingMeter:
    """Recorded marks of a machine that uses 1 J from one mark to the next."""

    co_tenants = None
    pace = Pace()

    def __init__(self) -> None:
        self.marks = 0

    def mark(self) -> Energy:
        self.marks += 1
        return Energy(cpu_j=float(self.marks), ram_j=0.0, idle_j=0.0, method="model")


@pytest.fixture
def network(scenario: Scenario, digits: ImageData, teacher: Teacher) -> nn.Module:
    return teacher.network(scenario, digits)


@pytest.fixture
def synthesiser(
    scenario: Scenario, digits: ImageData, network: nn.Module, tmp_path: Path
) -> Callable[..., Synthesiser]:
    """synthesiser("cmi", seed=1, folder="a", …): what makes the pool in this folder."""

    def made(method: str, *, folder: str, seed: int = 1, meter: Meter | None = None, **settings: Any) -> Synthesiser:
        chosen = scenario.changed({"synthesis.method": method, **SMALL, **settings})
        return Synthesiser(
            wanted_of(chosen, without_images(digits, chosen), seed),
            network,
            PoolFiles((tmp_path / folder).joinpath),
            device=CPU,
            meter=meter or CountingMeter(),
            carbon=CARBON,
            training_images=(lambda: torch.from_numpy(digits.train.images)) if method == "real" else nobody,
        )

    return made


@pytest.fixture
def make(synthesiser: Callable[..., Synthesiser], tmp_path: Path) -> Make:
    """make("cmi", seed=1, folder="a", …): the pool, in a folder of its own unless it is named."""

    def made(method: str, *, folder: str = "", **options: Any) -> Pool:
        one = synthesiser(method, folder=folder or f"{method}-{len(list(tmp_path.iterdir()))}", **options)
        one.complete()
        pool = one.files.read()
        assert pool is not None
        return pool

    return made


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_pool_and_another_seed_another(make: Make, method: str) -> None:
    one, again, other = make(method), make(method), make(method, seed=2)
    assert one.images.shape == (20, 1, 8, 8)
    assert one.images.dtype == torch.uint8
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.images, other.images)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_interrupted_goes_on_to_the_same_pool_and_the_whole_is_charged_once(
    make: Make, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(method, folder="whole")
    write, written = PoolFiles.write, []

    def dies_at_the_third(files: PoolFiles, number: int, *rest: Any) -> None:
        if number == 2 and len(written) < 3:
            written.append(number)
            raise KeyboardInterrupt
        written.append(number)
        write(files, number, *rest)

    monkeypatch.setattr(PoolFiles, "write", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make(method, folder="broken")
    resumed = make(method, folder="broken")
    assert written[:4] == [0, 1, 2, 2], "batches that were kept are not made again"
    assert torch.equal(whole.images, resumed.images)
    assert torch.equal(whole.named, resumed.named)
    assert resumed.cost.flops == whole.cost.flops
    assert resumed.cost.energy_j == pytest.approx(whole.cost.energy_j + 1), "who goes on has a beginning of its own"


def test_a_complete_pool_is_not_made_again(make: Make) -> None:
    make("noise", folder="kept")
    meter = CountingMeter()
    make("noise", folder="kept", meter=meter)
    assert meter.marks == 0


@pytest.mark.parametrize("method", ["cmi", "noise"])
def test_a_pool_that_another_command_completes_meanwhile_stays_complete_for_its_trials(
    method: str, synthesiser: Callable[..., Synthesiser], make: Make
) -> None:
    first, second = (synthesiser(method, folder="both") for _ in range(2))
    first.make(1)
    second.make(1)
    first.complete()
    whole = first.files.read()
    assert second.make(2).flops == 0
    assert first.files.is_complete, "trials of the first command read it"
    second.files.made(2, {})
    second.complete()
    found = first.files.read()
    assert whole is not None
    assert found is not None
    assert torch.equal(found.images, whole.images)
    assert torch.equal(found.images, make(method).images)


@pytest.mark.parametrize("method", METHODS)
def test_the_teacher_stays_as_it_is_to_the_last_bit(make: Make, network: nn.Module, method: str) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    make(method)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())


def test_joules_and_grams_are_those_between_the_marks(make: Make) -> None:
    cost = make("noise").cost
    assert cost.energy_j == pytest.approx(5.0)  # up to the first mark, three batches, and their naming
    assert cost.co2e_g == pytest.approx(CARBON.co2e_g(5.0))


def test_the_flops_of_deep_inversion_are_forward_and_backward_to_the_image_and_no_weight_gradient(
    make: Make, network: nn.Module
) -> None:
    pool = make("deep-inversion")
    forward = flops.count(network, (1, 8, 8)).forward
    first = 2 * 8 * 8 * 32 * 9  # of the first convolution, from the definition
    assert flops.count(nn.Sequential(network[0]), (1, 8, 8)).forward == first
    # Every layer's input gradient costs what its forward does, the image's included: it is what is optimised.
    steps, batches = 3, 3
    assert pool.cost.flops == steps * batches * 8 * 2 * forward + 20 * forward


def test_the_official_generator_has_the_published_size() -> None:
    generator = Generator(noise=256, width=128, channels=3, image_size=32)
    assert sum(parameter.numel() for parameter in generator.parameters()) == pytest.approx(2.33e6, rel=0.01)
    with flops.counting() as counter, torch.no_grad():
        images = generator(torch.randn(1, 256))
    assert counter.get_total_flops() / 2 == pytest.approx(117e6, rel=0.02)
    assert images.shape == (1, 3, 32, 32)
    assert ((images > 0) & (images < 1)).all()


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 9), (1, 30), (3, 64)])
def test_a_generator_makes_images_of_any_size(channels: int, size: int) -> None:
    generator = Generator(noise=4, width=3, channels=channels, image_size=size)
    assert generator(torch.randn(2, 4)).shape == (2, channels, size, size)


@pytest.mark.parametrize(("method", "table"), [("deep-inversion", "deep_inversion"), ("cmi", "cmi"), ("fast", "fast")])
def test_a_synthesis_that_diverges_says_so_in_one_line_and_what_it_had_cost(
    make: Make, method: str, table: str
) -> None:
    with pytest.raises(SynthesisFailed) as raised:
        make(method, **{f"synthesis.{table}.batch_norm": 1e39, f"synthesis.{table}.lr": 0.5})
    assert f"batch 1 of {4 if method == 'fast' else 3}: " in str(raised.value)
    assert f"--set synthesis.{table}.lr=0.05" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.cost.flops > 0
    assert raised.value.cost.energy_j


def test_real_images_come_without_their_labels_each_once_before_one_comes_twice(make: Make, digits: ImageData) -> None:
    pool = make("real", **{"synthesis.images": 2 * len(digits.train)})
    known = {image.tobytes() for image in digits.train.images}
    first = [image.tobytes() for image in pool.images[: len(digits.train)].numpy()]
    assert set(first) == known
    assert torch.equal(pool.labels, pool.named)
    assert pool.agreement == 1.0


def test_images_of_the_generators_warm_up_are_not_kept(make: Make, scenario: Scenario, digits: ImageData) -> None:
    chosen = scenario.changed({"synthesis.method": "fast", **SMALL})
    assert wanted_of(chosen, digits, 0).batches == 1 + 3
    assert len(make("fast").images) == 20


def test_the_pool_is_the_training_set_and_no_training_image_is_left(
    make: Make, scenario: Scenario, digits: ImageData
) -> None:
    chosen = scenario.changed({"synthesis.method": "noise", **SMALL})
    seen = without_images(digits, chosen)
    assert len(seen.train) == 0
    assert (seen.mean, seen.std) == (digits.mean, digits.std)
    data = with_pool(seen, make("noise"), chosen)
    assert len(data.train) == training_images(chosen, digits) == 20
    assert np.array_equal(data.validation.images, digits.validation.images)
    assert (data.mean, data.std) == (digits.mean, digits.std)


def test_synthetic_validation_is_cut_from_the_pool_and_labelled_by_the_teacher(
    make: Make, scenario: Scenario, digits: ImageData
) -> None:
    chosen = scenario.changed({"synthesis.method": "deep-inversion", "synthesis.validation": "synthetic", **SMALL})
    pool = make("deep-inversion")
    data = with_pool(without_images(digits, chosen), pool, chosen)
    assert (len(data.train), len(data.validation)) == (18, 2)
    assert np.array_equal(data.train.labels, pool.labels[:18].numpy())
    assert np.array_equal(data.validation.labels, pool.named[18:].numpy())
    assert np.array_equal(data.validation.images, pool.images[18:].numpy())


def test_what_makes_the_pool_is_in_its_id_and_what_does_not_is_not(scenario: Scenario) -> None:
    chosen = scenario.changed({"synthesis.method": "cmi"})

    def identity(seed: int = 0, teacher: str = "t", data: str = "d", **settings: Any) -> str:
        return pool_id(chosen.changed(settings), teacher, seed, data_sha256=data, gpu=False)

    same = [
        identity(),
        identity(**{"synthesis.fast.lr": 0.5}),
        identity(**{"synthesis.validation": "synthetic"}),
        identity(student="wrn-16-1"),
        identity(data="e"),
    ]
    others = [
        identity(seed=1),
        identity(teacher="u"),
        identity(**{"synthesis.cmi.lr": 0.5}),
        identity(**{"synthesis.images": 7}),
        identity(**{"synthesis.batch_size": 7}),
        identity(**{"synthesis.method": "fast"}),
        identity(**{"synthesis.method": "real"}),
        identity(data="e", **{"synthesis.method": "real"}),
    ]
    assert len(set(same)) == 1
    assert len({same[0], *others}) == 1 + len(others)


@pytest.mark.parametrize("method", METHODS)
def test_a_teacher_without_batch_norms_is_refused_in_one_line_where_they_are_read(
    scenario: Scenario, method: str
) -> None:
    chosen, bare = scenario.changed({"synthesis.method": method}), nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    if method in ("noise", "real"):
        check_synthesis(chosen, bare)
        return
    with pytest.raises(InputError, match=f"'{method}' reads the statistics of the teacher's batch norms, and 'digits-"):
        check_synthesis(chosen, bare)


@pytest.mark.parametrize("images", [4, 5, 100])
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_however_a_pool_is_cut_two_images_train_and_one_validates(images: int, fraction: float) -> None:
    cut = Synthesis(images=images, validation="synthetic", validation_fraction=fraction)
    assert cut.training_images >= 2
    assert cut.validation_images >= 1
    assert cut.training_images + cut.validation_images == images
