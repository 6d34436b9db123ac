"""Object detection: which boxes are distilled, what they are trained on, and how detections are judged."""
