"""Image sets in memory: the embedded digits, or any folder of images. ``batches`` feeds them to a device."""

from tune_kd.data.image_set import ImageData, ImageSet
from tune_kd.data.load import load

__all__ = ["ImageData", "ImageSet", "load"]
