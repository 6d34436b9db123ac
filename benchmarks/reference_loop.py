"""Distillation as the usual notebook writes it: what the engine's speed and results are compared with.

torchvision's transforms in a DataLoader, float32, the teacher asked for every batch, one network call after the other.
Nothing of the engine's training is used here, so that an error there cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset):
    """uint8 images [N, C, H, W], of 1 or 3 channels, and their labels, augmented one by one as PIL images."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: transforms.Compose) -> None:
        grey = images.shape[1] == 1
        self.images = images[:, 0] if grey else images.transpose(0, 2, 3, 1)
        self.labels, self.transform = labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def loader(
    images: np.ndarray, labels: np.ndarray, *, mean: tuple[float, ...], std: tuple[float, ...], batch: int, workers: int
) -> DataLoader:
    """Shuffled training batches with the augmentation of the scenario for image folders."""
    size = images.shape[-1]
    transform = transforms.Compose(
        [
            transforms.RandomCrop(size, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    pictures = Pictures(images, labels, transform)
    pinned = torch.cuda.is_available()
    return DataLoader(pictures, batch_size=batch, shuffle=True, num_workers=workers, pin_memory=pinned)


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, tau: float, alpha: float
) -> Tensor:
    """Hinton's loss: α·τ²·KL(teacher ‖ student) at temperature τ, and 1 − α parts of cross-entropy."""
    soft = nn.KLDivLoss(reduction="batchmean")(
        F.log_softmax(student_logits / tau, dim=1), F.softmax(teacher_logits / tau, dim=1)
    )
    return alpha * tau**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


def train_epoch(
    student: nn.Module,
    teacher: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    *,
    tau: float,
    alpha: float,
    device: torch.device | str = "cpu",
) -> list[float]:
    """One optimizer step a batch; the loss of each."""
    student.train()
    teacher.eval()
    losses = []
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        with torch.no_grad():
            teacher_logits = teacher(images)
        loss = distillation_loss(student(images), teacher_logits, labels, tau, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of ``images`` that the model gets right."""
    model.eval()
    return (model(images).argmax(dim=1) == labels).float().mean().item()
