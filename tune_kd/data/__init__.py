"""Image sets in memory: the embedded digits, the literature's by name, or any folder. ``batches`` feeds a device."""

from tune_kd.data.image_set import ImageData, ImageSet
from tune_kd.data.load import NAMES, Loading, load

__all__ = ["NAMES", "ImageData", "ImageSet", "Loading", "load"]
