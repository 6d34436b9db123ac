"""The page of synthesised images: one picture, with the names of its rows beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator

from analysis.figures.synthesised import Sheet
from analysis.rendering.markup import tag
from tune_kd.formats import percentage

ROW = 32  # height of an image on the page, in CSS pixels
LEGEND = """By {method}: students of the first replicate were trained on images like these. Each row was aimed at one
class; of the whole pool the teacher names {agreement} % as was aimed at. No training image was read to make them."""


def synthesised_page(sheet: Sheet | None) -> Iterator[str]:
    """The picture of a pool; nothing where there is none."""
    if sheet is None:
        return
    yield tag("h3", "Synthesised images")
    said = LEGEND.format(method=sheet.method, agreement=percentage(sheet.agreement, 1))
    yield tag("p", " ".join(said.split()), "note")
    pitch = ROW * (sheet.size + sheet.gap) / sheet.size
    names = "".join(f'<li style="height:{pitch:.2f}px">{html.escape(name)}</li>' for name in sheet.classes)
    height = pitch * len(sheet.classes) - ROW * sheet.gap / sheet.size
    picture = base64.b64encode(sheet.png).decode()
    alt = f"images synthesised by {sheet.method}, a row for each of {len(sheet.classes)} classes"
    image = f'<img style="height:{height:.2f}px" alt="{html.escape(alt)}" src="data:image/png;base64,{picture}">'
    yield f'<div class="made scroll"><ol>{names}</ol>{image}</div>'
