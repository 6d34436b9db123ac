"""The encoded images of a part of a data set and the objects that are labelled in them, before decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tune_kd.data.listing import EncodedImage
from tune_kd.errors import nearest


class LabelledBox(NamedTuple):
    """One object: the name of its class, and its box x1, y1, x2, y2 in pixels from the image's left and upper edge."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False


class Annotated(NamedTuple):
    """An image and its objects; or ``fault``, why its annotation cannot be used."""

    image: EncodedImage
    objects: Sequence[LabelledBox] = ()
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectionSource:
    """A data set before decoding, and remarks on it."""

    classes: tuple[str, ...]  # without the background
    train: Sequence[Annotated]
    test: Sequence[Annotated] | None = None  # None: it has no test set of its own
    test_from: str = ""  # the lists of the test set, for people
    left_out: Mapping[str, int] = field(default_factory=dict)  # what is not read, by kind
    notes: tuple[str, ...] = ()

    def checked(self) -> DetectionSource:
        """The same; an image with an object of an unknown class has a fault."""
        test = None if self.test is None else [_of_known_classes(one, self.classes) for one in self.test]
        return replace(self, train=[_of_known_classes(one, self.classes) for one in self.train], test=test)


def names_in(images: Sequence[Annotated]) -> tuple[str, ...]:
    """The classes of which there is an object, sorted."""
    return tuple(sorted({labelled.name for image in images for labelled in image.objects}))


def _of_known_classes(image: Annotated, classes: Sequence[str]) -> Annotated:
    unknown = [labelled.name for labelled in image.objects if labelled.name not in classes]
    if not unknown:
        return image
    return image._replace(
        objects=(), fault=f"it has an object of the unknown class {unknown[0]!r}; {nearest(unknown[0], classes)}"
    )
