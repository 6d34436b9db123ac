"""Networks in ONNX: written, and run by onnxruntime. Both packages are extras, imported where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def as_onnx(network: nn.Module, shape: tuple[int, int, int], outputs: Sequence[str] | None = None) -> bytes:
    """``network``, in evaluation mode, as an ONNX model of images, float32 [B, C, H, W] for any B.

    ``shape`` is (C, H, W). ``outputs`` names what it gives.
    """
    program = torch.onnx.export(
        network,
        (torch.zeros(2, *shape),),
        output_names=outputs,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        verbose=False,
    )
    assert program is not None, "it is None for the older exporter alone"
    model: bytes = program.model_proto.SerializeToString()
    return model


class OnnxNetwork(nn.Module):
    """An ONNX model of images [B, C, H, W] and logits [B, n] in onnxruntime, on as many CPU threads as torch has."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads use no energy
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        logits: list[Any] = self._session.run(None, {self._input: np.ascontiguousarray(images.numpy())})
        return torch.from_numpy(logits[0])


def runtime() -> str:
    """onnxruntime and its version, as a record names it."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
