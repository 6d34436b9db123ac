"""What teacher and students see in a few test images, on the page: Grad-CAM over the images, probabilities as bars."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence

import numpy as np

from analysis.explanation import explanation_table, probabilities
from analysis.figures.explanation_plots import TAU, overlay, shown_classes
from analysis.figures.explanations import Explained, Explanation
from analysis.rendering.markup import folded, html_table, tag
from tune_kd.formats import percentage

SIDE = 96  # pixels of a picture
BARS = (96.0, 40.0)  # width and height of the bars below it, in CSS pixels
SQUARE = 96.0  # side of a reliability diagram
LEGEND = """The first test image of each of the first classes; the teacher, and the incumbent of the first replicate of
each policy. The more orange, the more the network's logit of the true class depends on the place (Grad-CAM, each map by
its own maximum). Bars: the probabilities of the classes, orange the true one; outlined: at τ = {tau:g}. {pictures}"""
UNKNOWN = "Images of a user's own are not in the store: of those the maps alone are drawn."
RELIABILITY = """Accuracy by confidence on the test set, 15 bins; a calibrated network is on the diagonal. The more
images a bin has, the darker it is."""


def explained_page(found: Explanation | None) -> Iterator[str]:
    """The table, the images and the diagrams; nothing where nothing is recorded."""
    if found is None:
        return
    yield html_table(explanation_table(found), "What the networks see")
    networks = [one for one in found.networks if one.logits is not None]
    if networks and len(found.examples):
        said = LEGEND.format(tau=TAU, pictures=UNKNOWN if found.examples.pictures is None else "")
        yield folded("Test images", tag("p", " ".join(said.split()), "note") + _images(found, networks))
    if known := [one for one in found.networks if one.bins is not None]:
        diagrams = "".join(f"<figure>{_diagram(one)}{tag('figcaption', _said(one))}</figure>" for one in known)
        note = tag("p", " ".join(RELIABILITY.split()), "note")
        yield folded("Calibration", f'{note}<div class="calibration">{diagrams}</div>')


def _images(found: Explanation, networks: Sequence[Explained]) -> str:
    """A row for each network, a column for each image."""
    examples = found.examples
    heads = [f"{examples.names[place]}: {examples.classes[label]}" for place, label in enumerate(examples.labels)]
    rows = ["<tr><th></th>" + "".join(tag("th", head) for head in heads) + "</tr>"]
    for one in networks:
        cells = (f"<td>{_cell(found, one, place)}</td>" for place in range(len(examples)))
        rows.append(f"<tr>{tag('th', one.label, 'word')}{''.join(cells)}</tr>")
    return f'<div class="scroll"><table class="explained">{"".join(rows)}</table></div>'


def _cell(found: Explanation, one: Explained, place: int) -> str:
    assert one.logits is not None
    pictures = found.examples.pictures
    shown = "" if one.maps is None else _picture(None if pictures is None else pictures[place], one.maps[place])
    return shown + _bars(one.logits[place], shown_classes(found, place), found, place)


def _picture(picture: np.ndarray | None, grid: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(overlay(picture, grid, SIDE)).save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="where it looks" width="{SIDE}" height="{SIDE}" src="data:image/jpeg;base64,{data}">'


def _bars(logits: np.ndarray, shown: Sequence[int], found: Explanation, place: int) -> str:
    width, height = BARS
    pitch = width / len(shown)
    sharp, soft = probabilities(logits), probabilities(logits, TAU)
    drawn = []
    for turn, label in enumerate(shown):
        said = f"{found.examples.classes[label]}: {percentage(sharp[label], 1)} %"
        kind = "true" if label == found.examples.labels[place] else "other"
        for name, share in ((kind, sharp[label]), ("soft", soft[label])):
            at = f'x="{turn * pitch:.1f}" y="{height * (1 - share):.1f}" width="{0.8 * pitch:.1f}"'
            drawn.append(f'<rect class="{name}" {at} height="{height * share:.1f}"/>')
        drawn.append(
            f'<rect class="all" x="{turn * pitch:.1f}" y="0" width="{pitch:.1f}" height="{height:.0f}">'
            f"<title>{html.escape(said)}</title></rect>"
        )
    answer = found.examples.classes[int(np.argmax(logits))]
    spoken = html.escape(f"the network says {answer}, {percentage(sharp.max(), 1)} %")
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{spoken}">{"".join(drawn)}</svg>'


def _diagram(one: Explained) -> str:
    """Accuracy by confidence, a bar for each bin."""
    assert one.bins is not None
    images, accuracy, confidence = one.bins.T
    width, most = SQUARE / len(images), max(images.max(), 1)
    drawn = []
    for place in np.flatnonzero(images):
        said = f"{images[place]:.0f} images, confidence {confidence[place]:.2f}, accuracy {accuracy[place]:.2f}"
        at = f'x="{place * width:.1f}" y="{SQUARE * (1 - accuracy[place]):.1f}" width="{width:.1f}"'
        darkness = f'height="{SQUARE * accuracy[place]:.1f}" opacity="{0.25 + 0.75 * images[place] / most:.2f}"'
        drawn.append(f'<rect class="other" {at} {darkness}><title>{said}</title></rect>')
    diagonal = f'<line x1="0" y1="{SQUARE:.0f}" x2="{SQUARE:.0f}" y2="0"/>'
    label, box = html.escape(f"accuracy by confidence of {_said(one)}"), f"0 0 {SQUARE:.0f} {SQUARE:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{"".join(drawn)}{diagonal}</svg>'


def _said(one: Explained) -> str:
    return f"{one.label}, ECE {percentage(float(one.errors.mean()), 1)} %" if len(one.errors) else one.label
