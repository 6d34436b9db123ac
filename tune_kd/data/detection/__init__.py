"""Images with labelled boxes: the embedded digit scenes, PASCAL VOC, or any folder in VOC's layout."""

from tune_kd.data.detection.detection_set import DetectionData, DetectionSet
from tune_kd.data.detection.load import NAMES, DetectionLoading, load
from tune_kd.data.detection.objects import Objects

__all__ = ["NAMES", "DetectionData", "DetectionLoading", "DetectionSet", "Objects", "load"]
