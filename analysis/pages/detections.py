"""Test images with labelled boxes, as SVG: what is in them, and what a policy's student found."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.figures.detections import Found
from analysis.rendering.markup import folded, tag

SIDE = 240  # of a drawing, in the units of the labels' font size
LINE = 17  # height of a label
BLANK = "the store has no picture of the image"
LEGEND = """Solid: objects that are there, dotted where they are difficult. Dashed: detections with a probability of at
least {threshold:g}. The same images of the test set for every policy, as the network gets them; the incumbent of the
first replicate. Images of a user's own are not in the store: of those the boxes alone are drawn."""


def detections_page(found: Mapping[str, Found]) -> Iterator[str]:
    """The images of each policy by its label: those of the first at once, those of the others behind a line."""
    if not found:
        return
    (first, shown), *others = found.items()
    yield tag("h3", "Detections on test images")
    yield tag("p", " ".join(LEGEND.format(threshold=shown.threshold).split()), "note")
    yield _row(first, shown)
    if others:
        yield folded(f"{len(others)} more", "".join(_row(label, one) for label, one in others))


def _row(label: str, found: Found) -> str:
    drawings = "".join(map(_drawing, found.examples))
    return tag("p", f"{label}, trial {found.trial_id}") + f'<div class="seen">{drawings}</div>'


def _drawing(example: Mapping[str, Any]) -> str:
    objects, detections = example["objects"], example["detections"]
    unit = SIDE / example["size"]
    boxes, labels = "", ""  # labels on top of all boxes
    for one in objects:
        boxes += _box(one["box"], unit, "there difficult" if one["difficult"] else "there")
        labels += _label(one["box"], unit, "there", one["class"], above=True)
    for one in reversed(detections):  # the surest on top of the others
        boxes += _box(one["box"], unit, "found")
        labels += _label(one["box"], unit, "found", f"{one['class']} {one['score']:.2f}", above=False)
    said = f"test image {example['image']}: {_listed(objects)} there, {_listed(detections)} found"
    inside = _picture(example.get("jpeg")) + boxes + labels
    return f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{html.escape(said)}">{inside}</svg>'


def _picture(jpeg: object) -> str:
    """The image itself, if the store has it and it is what base64 can be; else an empty frame that says so."""
    try:
        known = base64.b64encode(base64.b64decode(str(jpeg or ""), validate=True)).decode()
    except ValueError:
        known = ""
    size = f'width="{SIDE}" height="{SIDE}"'
    if known:
        return f'<image {size} preserveAspectRatio="none" href="data:image/jpeg;base64,{known}"/>'
    return f'<rect class="blank" {size}><title>{BLANK}</title></rect>'


def _box(corners: Sequence[float], unit: float, kind: str) -> str:
    """A box on a dark line, so that it shows on any picture."""
    left, top, right, bottom = (unit * float(corner) for corner in corners)
    place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
    return f'<rect class="under" {place}/><rect class="{kind}" {place}/>'


def _label(corners: Sequence[float], unit: float, kind: str, text: str, *, above: bool) -> str:
    """Words at a box's upper or lower edge, outside of it where the picture has room, towards the picture's middle."""
    left, top, right, bottom = (unit * float(corner) for corner in corners)
    line = max(top - 4, LINE) if above else min(bottom + LINE, SIDE - 4)
    side, end = (right, ' text-anchor="end"') if left > SIDE / 2 else (left, "")
    return f'<text class="{kind}" x="{side:.1f}" y="{line:.1f}"{end}>{html.escape(text)}</text>'


def _listed(things: list[dict[str, Any]]) -> str:
    return ", ".join(str(thing["class"]) for thing in things) or "nothing"
