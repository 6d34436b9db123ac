"""FLOPs against an independent analytic count, layer by layer, and against the paper's networks."""

from collections.abc import Callable
from math import prod

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tune_kd.errors import InputError
from tune_kd.meter.flops import count


def analytic_macs(model: nn.Module, image_shape: tuple[int, int, int]) -> list[int]:
    """MACs of each convolution and linear layer in the order they run, from their geometry alone."""
    macs: list[int] = []

    def of_convolution(layer: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        per_output_element = layer.in_channels // layer.groups * prod(layer.kernel_size)
        macs.append(output.numel() * per_output_element)

    def of_linear(layer: nn.Linear, inputs: tuple[Tensor], output: Tensor) -> None:
        macs.append(output.numel() * layer.in_features)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(of_convolution)
        elif isinstance(layer, nn.Linear):
            layer.register_forward_hook(of_linear)
    with torch.no_grad():
        model.eval()(torch.zeros(1, *image_shape))
    return macs


def resnet18() -> nn.Module:
    """The paper's teacher: 3×3 stem, no max-pool."""
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def mobilenet_v2() -> nn.Module:
    model = torchvision.models.mobilenet_v2(num_classes=10)
    for layer in (*model.features[0].modules(), *model.features[2].modules()):
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    return model


def shufflenet_v2() -> nn.Module:
    model = torchvision.models.shufflenet_v2_x1_0(num_classes=10)
    model.conv1[0].stride = (1, 1)
    model.maxpool = nn.Identity()
    return model


@pytest.mark.parametrize(
    ("build", "macs"), [(resnet18, 555_422_720), (mobilenet_v2, 87_976_448), (shufflenet_v2, 45_002_112)]
)
def test_the_papers_networks_have_its_macs_forward_and_exact_ones_backward(
    build: Callable[[], nn.Module], macs: int
) -> None:
    model = build()
    flops = count(model, (3, 32, 32))
    layers = analytic_macs(model, (3, 32, 32))
    assert sum(layers) == macs
    assert flops.forward == 2 * macs
    assert flops.forward + flops.backward == 2 * (3 * macs - layers[0])  # the first layer's input needs no gradient
    assert flops.uncounted == ()


@settings(max_examples=30, deadline=None)
@given(
    groups=st.integers(1, 3),
    width=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
)
def test_any_grouped_convolution_costs_twice_its_macs_and_as_much_for_each_gradient(
    groups: int, width: int, kernel: int, stride: int, padding: int
) -> None:
    channels = groups * width
    model = nn.Sequential(
        nn.Conv2d(3, channels, 1), nn.Conv2d(channels, 2 * channels, kernel, stride, padding, groups=groups)
    )
    stem, grouped = analytic_macs(model, (3, 6, 6))
    flops = count(model, (3, 6, 6))
    assert flops.forward == 2 * (stem + grouped)
    assert flops.backward == 2 * (stem + 2 * grouped)


def test_a_depthwise_convolution_alone() -> None:
    flops = count(nn.Conv2d(8, 8, 3, padding=1, groups=8), (8, 5, 5))
    assert flops.forward == flops.backward == 2 * 8 * 25 * 9


def test_a_transposed_convolution_costs_each_weight_at_every_input_position() -> None:
    flops = count(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 5))
    assert flops.forward == flops.backward == 2 * 25 * 4 * 6 // 2 * 9


def test_linear_layers_on_more_than_one_vector_an_image() -> None:
    flops = count(nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 2)), (3, 4, 7))
    assert flops.forward == 2 * 12 * (7 * 5 + 5 * 2)
    assert flops.backward == 2 * 12 * (7 * 5 + 2 * 5 * 2)


def test_a_frozen_layer_costs_no_weight_gradient_and_a_frozen_model_no_backward() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    whole = count(model, (1, 1, 4))
    model[1].requires_grad_(False)
    assert count(model, (1, 1, 4)).backward == whole.backward - 2 * 16
    model.requires_grad_(False)
    assert count(model, (1, 1, 4)).backward == 0
    assert count(model, (1, 1, 4)).forward == whole.forward


class Attention(nn.Module):
    """One encoder layer over the rows of an image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=3 * width, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.encoder(images.flatten(1, 2))
        return out


@pytest.mark.parametrize("trained", [True, False])
def test_attention_is_counted_on_every_path(trained: bool) -> None:
    width, rows = 8, 6
    projections = rows * (4 * width * width + 2 * 3 * width * width)
    flops = count(Attention(width).requires_grad_(trained), (1, rows, width))
    assert flops.forward == 2 * (projections + 2 * rows * rows * width)
    assert flops.uncounted == ()


class Unusual(nn.Module):
    """Operators that the count does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(8, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        states, _ = self.recurrent(torch.fft.fft(images[:, 0]).real)
        out: Tensor = self.head(states[:, -1])
        return out


def test_an_operator_that_is_not_counted_is_named() -> None:
    flops = count(Unusual(), (1, 8, 8))
    assert flops.forward == 2 * 4 * 2
    assert any("fft" in name for name in flops.uncounted)
    assert any("rnn" in name or "lstm" in name for name in flops.uncounted)


def test_counting_leaves_the_model_and_the_random_state_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.random.get_rng_state()
    count(model, (3, 8, 8))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random_state)


def test_it_counts_also_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert count(nn.Linear(4, 4), (1, 1, 4)).backward == 32


def test_a_model_in_half_precision_costs_the_same() -> None:
    assert count(nn.Conv2d(3, 4, 3).bfloat16(), (3, 8, 8)) == count(nn.Conv2d(3, 4, 3), (3, 8, 8))


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8)])
def test_what_is_not_an_images_shape_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="channels, height, width"):
        count(nn.Conv2d(3, 4, 3), shape)


def test_an_image_that_the_model_cannot_take_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="Conv2d cannot take an image") as refused:
        count(nn.Conv2d(3, 4, 3), (1, 8, 8))
    assert "\n" not in str(refused.value)
