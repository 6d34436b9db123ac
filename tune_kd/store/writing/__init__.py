"""Writing a store: journals, and the rows that they are sealed into."""
