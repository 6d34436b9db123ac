"""What will be run, and what it would cost. Nothing here executes."""
