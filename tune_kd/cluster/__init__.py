"""Ray itself: the session, the nodes, what runs on workers, and the code that must be the same everywhere."""
