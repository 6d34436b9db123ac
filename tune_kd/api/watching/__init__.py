"""A store that is watched while it is written: what is read of it, and the page and the text that show it."""
