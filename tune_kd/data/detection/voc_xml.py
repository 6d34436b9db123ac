"""One annotation file of PASCAL VOC's format."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from tune_kd.data.detection.annotated import LabelledBox
from tune_kd.data.pointers import LFS_POINTER, is_lfs_pointer

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_annotation(file: Path) -> list[LabelledBox]:
    """The objects in ``file``, none for an image without any.

    Corners in the file are counted from 1 and the last pixel is included; some are no whole numbers. The parts of an
    object (a person's head) are no objects. Raises ValueError, without the file's name, for a file that is missing or
    damaged.
    """
    if is_lfs_pointer(file):
        raise ValueError(f"it is {LFS_POINTER}")
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except OSError as error:
        raise ValueError("there is no such file" if isinstance(error, FileNotFoundError) else error.strerror) from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: an encoding that is unknown
        raise ValueError(f"it is no XML: {error}") from error
    if root.tag != "annotation":
        raise ValueError(f"it begins with <{root.tag}>, must with <annotation>")
    return [_object(node, number) for number, node in enumerate(root.findall("object"), start=1)]


def _object(node: ElementTree.Element, number: int) -> LabelledBox:
    name = (node.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"object {number} has no name")
    what = f"object {number}, a {name},"
    left, top, right, bottom = (_corner(node, corner, what) for corner in _CORNERS)
    difficult = (node.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise ValueError(f"{what} has difficult {difficult!r}, must be 0 or 1")
    return LabelledBox(name, (left - 1, top - 1, right, bottom), difficult == "1")


def _corner(node: ElementTree.Element, corner: str, what: str) -> float:
    text = node.findtext(f"bndbox/{corner}")
    if text is None:
        raise ValueError(f"{what} has no {corner}")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what} has {corner} {text.strip()!r}, must be a number")
    return value
