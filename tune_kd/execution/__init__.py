"""A study on Ray: its runs, what they share, and how they are recorded; the only place that drives Tune."""
