"""What a store says: curves, costs to a target, rankings, tables, plots and a report. Reads stores, runs nothing."""
