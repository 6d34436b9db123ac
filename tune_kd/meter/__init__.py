"""What a trial costs: energy by component, CO2e and FLOPs, each with the method that it was found by."""
