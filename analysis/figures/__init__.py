"""Charts as data, and as figures on paper."""
