"""Every command as a function of the same name and defaults; a command is its function with options and printing."""
