"""Faster networks are the same networks: the same weights, the same outputs, the same gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tune_kd import models
from tune_kd.meter import flops
from tune_kd.models import fast

torch.set_num_threads(1)
CPU = torch.device("cpu")
NETWORKS = ["resnet18", "mobilenetv2", "shufflenetv2", "wrn-16-1"]


def network(name: str) -> nn.Module:
    """With batch norms that have seen something: fresh ones are the identity, and folding those proves nothing."""
    torch.manual_seed(0)
    net = models.build(name, classes=10, channels=3, image_size=16)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return net


def images() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_teacher_gives_the_same_logits(name: str) -> None:
    plain = network(name).eval()
    expected = plain(images())
    folded = fast.for_inference(plain, CPU)
    torch.testing.assert_close(folded(images()), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2"])
def test_batch_norms_behind_convolutions_are_folded_and_the_network_given_stays_as_it_is(name: str) -> None:
    plain = network(name)
    before = copy.deepcopy(plain.state_dict())
    folded = fast.for_inference(plain, CPU)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(weight, before[key]) for key, weight in plain.state_dict().items())


class Untraceable(nn.Module):
    """Decides by what it sees, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


def test_a_network_that_cannot_be_traced_is_left_unfolded() -> None:
    net, x = Untraceable(), torch.randn(4, 3)
    for seen in (x.abs(), -x.abs()):
        assert torch.equal(fast.for_inference(net, CPU)(seen), net(seen))


class Shared(nn.Module):
    """Uses one layer, ``shared``, twice; the batch norms in between have seen something."""

    def __init__(self, shared: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared = shared
        self.one, self.other = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.last_norm = (nn.BatchNorm2d(3) for _ in range(2))
        for buffers in (self.norm.state_dict(), self.last_norm.state_dict()):
            buffers["running_mean"].normal_()
            buffers["running_var"].uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.one(x)).relu()
        x = self.one(x) if self.shared == "convolution" else self.other(x)
        x = self.norm(x) if self.shared == "batch norm" else self.last_norm(x)
        return x + self.one.weight.sum() if self.shared == "weights" else x


@pytest.mark.parametrize("shared", ["convolution", "batch norm", "weights"])
def test_a_network_that_uses_a_layer_twice_gives_the_same_logits(shared: str) -> None:
    net = Shared(shared).eval()
    torch.testing.assert_close(fast.for_inference(net, CPU)(images()), net(images()))


@pytest.mark.parametrize("name", ["mobilenetv2", "wrn-16-1"])
def test_a_student_has_the_same_weights_logits_and_gradients(name: str) -> None:
    plain = network(name)
    for layer in plain.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    quick = fast.for_training(copy.deepcopy(plain), CPU)
    assert [*quick.state_dict()] == [*plain.state_dict()]
    # In float64: batch norm over few images blows rounding up.
    logits = [net.double().train()(images().double()) for net in (plain, quick)]
    torch.testing.assert_close(logits[0], logits[1])
    for given in logits:
        given.square().sum().backward()
    for one, other in zip(plain.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_strided_depthwise_convolutions_stay_in_float32_on_a_cpu() -> None:
    quick = fast.for_training(network("mobilenetv2"), CPU)
    strided = [
        layer for layer in quick.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.stride[0] > 1
    ]
    seen: list[torch.dtype] = []
    for layer in strided:
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = quick(images())
    assert len(seen) == 3
    assert set(seen) == {torch.float32}
    assert logits.dtype == torch.bfloat16  # all else follows the precision


def test_flops_are_those_of_the_plain_network() -> None:
    net, shape = network("mobilenetv2"), (3, 16, 16)
    assert flops.count(fast.for_training(copy.deepcopy(net), CPU), shape) == flops.count(net, shape)


def test_a_copy_of_a_student_computes_with_its_own_weights() -> None:
    quick = fast.for_training(network("mobilenetv2"), CPU).eval()
    copied, before = copy.deepcopy(quick), quick(images())
    with torch.no_grad():
        for weight in quick.parameters():
            weight.zero_()
    assert torch.equal(copied(images()), before)
    assert not torch.equal(quick(images()), before)
