"""Images with labelled boxes: the embedded digit scenes, PASCAL VOC, or any folder in VOC's layout."""
