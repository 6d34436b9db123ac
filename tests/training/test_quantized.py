"""Quantization-aware training: what it starts from, what it leaves alone, and the int8 network that comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from tune_kd import models
from tune_kd.config.catalogue import make_policy
from tune_kd.config.quantization import Quantization
from tune_kd.config.scenario import load_scenario
from tune_kd.config.training import Recipe
from tune_kd.data import ImageData, ImageSet
from tune_kd.events import EpochReport
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.models.onnx import OnnxNetwork, as_onnx
from tune_kd.storage import checkpoints
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.classification import evaluate
from tune_kd.training import quantized
from tune_kd.training.examination import examine
from tune_kd.training.handed_out import handed_out
from tune_kd.training.student import TrialSpec
from tune_kd.training.trial import Place, Trial

MakeTrial = Callable[..., Trial]
CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=400.0, source="chosen for the tests")
QUANTIZE = {"quantization.epochs": 2}
MEASURED = {"at", "duration_s", "train_s", "eval_s", "teacher_s", "other_s", "peak_memory_bytes"}


def outcome(report: EpochReport, *, without: set[str] = MEASURED) -> dict[str, Any]:
    return {name: value for name, value in vars(report).items() if name not in without}


# The schedule


def test_without_numbers_they_follow_from_the_recipe() -> None:
    table, recipe = Quantization(), Recipe(epochs=100, lr=0.1, milestones=(40, 60, 80), gamma=0.2)
    assert table.epochs_after(recipe) == 10
    assert table.lr_after(recipe) == pytest.approx(0.1 * 0.2**3 / 10)
    assert [table.observes(epoch, recipe) for epoch in range(10)] == [True] * 5 + [False] * 5
    assert table.epochs_after(Recipe(epochs=4)) == 1
    assert table.lr_after(Recipe(epochs=50, lr=0.1, milestones=(40, 60), gamma=0.2)) == pytest.approx(0.002)


def test_numbers_that_are_given_stay() -> None:
    table, recipe = Quantization(epochs=3, lr=0.5, observed=0), Recipe()
    assert (table.epochs_after(recipe), table.lr_after(recipe)) == (3, 0.5)
    assert [table.observes(epoch, recipe) for epoch in range(3)] == [True, False, False]


def test_the_rate_falls_along_a_cosine(make_trial: MakeTrial) -> None:
    settings = {"quantization.epochs": 4, "quantization.lr": 0.01}
    *_, first, second, third, fourth = (report.lr for report in make_trial(settings=settings).fit())
    assert first == 0.01
    assert second == pytest.approx(0.01 * (1 + 2**-0.5) / 2)
    assert third == pytest.approx(0.005)
    assert fourth == pytest.approx(0.01 * (1 - 2**-0.5) / 2)


# The trial


def test_the_recipes_epochs_are_those_of_a_trial_in_float32(make_trial: MakeTrial) -> None:
    plain, longer = list(make_trial().fit()), list(make_trial(settings=QUANTIZE).fit())
    assert [report.epoch for report in longer] == [1, 2, 3, 4, 5]
    assert [outcome(report) for report in longer[:3]] == [outcome(report) for report in plain]


def test_a_quantized_epoch_costs_the_flops_of_one_in_float32(make_trial: MakeTrial) -> None:
    reports = list(make_trial("stochastic", settings=QUANTIZE).fit())
    flops = [report.flops_executed for report in reports]
    assert [after - before for before, after in itertools.pairwise(flops)] == [flops[0]] * 4


def test_the_chosen_checkpoint_is_of_a_quantized_epoch(make_trial: MakeTrial, tmp_path: Path) -> None:
    """However good those in float32 were; among them the best is what is quantized."""
    settings = {**QUANTIZE, "checkpoint": "best"}
    reports = list(make_trial(settings=settings, checkpoint=tmp_path / "trial.pt").fit())
    best = max(reports[3:], key=lambda report: report.val_score)
    assert reports[-1].checkpoint_epoch == best.epoch
    assert reports[-1].checkpoint_val_score == best.val_score
    state = checkpoints.load(tmp_path / "trial.pt")
    assert state is not None
    assert state["before"]["chosen"]["epoch"] == max(reports[:3], key=lambda report: report.val_score).epoch


@pytest.mark.parametrize(("policy", "done"), [("student", 3), ("stochastic", 4), ("ctkd", 4), ("meta-kd", 4)])
def test_a_resumed_trial_is_the_uninterrupted_one_bit_for_bit(
    policy: str, done: int, make_trial: MakeTrial, tmp_path: Path
) -> None:
    """Cut where quantization is to begin, and in the middle of it."""
    settings = {**QUANTIZE, "recipe.epochs": 3, "checkpoint": "best"}
    expected = list(make_trial(policy, settings=settings, checkpoint=tmp_path / "whole.pt").fit())
    list(itertools.islice(make_trial(policy, settings=settings, checkpoint=tmp_path / "cut.pt").fit(), done))
    after = list(make_trial(policy, settings=settings, checkpoint=tmp_path / "cut.pt").fit())
    cumulative = {name for name in vars(expected[0]) if name.startswith("flops_")}
    found, wanted = (
        [outcome(report, without=MEASURED | cumulative) for report in reports] for reports in (after, expected[done:])
    )
    assert found == wanted
    cut, whole = (checkpoints.load(tmp_path / name) for name in ("cut.pt", "whole.pt"))
    assert cut is not None
    assert whole is not None
    weights = [(state["chosen"]["weights"], state["network"]) for state in (cut, whole)]
    for one, other in zip(*weights, strict=True):
        assert one.keys() == other.keys()
        assert all(map(torch.equal, one.values(), other.values()))


def test_no_evaluation_moves_a_range(make_trial: MakeTrial, digits: ImageData) -> None:
    """Two evaluations are equal to the last bit, with other images between them."""
    trial = make_trial("student", settings=QUANTIZE)
    list(trial.fit())
    network, part = trial.student.evaluated(), trial.validation_part
    first = evaluate(network, part, digits, "float32")
    noise = 100 * torch.randn(8, 1, 8, 8)
    with torch.no_grad():
        network(noise)
    second = evaluate(network, part, digits, "float32")
    assert (first.loss, first.score) == (second.loss, second.score)


def test_ranges_move_in_the_first_half_of_the_quantized_epochs(make_trial: MakeTrial) -> None:
    trial = make_trial("student", settings=QUANTIZE)
    epochs = trial.fit()
    for _ in range(4):
        next(epochs)
    ranges = {name: value.clone() for name, value in trial.student.network.state_dict().items() if "_val" in name}
    assert ranges
    assert all(value.isfinite().all() for value in ranges.values())
    next(epochs)
    after = trial.student.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in ranges.items())


def test_a_student_that_diverged_stays_in_float32_to_its_end(
    make_trial: MakeTrial, digits: ImageData, tmp_path: Path, meter: Callable[..., Meter]
) -> None:
    settings = {**QUANTIZE, "recipe.lr": 1e30}
    trial = make_trial("student", settings=settings, checkpoint=tmp_path / "trial.pt")
    *_, last = trial.fit()
    assert (last.epoch, last.diverged_epoch, last.val_score) == (5, 1, 0)
    tested = examined(tmp_path / "trial.pt", trial, digits, meter)
    assert tested["test_score"] == 0
    assert "float_test_score" not in tested


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_a_student_that_diverges_while_its_ranges_are_observed_is_trained_to_its_end(
    checkpoint: str, make_trial: MakeTrial, digits: ImageData, tmp_path: Path, meter: Callable[..., Meter]
) -> None:
    settings = {"quantization.epochs": 4, "quantization.lr": 1e30, "checkpoint": checkpoint}
    trial = make_trial("stochastic", settings=settings, checkpoint=tmp_path / "trial.pt")
    *in_float32, first, second, _, last = trial.fit()
    assert {report.diverged_epoch for report in in_float32} == {None}
    assert [(report.diverged_epoch, report.val_score) for report in (first, second, last)] == [(4, 0)] * 3
    resumed = make_trial("stochastic", settings=settings, checkpoint=tmp_path / "trial.pt")
    assert resumed.over
    tested = examined(tmp_path / "trial.pt", trial, digits, meter)
    assert tested["test_score"] == 0
    assert "float_test_score" not in tested


def test_another_error_in_a_graph_stays_an_error() -> None:
    network = models.build("digits-student", classes=10, channels=1, image_size=8)
    forward = quantized.Forward(quantized.prepare(network, torch.zeros(2, 1, 8, 8), reduce_range=False))
    with pytest.raises(RuntimeError, match="type"):
        forward(torch.zeros(2, 1, 8, 8, dtype=torch.float64))


# The int8 network


def examined(path: Path, trial: Trial, data: ImageData, meter: Callable[..., Meter]) -> dict[str, Any]:
    return examine(trial.spec.scenario, path, data, device=CPU, meter=meter(), carbon=CARBON)


def test_the_test_is_of_int8_beside_float32(
    make_trial: MakeTrial, digits: ImageData, tmp_path: Path, meter: Callable[..., Meter]
) -> None:
    path, plain_path = tmp_path / "trial.pt", tmp_path / "plain.pt"
    trial, plain = make_trial(settings=QUANTIZE, checkpoint=path), make_trial(checkpoint=plain_path)
    list(trial.fit())
    list(plain.fit())
    found, again = (examined(path, trial, digits, meter) for _ in range(2))
    in_float32 = examined(plain_path, plain, digits, meter)
    took = {"inference_s", "float_inference_s"}
    assert {name: value for name, value in found.items() if name not in took} == {
        name: value for name, value in again.items() if name not in took
    }
    assert found["inference_runtime"] == f"onnxruntime {onnxruntime.__version__}"
    assert in_float32["inference_runtime"] == f"torch {torch.__version__}"
    assert found["float_test_score"] == in_float32["test_score"]
    assert found["inference_s"] > 0
    assert found["float_inference_s"] > 0
    # The student's convolutions and classifier: 99 + 495 + 50 weights; 11 + 5 + 10 biases; a scale and a zero point of
    # 12 bytes a channel; 3 activations' are numbers in the graph. In float32 the batch norms have 4 tensors each.
    assert found["weight_bytes"] == 644 + 26 * 4 + 26 * 12
    assert found["float_weight_bytes"] == in_float32["weight_bytes"] == 4 * (644 + 10 + 4 * 16)
    assert in_float32.get("float_test_score") is None


def test_a_trial_that_was_stopped_before_its_quantization_is_tested_in_float32(
    make_trial: MakeTrial, digits: ImageData, tmp_path: Path, meter: Callable[..., Meter]
) -> None:
    trial = make_trial(settings=QUANTIZE, checkpoint=tmp_path / "trial.pt")
    list(itertools.islice(trial.fit(), 3))
    found = examined(tmp_path / "trial.pt", trial, digits, meter)
    assert found["inference_runtime"] == f"torch {torch.__version__}"
    assert "float_test_score" not in found


def predictions(network: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network(part).argmax(dim=1) for part in images.split(100)])


def reads_dequantized(graph: torch.fx.GraphModule) -> list[bool]:
    """For each convolution and linear layer: are its input and its weights dequantized numbers?"""
    kinds = ("aten.conv2d.default", "aten.linear.default")
    layers = [node for node in graph.graph.nodes if str(node.target) in kinds]
    return [all("dequantize" in str(one.target) for one in node.args[:2]) for node in layers]


@pytest.mark.slow
def test_a_mobilenet_says_in_int8_what_it_said_before(meter: Callable[..., Meter], tmp_path: Path) -> None:
    settings = {"student": "mobilenetv2", "image_size": 16, "train_limit": 1200, "recipe.epochs": 6, "recipe.lr": 0.05}
    settings |= {"recipe.batch_size": 40, "quantization.lr": 1e-3, "quantization.epochs": 2}
    wanted = load_scenario("digits").changed(settings)
    data = task_of(wanted).load(wanted, tmp_path)
    place = Place(device=CPU, meter=meter(), carbon=CARBON, node_id="node", checkpoint=tmp_path / "trial.pt")
    student = make_policy("student")
    spec = TrialSpec(
        run_id="run", trial_id="run-0000", index=0, replicate_seed=1, scenario=wanted, policy=student, params={}
    )
    trial = Trial(spec, data, None, place)
    *_, in_float32, _, after = trial.fit()
    assert in_float32.val_score > 0.9
    assert abs(after.val_score - in_float32.val_score) < 0.03
    state = checkpoints.load(tmp_path / "trial.pt")
    assert state is not None
    found = handed_out(state, wanted, data)
    assert found.int8 is not None
    assert reads_dequantized(found.int8) == [True] * 53
    assert 3.5 < quantized.weight_bytes(found.float32) / quantized.weight_bytes(found.int8) < 3.8
    images = torch.cat([normalised(part, data) for part in (data.test, data.validation)])
    right = torch.from_numpy(np.concatenate([data.test.labels, data.validation.labels]))
    trained = trial.student.evaluated()
    trained.eval()
    said, onnx = predictions(trained, images), OnnxNetwork(as_onnx(found.int8, (1, 16, 16)))
    for other in (predictions(found.int8, images), predictions(onnx, images)):
        assert (said == other).float().mean() >= 0.98
        assert abs((said == right).float().mean() - (other == right).float().mean()) <= 0.01


@pytest.mark.parametrize(("reduce_range", "largest"), [(False, 255), (True, 127)])
def test_activations_have_a_bit_less_where_sums_would_saturate(reduce_range: bool, largest: int) -> None:
    network = models.build("digits-teacher", classes=10, channels=1, image_size=8)
    graph = quantized.prepare(network, torch.zeros(2, 1, 8, 8), reduce_range=reduce_range)
    graph(torch.randn(16, 1, 8, 8))
    int8 = quantized.convert(graph)
    activations = [node for node in int8.graph.nodes if "quantize_per_tensor" in str(node.target)]
    assert {node.args[3:5] for node in activations} == {(0, largest)}  # the least and the largest number
    weights = [tensor for tensor in int8.buffers() if tensor.dtype == torch.int8]
    assert [int(weight.abs().max()) for weight in weights] == [127] * 4


def normalised(part: ImageSet, data: ImageData) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(part.images)).float() / 255
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (data.mean, data.std))
    return (pixels - mean) / std


@pytest.mark.parametrize("name", ["digits-student", "digits-teacher", "wrn-10-1"])
def test_before_any_step_a_graph_is_the_network(name: str) -> None:
    """Batch norms are folded or fixed, and layers that are called twice are told apart: that changes nothing."""
    torch.manual_seed(1)
    network = models.build(name, classes=10, channels=1, image_size=8)
    for _ in range(20):
        network(torch.randn(16, 1, 8, 8))  # statistics that are not those of a fresh network
    images = torch.randn(32, 1, 8, 8)
    with torch.no_grad():
        expected = network.eval()(images)
        graph = quantized.prepare(network, images[:2], reduce_range=False)
        graph.eval()
        graph(images)  # its ranges
        quantized.observe(graph, on=False)
        found = graph(images)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in graph.modules())
    assert (found - expected).abs().max() < 0.1 * expected.std()
    int8 = quantized.convert(graph)
    assert all(reads_dequantized(int8))
    with torch.no_grad():
        assert int8(images[:1]).shape == (1, 10)  # any number of images


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "shufflenetv2", "wrn-16-2", "wrn-40-2"])
def test_every_network_of_ours_is_quantized_whole(name: str) -> None:
    network = models.build(name, classes=10, channels=3, image_size=16)
    layers = sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in network.modules())
    graph = quantized.prepare(network, torch.randn(2, 3, 16, 16), reduce_range=False)
    graph(torch.randn(4, 3, 16, 16))
    assert reads_dequantized(quantized.convert(graph)) == [True] * layers
