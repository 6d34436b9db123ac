"""The paper's Figure 4, drawn: logits and probabilities, Grad-CAM, confusion matrices, and reliability diagrams."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.explanation import PIXELS, cosines, enlarged, probabilities
from analysis.figures.explanations import Explained, Explanation, teacher_of
from analysis.figures.marks import BLACK, COLOURS
from analysis.figures.widths import PAGE
from tune_kd.formats import percentage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("logits", "probabilities", "grad-cam", "reliability")  # beside one of confusion, which each policy has
TAU = 4.0  # at which the softened probabilities are shown, for all networks alike
MOST_CLASSES = 10  # bars of an image: with more classes the likeliest
TITLE = 26  # letters in a line above an image
LABELLED = 20  # classes of a confusion matrix with their names and numbers
ANSWER, TRUE = COLOURS[0], COLOURS[1]
MOST_OPAQUE = 0.75
HEAT = np.array([213.0, 94.0, 0.0])  # the colour of what a network looks at


def figures(found: Explanation, *, tau: float = TAU, smooth: bool = True) -> Iterator[tuple[str, Figure]]:
    """Every figure that the records allow, by name."""
    return ((name, make()) for name, make in drawings(found, tau=tau, smooth=smooth))


def drawings(
    found: Explanation, *, tau: float = TAU, smooth: bool = True
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """The same, each drawn when it is called."""
    with_logits = [one for one in found.networks if one.logits is not None]
    if with_logits and len(found.examples):
        yield "logits", partial(_bars, found, with_logits, None)
        yield "probabilities", partial(_bars, found, with_logits, tau)
    with_maps = [one for one in found.networks if one.maps is not None]
    if with_maps and len(found.examples):
        yield "grad-cam", partial(_maps, found, with_maps, smooth)
    if matrices := [one for one in found.networks if one.confusion is not None]:
        yield "confusion", partial(_confusions, matrices, found.examples.classes)
    if known := [one for one in found.networks if one.bins is not None]:
        yield "reliability", partial(_reliability, known)


def shown_classes(found: Explanation, image: int) -> list[int]:
    """The classes whose bars are drawn for an image: all, or the likeliest by the mean of the networks, and the true.

    They are in the order of the classes.
    """
    every = [probabilities(one.logits[image]) for one in found.networks if one.logits is not None]
    mean, true = np.mean(every, axis=0), found.examples.labels[image]
    best = [int(place) for place in np.argsort(-mean, kind="stable") if place != true]
    return sorted([true, *best[: MOST_CLASSES - 1]])


def overlay(picture: np.ndarray | None, grid: np.ndarray, side: int = PIXELS, *, smooth: bool = True) -> np.ndarray:
    """A map over its image in grey, uint8 [side, side, 3]: the stronger the map, by its own maximum, the more orange.

    An image that is not known is white. A map that is zero everywhere leaves the image as it is.
    """
    from PIL import Image

    base = np.full((side, side), 255.0)
    if picture is not None:
        base = np.asarray(Image.fromarray(picture).convert("L").resize((side, side), Image.Resampling.NEAREST), float)
    shares = grid / max(grid.max(), np.finfo(np.float32).tiny)
    opacity = MOST_OPAQUE * np.clip(enlarged(shares, side, smooth=smooth), 0, 1)[..., None]
    return np.rint((1 - opacity) * base[..., None] + opacity * HEAT).astype(np.uint8)


def _grid(rows: int, columns: int, height: float, width: float = PAGE) -> tuple[Figure, np.ndarray]:
    from analysis.figures.shown import new_figure

    figure = new_figure(width, height)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _bars(found: Explanation, networks: Sequence[Explained], tau: float | None) -> Figure:
    """A row for each network, a column for each image: logits minus their mean, or probabilities at 1 and ``tau``."""
    count = len(found.examples)
    figure, axes = _grid(len(networks), count, 0.5 + 0.95 * len(networks), width=max(PAGE / 2, PAGE * count / 4))
    for column in range(count):
        shown, true = shown_classes(found, column), found.examples.labels[column]
        for row, one in enumerate(networks):
            assert one.logits is not None
            ax, logits = axes[row, column], one.logits[column]
            colours = [TRUE if label == true else ANSWER for label in shown]
            if tau is None:
                ax.bar(range(len(shown)), (logits - logits.mean())[shown], color=colours)
                ax.axhline(0, color=BLACK, linewidth=0.5)
            else:
                ax.bar(range(len(shown)), probabilities(logits)[shown], color=colours)
                soft = probabilities(logits, tau)[shown]
                ax.bar(range(len(shown)), soft, facecolor="none", edgecolor=BLACK, linewidth=0.7)
                ax.set_ylim(0, 1)
            ax.set_xticks(range(len(shown)), [found.examples.classes[label] for label in shown], rotation=90)
            ax.tick_params(axis="x", labelsize=6, labelbottom=row == len(networks) - 1, length=0)
            ax.tick_params(axis="y", labelsize=6)
        axes[0, column].set_title(_title(found, column), fontsize=7)
    for row, one in enumerate(networks):
        axes[row, 0].set_ylabel(one.label)
    if tau is None:
        figure.supylabel("logit minus the mean of the image's logits", fontsize=7)
    else:
        figure.supylabel(f"probability; outlined: at τ = {tau:g}", fontsize=7)
    return figure


def _maps(found: Explanation, networks: Sequence[Explained], smooth: bool) -> Figure:
    """The images, and below them a row for each network with its maps over them."""
    teacher, pictures = teacher_of(found), found.examples.pictures
    count, above = len(found.examples), int(pictures is not None)
    rows = len(networks) + above
    side = 1.35
    figure, axes = _grid(rows, count, (side + 0.25) * rows, width=0.4 + (side + 0.1) * count)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    for column in range(count):
        if pictures is not None:
            axes[0, column].imshow(pictures[column], cmap="gray", interpolation="nearest")
        axes[0, column].set_title(_title(found, column), fontsize=7)
        for row, one in enumerate(networks, start=above):
            assert one.maps is not None
            picture = None if pictures is None else pictures[column]
            axes[row, column].imshow(overlay(picture, one.maps[column], smooth=smooth))
            axes[row, column].set_xlabel(_strength(one, teacher, column), fontsize=6)
    for row, one in enumerate(networks, start=above):
        assert one.maps is not None
        height, width = one.maps.shape[1:]
        axes[row, 0].set_ylabel(f"{one.label}\n{height} × {width}")
    return figure


def _strength(one: Explained, teacher: Explained | None, image: int) -> str:
    assert one.maps is not None
    words = [f"max {one.maps[image].max():.2g}"]
    if teacher is not None and one is not teacher and len(alike := cosines(one, teacher)):
        words.append("no cosine" if np.isnan(alike[image]) else f"cosine {alike[image]:.2f}")
    return ", ".join(words)


def _title(found: Explanation, image: int) -> str:
    named = f"{found.examples.names[image]}: {found.examples.classes[found.examples.labels[image]]}"
    return "\n".join(textwrap.wrap(named, TITLE))


def _confusions(networks: Sequence[Explained], classes: Sequence[str]) -> Figure:
    """The matrices side by side, each row as shares of its class, all in one scale."""
    from sklearn.metrics import ConfusionMatrixDisplay

    few = len(classes) <= LABELLED
    columns = 2 if len(networks) == 4 else min(len(networks), 3)
    rows = -(-len(networks) // columns)
    figure, axes = _grid(rows, columns, 2.4 * rows, width=PAGE * columns / 3)
    for ax, one in zip(axes.flat, networks, strict=False):
        assert one.confusion is not None
        shares = 100 * one.confusion / np.maximum(one.confusion.sum(axis=1, keepdims=True), 1)
        ConfusionMatrixDisplay(shares, display_labels=list(classes) if few else None).plot(
            include_values=few,
            values_format=".0f",
            cmap="Blues",
            ax=ax,
            colorbar=False,
            xticks_rotation="vertical",
            text_kw={"fontsize": 4},
            im_kw={"vmin": 0, "vmax": 100},
        )
        ax.tick_params(labelsize=5)
        ax.set(xlabel="", ylabel="")
        if not few:
            ax.set(xticks=[], yticks=[])
        ax.set_title(one.label)
    _hide_rest(axes, len(networks))
    figure.supxlabel("predicted class", fontsize=7)
    figure.supylabel("true class; in % of its images", fontsize=7)
    return figure


def _reliability(networks: Sequence[Explained]) -> Figure:
    """Accuracy by confidence: a bar for each bin that has images, the more of them the darker."""
    columns = min(len(networks), 4)
    rows = -(-len(networks) // columns)
    figure, axes = _grid(rows, columns, 1.95 * rows, width=PAGE * columns / 4)
    for ax, one in zip(axes.flat, networks, strict=False):
        assert one.bins is not None
        images, accuracy, _ = one.bins.T
        width = 1 / len(images)
        shares = images / max(images.max(), 1)
        for place in np.flatnonzero(images):
            alpha = 0.25 + 0.75 * shares[place]
            ax.bar((place + 0.5) * width, accuracy[place], width, color=ANSWER, alpha=alpha, linewidth=0)
        ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.7, linestyle="--")
        error = f"\nECE {percentage(float(one.errors.mean()), 1)} %" if len(one.errors) else ""
        ax.set_title(f"{one.label}{error}", fontsize=7)
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], aspect="equal")
    _hide_rest(axes, len(networks))
    figure.supxlabel("confidence", fontsize=7)
    figure.supylabel("accuracy", fontsize=7)
    return figure


def _hide_rest(axes: np.ndarray, used: int) -> None:
    for ax in list(axes.flat)[used:]:
        ax.set_visible(False)
