"""The paper's own numbers, and the figures and data sets that its tables are about."""
